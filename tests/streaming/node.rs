//! The streams of the demo, with Node as the client.

use crate::support::pattern;
use crate::{Demo, MIB, TempFile, has, uploaded};

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

/// Each piece is sent when the one before it has come back. This never ends if one side waits for the other's end.
#[test]
fn node_sends_and_receives_at_the_same_time() {
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
            const type = reply.headers['content-type'];
            console.log(reply.statusCode, type, length, coding, arrived.length, reply.complete);
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

        // A download of which a part is read; it is left for a while, read further, and aborted.
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

        // An upload and an echo that the client aborts after it has sent a part.
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

        // None of this has harmed the next download, which is the same each time.
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

/// What an `EventSource` does, which some versions of Node lack: it reads events, breaks off, and reconnects with the
/// last id that it has seen.
#[test]
fn node_receives_events_and_reconnects() {
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

/// One after the other, the answers would take longer than the client may run.
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
