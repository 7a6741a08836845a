//! The streams of the demo, with Python as the client.

use crate::support::pattern;
use crate::{Demo, MIB, TempFile, has, uploaded};

#[test]
fn python_uploads_generated_content_and_files() {
    if !has("python3") {
        return;
    }
    let demo = Demo::start();
    let content = pattern(2 * MIB + 5);
    let file = TempFile::new(&content);
    let end = demo.python(
        r#"
content = open(sys.argv[3], 'rb').read()
conn = connect()

def generate():
    at, sizes = 0, random.Random(1)
    while at < len(content):
        size = sizes.choice([1, 20, 1000, 8192, 100_000])
        yield content[at:at + size]
        at += size

def show(reply):
    print(reply.status, reply.getheader('Content-Type'), reply.read().decode())

conn.request('POST', '/upload', body=generate(), headers={'Transfer-Encoding': 'chunked'}, encode_chunked=True)
show(conn.getresponse())
conn.request('POST', '/upload', body=open(sys.argv[3], 'rb'), headers={'Content-Length': str(len(content))})
show(conn.getresponse())
conn.request('POST', '/upload', body=b'')
show(conn.getresponse())
"#,
        &[file.path()],
    );
    let lines = [&content[..], &content, b""].map(|content| format!("200 application/json {}\n", uploaded(content)));
    assert_eq!(end.clean(), lines.concat());
    demo.end();
}

/// Each piece is sent when the one before it has come back.
#[test]
fn python_sends_and_receives_at_the_same_time() {
    if !has("python3") {
        return;
    }
    let demo = Demo::start();
    let end = demo.python(
        r#"
PIECES = [bytes([number]) * size for number, size in enumerate([1, 5, 1000, 65_536, 1, 200_000, 17])]
conn = connect()
for chunked in [True, False]:
    conn.putrequest('POST', '/echo')
    conn.putheader('Content-Type', 'text/x-talk')
    if chunked:
        conn.putheader('Transfer-Encoding', 'chunked')
    else:
        conn.putheader('Content-Length', str(sum(map(len, PIECES))))
    conn.endheaders()
    reply = None
    for piece in PIECES:
        conn.send(b'%x\r\n%s\r\n' % (len(piece), piece) if chunked else piece)
        # The head of the reply comes while the request still lacks its end.
        reply = reply or conn.getresponse()
        arrived = reply.read(len(piece))
        assert arrived == piece, (len(arrived), len(piece))
    if chunked:
        conn.send(b'0\r\n\r\n')
    assert reply.read() == b''
    print(reply.status, *map(reply.getheader, ['Content-Type', 'Content-Length', 'Transfer-Encoding']))
# Nothing is left on the connection.
conn.request('GET', '/plaintext')
print(conn.getresponse().read().decode())
"#,
        &[],
    );
    let sum = 1 + 5 + 1000 + 65_536 + 1 + 200_000 + 17;
    assert_eq!(end.clean(), format!("200 text/x-talk None chunked\n200 text/x-talk {sum} None\nHello, World!\n"));
    demo.end();
}

#[test]
fn python_reads_big_content_in_pieces() {
    if !has("python3") {
        return;
    }
    let demo = Demo::start();
    let end = demo.python(
        r#"
conn = connect()
def sums(size):
    conn.request('GET', '/big?mib=4')
    reply = conn.getresponse()
    length = crc = 0
    while piece := reply.read(size):
        length, crc = length + len(piece), zlib.crc32(piece, crc)
    return reply.status, reply.getheader('Content-Length'), length, crc
found = {sums(size) for size in [1000, 65_537, 8 * MIB]}
assert len(found) == 1, found
print(*found.pop()[:3])
conn.request('HEAD', '/big')
reply = conn.getresponse()
print(reply.status, reply.getheader('Content-Length'), len(reply.read()))
"#,
        &[],
    );
    assert_eq!(end.clean(), format!("200 {0} {0}\n200 {1} 0\n", 4 * MIB, 50 * MIB));
    demo.end();
}
