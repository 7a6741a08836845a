// Node's `ws` as a client of the demo, for node.rs: node client.js CASE URL [SOCKET]
//
// SOCKET is the path of a unix socket to connect to. A case that fails throws; one that does not prints `done`.

"use strict";

const assert = require("assert/strict");
const { once } = require("events");
const WebSocket = require("ws");

/** Milliseconds for a case. */
const LIMIT = 20_000;

const LARGE = 1 << 20;

const [name, url, socket] = process.argv.slice(2);

/** Opens a WebSocket whose messages are kept until they are asked for. */
async function open(target, options) {
  const host = new URL(url).host;
  const ws = socket
    ? new WebSocket(`ws+unix:${socket}:${target}`, { headers: { host }, ...options })
    : new WebSocket(url + target, options);
  const messages = [];
  const waiting = [];
  ws.on("message", (data, isBinary) => {
    const message = isBinary ? data : data.toString();
    waiting.length > 0 ? waiting.shift().resolve(message) : messages.push(message);
  });
  ws.on("close", (code, reason) => waiting.forEach(({ reject }) => reject(new Error(`closed: ${code} ${reason}`))));
  ws.receive = () =>
    messages.length > 0
      ? Promise.resolve(messages.shift())
      : new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  ws.closed = once(ws, "close").then(([code, reason]) => [code, reason.toString()]);
  await once(ws, "open");
  return ws;
}

/** The bytes that a client may not send, past what ws checks. */
function sendRaw(ws, ...bytes) {
  ws._socket.write(Buffer.from(bytes));
}

const CASES = {
  /** Text and binary, empty and large, in one frame and in many; with compression if both can, and without. */
  async echoes() {
    const messages = ["hello", "", "κόσμε 🦀", Buffer.from([0, 255]), Buffer.alloc(0), "y".repeat(65535)];
    messages.push(Buffer.alloc(65536, "z"), Buffer.alloc(LARGE, "0123456789"), "äöü".repeat(LARGE / 4));
    for (const perMessageDeflate of [true, false]) {
      const ws = await open("/ws/echo", { perMessageDeflate });
      for (const message of messages) {
        ws.send(message);
        assert.deepEqual(await ws.receive(), message);
      }
      // All at once: the answers come in order.
      for (let number = 0; number < 100; number += 1) {
        ws.send(String(number));
      }
      for (let number = 0; number < 100; number += 1) {
        assert.equal(await ws.receive(), String(number));
      }
      for (const parts of [["one ", "", "twö ", "three"], ["1".repeat(1000), "2".repeat(70000)]]) {
        parts.forEach((part, index) => ws.send(part, { fin: index === parts.length - 1 }));
        assert.equal(await ws.receive(), parts.join(""));
      }
      // A character may be in two frames.
      const [crab, cut] = [Buffer.from("🦀"), { fin: false, binary: false }];
      ws.send(crab.subarray(0, 1), cut);
      ws.send(crab.subarray(1, 2), cut);
      ws.send(crab.subarray(2), { fin: true, binary: false });
      assert.equal(await ws.receive(), "🦀");
      ws.terminate();
    }
  },

  /** Pongs come back, in order, also between the frames of a message. */
  async pings() {
    const ws = await open("/ws/echo");
    for (const content of ["", "ping", "p".repeat(125)]) {
      ws.send("first, ", { fin: false });
      ws.ping(content);
      const [pong] = await once(ws, "pong");
      assert.equal(pong.toString(), content);
      ws.send("second", { fin: true });
      assert.equal(await ws.receive(), "first, second");
    }
    ws.terminate();
  },

  /** The server answers a Close frame with the same code; 1005 is that of a frame without one. */
  async closes() {
    const ends = [[1000, ""], [1000, "bye"], [1001, "going"], [3000, "grün"], [4999, "x".repeat(123)]];
    for (const [code, reason] of ends) {
      const ws = await open("/ws/echo");
      ws.close(code, reason);
      assert.equal((await ws.closed)[0], code);
    }
    const ws = await open("/ws/echo");
    ws.close();
    assert.equal((await ws.closed)[0], 1005);
  },

  /** The server closes, and says why. */
  async refusals() {
    const faults = {
      1002: (ws) => ws.send("not masked", { mask: false }),
      1007: (ws) => ws.send(Buffer.from([0xff]), { binary: false }),
      // The head of a frame that announces a byte more than 16 MiB: none of them need come.
      1009: (ws) => sendRaw(ws, 0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 1, 2, 3, 4),
    };
    for (const [code, provoke] of Object.entries(faults)) {
      const ws = await open("/ws/echo", { perMessageDeflate: false });
      provoke(ws);
      assert.equal((await ws.closed)[0], Number(code));
    }
    const ws = await open("/ws/chat?name=Node");
    assert.equal(JSON.parse(await ws.receive()).name, "Node");
    ws.send(Buffer.from("binary"));
    assert.deepEqual(await ws.closed, [1008, "The chat takes text only"]);
  },

  /** The server stops while a socket is open: it says that it goes away. */
  async drain() {
    const ws = await open("/ws/echo");
    ws.send("hello");
    assert.equal(await ws.receive(), "hello");
    console.log("ready");
    assert.equal((await ws.closed)[0], 1001);
  },
};

setTimeout(() => assert.fail(`${name} takes too long`), LIMIT).unref();
CASES[name]().then(() => console.log("done"));
