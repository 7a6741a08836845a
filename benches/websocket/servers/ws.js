// Node with ws: node --expose-gc ws.js [deflate]
//
// ws finds `bufferutil` beside it, which unmasks in C. GET /gc collects garbage.

"use strict";

const http = require("http");
const { WebSocket, WebSocketServer } = require("ws");

/** Bytes that may wait for a member before it is closed. */
const MOST_BEHIND = 128 << 10;

/** What the documentation of ws gives for many sockets, without context takeover. */
const DEFLATE = {
  zlibDeflateOptions: { chunkSize: 1024, memLevel: 7, level: 3 },
  zlibInflateOptions: { chunkSize: 10 * 1024 },
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 10,
  concurrencyLimit: 10,
  threshold: 1024,
};

const room = new Set();

const server = http.createServer((request, response) => {
  if (request.url === "/gc") {
    global.gc();
  }
  response.end("done");
});

const sockets = new WebSocketServer({
  server,
  clientTracking: false,
  maxPayload: 16 << 20,
  perMessageDeflate: process.argv[2] === "deflate" ? DEFLATE : false,
});

sockets.on("connection", (socket, request) => {
  socket.on("error", () => {});
  if (request.url === "/room") {
    room.add(socket);
    socket.on("close", () => room.delete(socket));
    socket.on("message", publish);
  } else {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  }
});

function publish(data, isBinary) {
  for (const member of room) {
    if (member.bufferedAmount > MOST_BEHIND) {
      member.terminate();
    } else if (member.readyState === WebSocket.OPEN) {
      member.send(data, { binary: isBinary });
    }
  }
}

server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
