// Node's own HTTP server, one process: node node.js PORT
'use strict';

const http = require('node:http');

const PLAINTEXT = 'Hello, World!';
const BIG = Buffer.alloc(1 << 20, 'x');

const server = http.createServer((request, response) => {
  if (request.method === 'GET' && request.url === '/plaintext') {
    reply(response, 'text/plain', PLAINTEXT);
  } else if (request.method === 'GET' && request.url === '/json') {
    reply(response, 'application/json', JSON.stringify({ message: 'Hello, World!' }));
  } else if (request.method === 'POST' && request.url === '/echo') {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => reply(response, 'application/octet-stream', Buffer.concat(chunks)));
  } else if (request.method === 'GET' && request.url === '/big') {
    reply(response, 'application/octet-stream', BIG);
  } else {
    response.writeHead(404, { 'Content-Length': 0 });
    response.end();
  }
});

function reply(response, contentType, content) {
  response.writeHead(200, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(content) });
  response.end(content);
}

server.keepAliveTimeout = 3600 * 1000;
server.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });
