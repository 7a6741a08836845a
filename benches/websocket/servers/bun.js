// Bun: bun bun.js [deflate]
//
// Its WebSockets are uWebSockets, and the room is one of its topics. GET /gc collects garbage.

const hasDeflate = process.argv[2] === "deflate";

/** Bytes that may wait for a member before it is closed. */
const MOST_BEHIND = 128 << 10;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    const path = new URL(request.url).pathname;
    if (path === "/gc") {
      Bun.gc(true);
      return new Response("done");
    }
    if ((path === "/echo" || path === "/room") && server.upgrade(request, { data: path === "/room" })) {
      return;
    }
    return new Response("Not Found", { status: 404 });
  },
  websocket: {
    // One compressor and one decompressor for all sockets.
    perMessageDeflate: hasDeflate ? { compress: "shared", decompress: "shared" } : false,
    maxPayloadLength: 16 << 20,
    idleTimeout: 0,
    sendPings: false,
    backpressureLimit: MOST_BEHIND,
    closeOnBackpressureLimit: true,
    open(socket) {
      if (socket.data) {
        socket.subscribe("room");
      }
    },
    message(socket, message) {
      if (socket.data) {
        server.publish("room", message);
      } else {
        socket.send(message, hasDeflate && message.length >= 1024);
      }
    },
  },
});

console.log(`listening on http://127.0.0.1:${server.port}`);
