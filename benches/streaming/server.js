// The same endpoints on Node's own HTTP server, one process: node server.js
//
// It is written for speed and low memory: everything waits for its client, and nothing is held.
'use strict';

const http = require('node:http');
const { pipeline } = require('node:stream');

const PIECE = Buffer.alloc(64 << 10, 'x');

const listeners = new Set();
let ticks = 0;

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  if (request.method === 'POST' && url.pathname === '/echo') {
    echo(request, response);
  } else if (request.method === 'GET' && url.pathname === '/big') {
    big(Number(url.searchParams.get('mib') ?? 50) * (1 << 20), response);
  } else if (request.method === 'GET' && url.pathname === '/events') {
    listen(request, response);
  } else {
    response.writeHead(404, { 'Content-Length': 0 }).end();
  }
});

function echo(request, response) {
  const fields = { 'Content-Type': request.headers['content-type'] ?? 'application/octet-stream' };
  if (request.headers['content-length']) {
    fields['Content-Length'] = request.headers['content-length'];
  }
  response.writeHead(200, fields);
  pipeline(request, response, () => {});
}

// A loop of writes that stops for 'drain': cheaper than a Readable, and far cheaper than Readable.from a generator.
function big(left, response) {
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': left });
  (function fill() {
    while (left > 0) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      left -= piece.length;
      if (!response.write(piece)) {
        response.once('drain', fill);
        return;
      }
    }
    response.end();
  })();
}

function listen(request, response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  response.flushHeaders();
  listeners.add(response);
  response.on('close', () => listeners.delete(response));
}

// One timer and one write for each client; one that does not read misses events.
setInterval(() => {
  const event = Buffer.from(`data: ${++ticks}\n\n`);
  for (const response of listeners) {
    if (!response.writableNeedDrain) {
      response.write(event);
    }
  }
}, 1000);

// The timeouts would end long transfers.
server.requestTimeout = 0;
server.keepAliveTimeout = 3600 * 1000;
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
