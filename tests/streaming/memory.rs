//! Large contents need little memory.

use crate::{Demo, MIB, has};

#[test]
fn a_big_download_is_never_in_memory() {
    if !has("python3") {
        return;
    }
    let demo = Demo::start();
    demo.grows_little(|| {
        let end = demo.python(
            r#"
conn = connect()
conn.request('GET', '/big?mib=256')
reply = conn.getresponse()
room = bytearray(MIB)
count = 0
def read_until(end):
    global count
    while count < end and (got := reply.readinto(room)):
        count += got
read_until(16 * MIB)
serve_neighbour(500)
read_until(32 * MIB)
serve_neighbour(500)
read_until(1 << 40)
print(reply.getheader('Content-Length'), count)
"#,
            &[],
        );
        assert_eq!(end.clean(), format!("{0} {0}\n", 256 * MIB));
    });
    demo.end();
}

/// The client reads only when the server takes nothing more from it. At that moment the server and the kernels hold
/// everything in between.
#[test]
fn a_big_echo_is_never_in_memory() {
    if !has("python3") {
        return;
    }
    let demo = Demo::start();
    demo.grows_little(|| {
        for framing in ["Content-Length: %d", "Transfer-Encoding: chunked"] {
            let end = demo.python(
                r#"
framing, total = sys.argv[3].encode(), 128 * MIB
chunked = b'%d' not in framing
block = random.Random(1).randbytes(MIB - 8)
sent = sent_crc = 0

def write(sock):
    global sent, sent_crc
    for number in range(total // MIB):
        piece = number.to_bytes(8, 'big') + block
        sock.sendall(b'%x\r\n%s\r\n' % (MIB, piece) if chunked else piece)
        sent, sent_crc = sent + MIB, zlib.crc32(piece, sent_crc)
    if chunked:
        sock.sendall(b'0\r\n\r\n')

sock = socket.create_connection((HOST, PORT), timeout=10)
head = b'POST /echo HTTP/1.1\r\nHost: test\r\n%s\r\n\r\n' % (framing if chunked else framing % total)
sock.sendall(head)
writing = threading.Thread(target=write, args=[sock], daemon=True)
writing.start()

before = -1
while before != sent or not sent:
    before = sent
    serve_neighbour(200)
assert sent < total, 'the server takes everything though nobody reads it'

reply = http.client.HTTPResponse(sock, method='POST')
reply.begin()
count = crc = 0
room = bytearray(MIB)
while got := reply.readinto(room):
    count, crc = count + got, zlib.crc32(memoryview(room)[:got], crc)
writing.join(10)
print(reply.status, reply.getheader('Content-Length'), count, crc == sent_crc)
"#,
                &[framing.as_ref()],
            );
            let total = 128 * MIB;
            let told = if framing.contains("Length") { total.to_string() } else { "None".to_owned() };
            assert_eq!(end.clean(), format!("200 {told} {total} True\n"), "{framing}");
        }
    });
    demo.end();
}

#[test]
fn a_big_upload_is_never_in_memory() {
    if !has("python3") {
        return;
    }
    let demo = Demo::start();
    demo.grows_little(|| {
        let end = demo.python(
            r#"
block, total = random.Random(1).randbytes(65_000), 32 * MIB
crc = zlib.crc32(b''.join(itertools.repeat(block, total // len(block))))
conn = connect()
body = itertools.repeat(block, total // len(block))
conn.request('POST', '/upload', body=body, headers={'Transfer-Encoding': 'chunked'}, encode_chunked=True)
reply = json.load(conn.getresponse())
print(reply == {'bytes': total // len(block) * len(block), 'crc32': f'{crc:08x}'} or reply)
"#,
            &[],
        );
        assert_eq!(end.clean(), "True\n");
    });
    demo.end();
}
