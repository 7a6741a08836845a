//! The streams of the demo, with the clients that people have: content that comes and goes in pieces, answers that come
//! later, and clients that stop, break off or vanish in the middle. Nothing here sleeps, every wait has an end, and no
//! child outlives its test.
#![cfg(feature = "cli")]

mod support;

use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use support::process::{End, Process};
use support::{Client, LIMIT, assert_same, get, pattern};

/// As the option of curl for the same, a little shorter, since curl says more about what it waited for.
const CURL: [&str; 3] = ["-sS", "-m", "25"];

const MIB: usize = 1 << 20;

/// What curl prints last: the status, and the type of the content.
const STATUS: [&str; 2] = ["-w", "\n%{http_code} %{content_type}\n"];

// ---- curl -----------------------------------------------------------------------------------------------------------

#[test]
fn curl_uploads_slowly() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let content = pattern(3 * MIB / 2);
    let file = TempFile::new(&content);
    let expected = format!("{}\n200 application/json\n", uploaded(&content));
    let slowly = ["-X", "POST", "--limit-rate", "1500k"];

    let mut known = curl(&slowly);
    known.args(STATUS).arg("-T").arg(file.path()).arg(demo.url("/upload"));
    let mut chunked = curl(&slowly);
    chunked.args(STATUS).args(["-T", "-"]).arg(demo.url("/upload"));
    let running = [("a file", Process::start(known)), ("a pipe", Process::start_with(chunked, file.open()))];
    for (name, mut process) in running {
        assert_eq!(process.end().clean(), expected, "{name}");
    }
    demo.end();
}

/// The client would wait for the 100 longer than it may run.
#[test]
fn curl_is_told_to_continue() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let content = pattern(100_000);
    let file = TempFile::new(&content);
    for path in ["/upload", "/echo"] {
        for (name, fields) in [("known", &[][..]), ("chunked", &["-H", "Transfer-Encoding: chunked"])] {
            let mut curl = curl(&["-v", "-H", "Expect: 100-continue", "--expect100-timeout", "60"]);
            curl.args(fields).arg("--data-binary").arg(file.argument()).arg(demo.url(path));
            let end = Process::start(curl).end();
            assert_eq!(end.code, Some(0), "{path}, {name}: {}", end.errors);
            assert!(end.errors.contains("< HTTP/1.1 100 Continue"), "{path}, {name}: {}", end.errors);
            match path {
                "/upload" => assert_eq!(end.text(), uploaded(&content), "{name}"),
                _ => assert_same(&end.output, &content, name),
            }
        }
    }
    demo.end();
}

#[test]
fn curl_downloads_slowly_what_it_downloads_fast() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let download = |options: &[&str]| {
        let mut curl = curl(options);
        curl.arg(demo.url("/big?mib=2"));
        Process::start(curl)
    };
    let mut slow = download(&["--limit-rate", "2m"]);
    let fast = download(&[]).end();
    assert_eq!((fast.code, fast.errors.as_str()), (Some(0), ""));
    assert_eq!(fast.output.len(), 2 * MIB);
    let slow = slow.end();
    assert_eq!((slow.code, slow.errors.as_str()), (Some(0), ""));
    assert_same(&slow.output, &fast.output, "the slow download");
    demo.end();
}

#[test]
fn curl_gets_its_content_back() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let large = pattern(3 * MIB);
    for content in [&large[..], &large[..1], &[]] {
        let length = content.len();
        let file = TempFile::new(content);
        // Without a Content-Type of its own curl would name one with --data-binary, and none with -T.
        for (name, content_type) in [("known", Some("text/x-mine; a=b")), ("known", None), ("chunked", None)] {
            let mut curl = curl(&["-i", "-H", "Expect:", "-H"]);
            curl.arg(content_type.map_or("Content-Type:".to_owned(), |value| format!("Content-Type: {value}")));
            match name {
                "known" => curl.arg("--data-binary").arg(file.argument()),
                _ => curl.args(["-X", "POST", "-T", "-"]),
            };
            curl.arg(demo.url("/echo"));
            let end = Process::start_with(curl, file.open()).end();
            let what = format!("{length} bytes, {name}, {content_type:?}: {}", end.errors);
            assert_eq!(end.code, Some(0), "{what}");
            let (head, echoed) = end.head_and_content();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{what}: {head}");
            assert_eq!(field(head, "content-type"), Some(content_type.unwrap_or("application/octet-stream")), "{what}");
            let framing = (field(head, "content-length"), field(head, "transfer-encoding"));
            match name {
                "known" => assert_eq!(framing, (Some(&*length.to_string()), None), "{what}"),
                _ => assert_eq!(framing, (None, Some("chunked")), "{what}"),
            }
            assert_same(echoed, content, what);
        }
    }
    demo.end();
}

#[test]
fn curl_gets_the_head_of_what_is_big() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    for (path, length) in [("/big", 50 * MIB), ("/big?mib=50", 50 * MIB), ("/big?mib=3", 3 * MIB)] {
        let mut curl = curl(&["-I"]);
        curl.arg(demo.url(path)).arg("--next").args(CURL).args(["-w", " %{num_connects}"]).arg(demo.url("/plaintext"));
        let end = Process::start(curl).end();
        let (head, rest) = end.head_and_content();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {head}");
        assert_eq!(field(head, "content-length"), Some(&*length.to_string()), "{path}");
        assert_eq!(field(head, "content-type"), Some("application/octet-stream"), "{path}");
        assert_eq!(String::from_utf8_lossy(rest), "Hello, World! 0", "{path}: the connection is kept");
        assert_eq!((end.code, end.errors.as_str()), (Some(0), ""), "{path}");
    }
    demo.end();
}

/// Each event is a line of output while the stream goes on; and the client is killed in the middle of it.
#[test]
fn curl_hears_events() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let listening = ["--http1.1", "--http1.0"].map(|version| {
        let mut curl = curl(&["-N", "-i", version]);
        curl.arg(demo.url("/events"));
        (version, Process::start(curl))
    });
    for (version, mut process) in listening {
        // Up to the empty line that stands behind a head, and behind each event.
        let mut block = || std::iter::from_fn(|| Some(process.line())).take_while(|line| !line.is_empty()).collect();
        let head: Vec<String> = block();
        let head = head.join("\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{version}: {head}");
        let content_type = field(&head, "content-type").expect("it is told");
        assert_eq!(content_type.split(';').next(), Some("text/event-stream"), "{version}");
        assert_eq!(field(&head, "content-length"), None, "{version}: {head}");
        let is_chunked = field(&head, "transfer-encoding") == Some("chunked");
        assert_eq!(is_chunked, version == "--http1.1", "{version}: {head}");
        let mut event = || loop {
            // One without an id is another matter: a comment, or the time after which to come back.
            let event = block();
            if let Some(id) = event.iter().find_map(|line| line.strip_prefix("id: ")) {
                let id: u64 = id.parse().expect("the id is a number");
                assert!(event.iter().any(|line| line == "event: tick"), "{version}: {event:?}");
                assert!(event.contains(&format!(r#"data: {{"tick":{id}}}"#)), "{version}: {event:?}");
                return id;
            }
        };
        let first = event();
        assert_eq!(event(), first + 1, "{version}");
    }
    demo.assert_serves();
}

#[test]
fn curl_waits_for_several_late_answers_at_once() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let mut curl = curl(&["--no-progress-meter", "--parallel", "--parallel-immediate", "--parallel-max", "20"]);
    curl.args((0..20).map(|i| demo.url(&format!("/slow?ms={}", 500 + i))));
    let end = Process::start(curl).end();
    // They come as they are ready, one behind the other.
    let mut replies: Vec<&str> = end.clean().split_inclusive('}').collect();
    replies.sort_unstable();
    let expected: Vec<_> = (0..20).map(|i| format!(r#"{{"slept_ms":{}}}"#, 500 + i)).collect();
    assert_eq!(replies, expected);
    demo.end();
}

// ---- Node -----------------------------------------------------------------------------------------------------------

#[test]
fn node_fetch_streams_its_request() {
    if !has("node") {
        return;
    }
    let demo = Demo::start();
    let content = pattern(3 * MIB + 77);
    let file = TempFile::new(&content);
    let end = demo.node(
        r#"
        import { readFileSync } from 'node:fs';
        const content = readFileSync(process.argv[2]);
        async function* pieces() {
            for (let at = 0, size = 1; at < content.length; at += size, size = 1 + (size * 7919) % 70000) {
                yield content.subarray(at, at + size);
                await new Promise(setImmediate);
            }
        }
        const stream = () => {
            const source = pieces();
            const pull = async (controller) => {
                const { done, value } = await source.next();
                if (done) controller.close();
                else controller.enqueue(value);
            };
            return new ReadableStream({ pull });
        };
        for (const [name, body] of [['generator', pieces], ['stream', stream]]) {
            const upload = await fetch(`${base}/upload`, { method: 'POST', duplex: 'half', body: body() });
            console.log(name, upload.status, await upload.text());
            const echo = await fetch(`${base}/echo`, { method: 'POST', duplex: 'half', body: body() });
            const echoed = Buffer.from(await echo.arrayBuffer());
            console.log(name, echo.status, echo.headers.get('content-type'), echoed.equals(content));
        }
        "#,
        &[file.path()],
    );
    let echo = "200 application/octet-stream true";
    let upload = format!("200 {}", uploaded(&content));
    let expected = ["generator", "stream"].map(|name| format!("{name} {upload}\n{name} {echo}\n")).concat();
    assert_eq!(end.clean(), expected);
    demo.end();
}

/// Each piece is sent when the one before it has come back: it never ends where one side waits for the other's end.
#[test]
fn node_speaks_and_hears_at_once() {
    if !has("node") {
        return;
    }
    let demo = Demo::start();
    let sizes = [5, 1, 100, 4096, 70_000, 1, 300_000, 16_384, 3];
    let sum: usize = sizes.iter().sum();
    let end = demo.node(
        r#"
        import http from 'node:http';
        import { once } from 'node:events';
        const { hostname, port } = new URL(base);
        const sizes = JSON.parse(process.argv[2]);
        const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
        for (const headers of [{}, { 'Content-Length': sizes.reduce((a, b) => a + b) }]) {
            headers['Content-Type'] = 'text/x-talk';
            const request = http.request({ hostname, port, agent, path: '/echo', method: 'POST', headers });
            const answered = once(request, 'response');
            let reply, ended;
            let arrived = [];
            for (const [i, size] of sizes.entries()) {
                const sent = Buffer.alloc(size, i + 1);
                request.write(sent);
                if (!reply) {
                    [reply] = await answered;
                    reply.on('data', (piece) => arrived.push(piece));
                    ended = once(reply, 'end');
                }
                while (arrived.reduce((sum, piece) => sum + piece.length, 0) < size) await once(reply, 'data');
                if (!Buffer.concat(arrived).equals(sent)) throw new Error(`piece ${i} came back as another`);
                arrived = [];
            }
            request.end();
            await ended;
            const { 'content-length': length, 'transfer-encoding': coding } = reply.headers;
            console.log(reply.statusCode, reply.headers['content-type'], length, coding, arrived.length, reply.complete);
            console.log('on a used connection:', request.reusedSocket);
            await new Promise(setImmediate);
        }
        "#,
        &[format!("{sizes:?}").as_ref()],
    );
    let expected = format!(
        "200 text/x-talk undefined chunked 0 true\non a used connection: false\n\
         200 text/x-talk {sum} undefined 0 true\non a used connection: true\n"
    );
    assert_eq!(end.clean(), expected);
    demo.end();
}

#[test]
fn node_stops_reading_and_breaks_off() {
    if !has("node") {
        return;
    }
    let demo = Demo::start();
    let end = demo.node(
        r#"
        import { createHash } from 'node:crypto';
        const neighbour = async (count) => {
            for (let i = 0; i < count; i++) await (await fetch(`${base}/plaintext`)).text();
        };
        const reasonOf = (promise) => promise.then(() => 'none', (error) => error.name);

        // A download that is read in part, left for a while, read on and aborted.
        const stop = new AbortController();
        const big = await fetch(`${base}/big?mib=64`, { signal: stop.signal });
        console.log(big.status, big.headers.get('content-length'), big.headers.get('content-type'));
        const reader = big.body.getReader();
        let count = 0;
        for (const mark of [4, 8]) {
            while (count < mark << 20) count += (await reader.read()).value.length;
            await neighbour(200);
        }
        stop.abort();
        console.log('download', await reasonOf(reader.read()));

        // An upload and an echo whose client changes its mind when it has sent a part.
        for (const path of ['/upload', '/echo']) {
            const stop = new AbortController();
            async function* body() {
                for (let i = 0; i < 10; i++) yield new Uint8Array(50000);
                stop.abort();
                await new Promise(() => {});
            }
            const post = { method: 'POST', duplex: 'half', body: body(), signal: stop.signal };
            console.log(path, await reasonOf(fetch(base + path, post).then((reply) => reply.arrayBuffer())));
        }

        // Nothing of it has harmed the next download, which is the same each time.
        const sums = new Set();
        for (let i = 0; i < 2; i++) {
            const hash = createHash('sha256');
            let length = 0;
            for await (const piece of (await fetch(`${base}/big?mib=8`)).body) {
                hash.update(piece);
                length += piece.length;
            }
            sums.add(`${length} ${hash.digest('hex')}`);
        }
        console.log(sums.size, [...sums][0].split(' ')[0]);
        await neighbour(1);
        "#,
        &[],
    );
    let expected = format!(
        "200 {} application/octet-stream\ndownload AbortError\n/upload AbortError\n/echo AbortError\n1 {}\n",
        64 * MIB,
        8 * MIB
    );
    assert_eq!(end.clean(), expected);
    demo.end();
}

/// What an `EventSource` does, which Node does not have everywhere: it reads events, breaks off, and comes back with the
/// last id that it has seen.
#[test]
fn node_hears_events_and_comes_back() {
    if !has("node") {
        return;
    }
    let demo = Demo::start();
    let end = demo.node(
        r#"
        const hear = async (count, headers) => {
            const stop = new AbortController();
            const reply = await fetch(`${base}/events`, { signal: stop.signal, headers });
            console.log(reply.status, reply.headers.get('content-type').split(';')[0]);
            const events = [];
            let text = '';
            for await (const piece of reply.body.pipeThrough(new TextDecoderStream())) {
                const blocks = (text + piece).split('\n\n');
                text = blocks.pop();
                for (const block of blocks) {
                    const event = { data: [] };
                    for (const line of block.split('\n').filter((line) => line && !line.startsWith(':'))) {
                        const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
                        if (name === 'data') event.data.push(value);
                        else event[name] = value;
                    }
                    if (event.data.length) events.push(event);
                }
                if (events.length >= count) break;
            }
            stop.abort();
            return events;
        };
        const accept = { Accept: 'text/event-stream' };
        const [first, again] = await Promise.all([hear(3, accept), hear(2, { ...accept, 'Last-Event-ID': '41' })]);
        for (const events of [first, again]) {
            const start = Number(events[0].id);
            const isTick = ({ id, event, data }, i) =>
                Number(id) === start + i && event === 'tick' && data.length === 1 && data[0] === `{"tick":${id}}`;
            console.log(events.every(isTick) || JSON.stringify(events));
        }
        await fetch(`${base}/plaintext`);
        "#,
        &[],
    );
    assert_eq!(end.clean(), "200 text/event-stream\n200 text/event-stream\ntrue\ntrue\n");
    demo.assert_serves();
}

/// One after the other the answers would take longer than the client may run.
#[test]
fn node_waits_for_many_late_answers_on_an_agent() {
    if !has("node") {
        return;
    }
    let demo = Demo::start();
    let end = demo.node(
        r#"
        import http from 'node:http';
        import { once } from 'node:events';
        const agent = new http.Agent({ keepAlive: true, maxSockets: 40 });
        const sockets = new Set();
        const ask = async (ms) => {
            const request = http.get(`${base}/slow?ms=${ms}`, { agent });
            request.on('socket', (socket) => sockets.add(socket));
            const [reply] = await once(request, 'response');
            let text = '';
            for await (const piece of reply) text += piece;
            return reply.statusCode === 200 && text === `{"slept_ms":${ms}}`;
        };
        for (const first of [1000, 1]) {
            const replies = await Promise.all([...Array(40).keys()].map((i) => ask(first + i)));
            console.log(replies.every((isRight) => isRight));
            await new Promise(setImmediate);
        }
        console.log(sockets.size);
        "#,
        &[],
    );
    assert_eq!(end.clean(), "true\ntrue\n40\n");
    demo.end();
}

// ---- Python ---------------------------------------------------------------------------------------------------------

/// What the scripts share: `connect`, and how to stop reading for a while.
const PYTHON: &str = r#"
import http.client, itertools, json, random, socket, sys, threading, zlib
HOST, PORT, MIB = sys.argv[1], int(sys.argv[2]), 1 << 20

def connect():
    return http.client.HTTPConnection(HOST, PORT, timeout=10)

def serve_neighbour(count):
    "Meanwhile the loop of the server turns at least as often."
    neighbour = connect()
    for _ in range(count):
        neighbour.request('GET', '/plaintext')
        assert neighbour.getresponse().read() == b'Hello, World!'
    neighbour.close()
"#;

#[test]
fn python_uploads_what_it_generates_and_what_it_has() {
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
fn python_speaks_and_hears_at_once() {
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
fn python_reads_what_is_big_in_pieces() {
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

// ---- memory ---------------------------------------------------------------------------------------------------------

/// By how much the memory of the server may grow over its start, whatever streams through it.
#[cfg(target_os = "linux")]
const GROWTH: usize = 8 * MIB;

#[cfg(target_os = "linux")]
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

/// It is read when nothing more is taken from the client: then all that server and kernels hold stands in between.
#[cfg(target_os = "linux")]
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

#[cfg(target_os = "linux")]
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

// ---- what needs no client of other people ---------------------------------------------------------------------------

#[test]
fn the_sum_of_an_upload_is_the_crc_32_of_everybody() {
    let demo = Demo::start();
    let mut client = demo.connect();
    // The check value of CRC-32/IEEE, and a sum that begins with zeros.
    for (content, expected) in [
        (&b"123456789"[..], r#"{"bytes":9,"crc32":"cbf43926"}"#),
        (b"", r#"{"bytes":0,"crc32":"00000000"}"#),
        (b"\xff\xff\xff\xff", r#"{"bytes":4,"crc32":"ffffffff"}"#),
    ] {
        assert_eq!(uploaded(content), expected, "of {content:?}");
        client.send(post("/upload", content));
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        assert_eq!(reply.text(), expected, "of {content:?}");
    }
    demo.end();
}

#[test]
fn streams_and_late_answers_keep_the_order_of_their_requests() {
    let demo = Demo::start();
    let mut client = demo.connect();
    let content = pattern(300_000);
    let requests = [
        get("/slow?ms=300").into(),
        post("/echo", &content),
        get("/slow?ms=1").into(),
        get("/plaintext").into(),
        post("/upload", &content),
        get("/big?mib=1").into(),
        get("/slow?ms=30").into(),
        post("/echo", b""),
        get("/plaintext").into(),
    ];
    let mut writer = client.share();
    let writing = thread::spawn(move || writer.send(requests.concat()));
    assert_eq!(client.reply().text(), r#"{"slept_ms":300}"#);
    assert_same(&client.reply().content, &content, "the echo");
    assert_eq!(client.reply().text(), r#"{"slept_ms":1}"#);
    assert_eq!(client.reply().text(), "Hello, World!");
    assert_eq!(client.reply().text(), uploaded(&content));
    assert_eq!(client.reply().content.len(), MIB);
    assert_eq!(client.reply().text(), r#"{"slept_ms":30}"#);
    assert_eq!(client.reply().text(), "");
    assert_eq!(client.reply().text(), "Hello, World!");
    writing.join().expect("the server takes everything");
    demo.end();
}

#[test]
fn a_late_answer_holds_up_nobody() {
    let demo = Demo::start();
    let (mut longest, mut long, mut short) = (demo.connect(), demo.connect(), demo.connect());
    longest.get("/slow?ms=30000");
    long.get("/slow?ms=9000");
    let start = Instant::now();
    short.get("/slow?ms=500");
    demo.assert_serves();
    assert_eq!(short.reply().text(), r#"{"slept_ms":500}"#);
    // It may be late by any time, and early by no more than the steps of a clock.
    assert!(start.elapsed() > Duration::from_millis(400), "{:?}", start.elapsed());
    assert_eq!(short.ask("/slow?ms=0").text(), r#"{"slept_ms":0}"#);
    demo.assert_serves();
    assert!(!longest.is_readable() && !long.is_readable(), "those who asked first have their time");
    longest.reset();
    long.reset();
    demo.assert_serves();
}

#[test]
fn a_time_that_is_none_is_a_400() {
    let demo = Demo::start();
    let mut client = demo.connect();
    for ms in ["30001", "99999999999999999999999", "-1", "1.5", "soon", "", "0x10"] {
        let reply = client.ask(&format!("/slow?ms={ms}"));
        assert_eq!(reply.status, 400, "{ms}: {:?}", reply.text());
    }
    assert_eq!(client.ask("/slow?ms=5").text(), r#"{"slept_ms":5}"#);
    demo.end();
}

/// The next connections have the places of those that have gone.
#[test]
fn the_late_answer_for_a_client_that_went_is_nobodys() {
    let demo = Demo::start();
    let mut gone: Vec<_> = (0..20).map(|_| demo.connect()).collect();
    gone.iter_mut().for_each(|client| client.get("/slow?ms=300"));
    demo.assert_serves();
    gone.into_iter().for_each(Client::reset);
    demo.assert_serves();
    let mut clients: Vec<_> = (0..20).map(|_| demo.connect()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.get(&format!("/slow?ms={}", 700 + i));
    }
    for (i, mut client) in clients.into_iter().enumerate() {
        assert_eq!(client.reply().text(), format!(r#"{{"slept_ms":{}}}"#, 700 + i));
        assert_eq!(client.ask("/plaintext").text(), "Hello, World!");
    }
    demo.end();
}

/// Whoever reads it must see that it was cut: it has no last chunk.
#[test]
fn the_echo_of_broken_content_has_no_end() {
    let demo = Demo::start();
    for (name, rest) in [("no chunk", Some("zz\r\n")), ("EOF", None)] {
        let mut client = demo.connect();
        client.send("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        assert_eq!(client.try_head().expect("a head").0, 200, "{name}");
        let mut echoed = Vec::new();
        while !echoed.ends_with(b"first\r\n") {
            client.read_content(1, 1, |_, byte| echoed.extend_from_slice(byte));
        }
        match rest {
            Some(rest) => client.send(rest),
            None => client.half_close(),
        }
        client.expect_end();
        demo.assert_serves();
    }
    demo.end();
}

/// How a client goes away.
#[derive(Clone, Copy, Debug)]
enum Going {
    Reset,
    /// With a reset too, where something is left unread; else with FIN.
    Drop,
    HalfCloseAndDrop,
}

#[test]
fn clients_that_vanish_in_the_middle_leave_nothing_behind() {
    let demo = Demo::start();
    let mut neighbour = demo.connect();
    assert_eq!(neighbour.ask("/plaintext").text(), "Hello, World!");
    #[cfg(target_os = "linux")]
    let before = demo.descriptors();

    let piece = pattern(50_000);
    let chunk = [b"c350\r\n", &piece[..], b"\r\n"].concat();
    let chunked = |target| format!("POST {target} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let known = |target| format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\n");
    let kinds = [
        ("an upload", [known("/upload").as_bytes(), &piece].concat()),
        ("an upload in chunks", [chunked("/upload").as_bytes(), &chunk, &chunk[..1000]].concat()),
        ("an echo", [known("/echo").as_bytes(), &piece].concat()),
        ("an echo in chunks", [chunked("/echo").as_bytes(), &chunk, &chunk[..1000]].concat()),
        ("an echo that nobody reads", known("/echo").into_bytes()),
        ("a download", get("/big?mib=64").into_bytes()),
        ("a download that nobody reads", get("/big?mib=64").into_bytes()),
        ("a late answer", get("/slow?ms=3000").into_bytes()),
        ("events", get("/events").into_bytes()),
        ("what is pipelined", [get("/slow?ms=300"), get("/big"), get("/events")].concat().into()),
    ];
    for round in 0..2 {
        let mut victims = Vec::new();
        for (name, request) in &kinds {
            for going in [Going::Reset, Going::Drop, Going::HalfCloseAndDrop] {
                let mut client = demo.connect();
                client.send(request);
                if *name == "an echo that nobody reads" {
                    fill(&mut client);
                }
                victims.push((*name, going, client));
            }
        }
        for (name, going, mut client) in victims {
            match name {
                "an upload" | "an upload in chunks" | "a late answer" | "what is pipelined" => {}
                "a download" => {
                    client.try_head().expect("a head");
                    client.read_content(100_000, 10_000, |_, _| {});
                }
                _ => client.wait_readable(),
            }
            match going {
                Going::Reset => client.reset(),
                Going::Drop => drop(client),
                Going::HalfCloseAndDrop => {
                    client.half_close();
                    assert_eq!(neighbour.ask("/plaintext").text(), "Hello, World!", "{name}, {going:?}");
                }
            }
            assert_eq!(neighbour.ask("/plaintext").text(), "Hello, World!", "{name}, {going:?}, round {round}");
            demo.assert_serves();
        }
    }

    #[cfg(target_os = "linux")]
    {
        let end = Instant::now() + LIMIT;
        while demo.descriptors() > before {
            assert!(Instant::now() < end, "{} descriptors, and {before} before", demo.descriptors());
            assert_eq!(neighbour.ask("/slow?ms=10").status, 200);
        }
    }
    drop(neighbour);
    demo.end();
}

/// Writes until the server takes no more.
#[track_caller]
fn fill(client: &mut Client) {
    client.socket().set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout can be set");
    let mut sent = 0;
    loop {
        match client.write_some(&[b'x'; 0x1_0000]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("the server is to wait, not to close: {error}"),
        }
        assert!(sent < 90_000_000, "the server takes everything though nobody reads it");
    }
}

// ---- requests and replies -------------------------------------------------------------------------------------------

fn post(target: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", content.len());
    [head.as_bytes(), content].concat()
}

/// What `/upload` answers.
fn uploaded(content: &[u8]) -> String {
    format!(r#"{{"bytes":{},"crc32":"{:08x}"}}"#, content.len(), crc32(content))
}

/// CRC-32/IEEE, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

// ---- processes ------------------------------------------------------------------------------------------------------

/// Whether the tool is there. A run of CI must have them all.
fn has(tool: &str) -> bool {
    let known = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if known.is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{tool} is not installed");
        eprintln!("skipped: {tool} is not installed");
    }
    known.is_ok()
}

fn curl(options: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    curl.args(CURL).args(options);
    curl
}

/// A file for a client; removed at the end.
struct TempFile(PathBuf);

impl TempFile {
    #[track_caller]
    fn new(content: &[u8]) -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};

        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = Self(std::env::temp_dir().join(format!("monoloop-streaming-{}-{number}", std::process::id())));
        std::fs::write(&file.0, content).expect("there is room for a file");
        file
    }

    fn path(&self) -> &Path {
        &self.0
    }

    #[track_caller]
    fn open(&self) -> File {
        File::open(&self.0).expect("it was written")
    }

    /// As curl wants it for content.
    fn argument(&self) -> String {
        format!("@{}", self.0.display())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// `monoloop demo`, on a free port, without anything that the environment of the tests would tell it.
struct Demo {
    process: Process,
    address: SocketAddr,
}

impl Demo {
    #[track_caller]
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
        command.args(["demo", "--port", "0"]).env_clear();
        let mut process = Process::start(command);
        loop {
            if let Some(address) = process.line().strip_prefix("listening on http://") {
                return Self { process, address: address.parse().expect("an address") };
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    #[track_caller]
    fn connect(&self) -> Client {
        Client::tcp(self.address)
    }

    /// Shows that the server lives: a new client is served.
    #[track_caller]
    fn assert_serves(&self) {
        assert_eq!(self.connect().ask("/plaintext").text(), "Hello, World!");
    }

    /// Runs a module of Node, which finds the server in `base`.
    #[track_caller]
    fn node(&self, script: &str, args: &[&Path]) -> End {
        let mut node = Command::new("node");
        let script = format!("const base = process.argv[1];\n{script}\nprocess.exit(0);");
        node.args(["--input-type=module", "-e", &script, &self.url("")]).args(args);
        Process::start(node).end()
    }

    /// Runs a script of Python behind what [`PYTHON`] defines.
    #[track_caller]
    fn python(&self, script: &str, args: &[&Path]) -> End {
        let mut python = Command::new("python3");
        let (ip, port) = (self.address.ip().to_string(), self.address.port().to_string());
        python.args(["-c", &format!("{PYTHON}{script}"), &ip, &port]).args(args);
        Process::start(python).end()
    }

    /// A field of `/proc/PID/status`, in bytes.
    #[cfg(target_os = "linux")]
    #[track_caller]
    fn memory(&self, name: &str) -> usize {
        let path = format!("/proc/{}/status", self.process.pid().as_raw_nonzero());
        let status = std::fs::read_to_string(path).expect("Linux has it");
        let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is told");
        1024 * value.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<usize>().expect("a number")
    }

    /// What happens in `streams` costs little memory at its highest, compared to before.
    #[cfg(target_os = "linux")]
    #[track_caller]
    fn grows_little(&self, streams: impl FnOnce()) {
        let before = self.memory("VmRSS");
        streams();
        let peak = self.memory("VmHWM");
        assert!(peak <= before + GROWTH, "{before} bytes before, and {peak} at the highest");
    }

    #[cfg(target_os = "linux")]
    #[track_caller]
    fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.process.pid().as_raw_nonzero());
        std::fs::read_dir(folder).expect("Linux has it").count()
    }

    /// Ends it by SIGTERM: it is still alive, drains, and has complained about nothing.
    #[track_caller]
    fn end(mut self) {
        kill_process(self.process.pid(), Signal::TERM).expect("it is alive");
        let end = self.process.end();
        assert_eq!((end.code, end.errors.as_str()), (Some(0), ""), "{}", end.text());
    }
}
