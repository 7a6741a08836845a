// The page of the demo. What comes from the server gets onto it as text, never as markup.

const of = (id) => document.getElementById(id);

/** Shows a text. It leaves the same text alone, so a screen reader does not say it twice. */
function show(id, text, state = '') {
  const element = of(id);
  if (element.textContent !== text) element.textContent = text;
  element.className = `status ${state}`;
}

/** Adds a line to a box of at most 200. The box follows its end, unless its reader has scrolled back. */
function addLine(box, name, text, kind = '') {
  const follows = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const [line, who] = [document.createElement('p'), document.createElement('b')];
  line.className = kind;
  who.textContent = name;
  line.append(who, name && ' ', text);
  box.append(line);
  if (box.childElementCount > 200) box.firstElementChild.remove();
  if (follows) box.scrollTop = box.scrollHeight;
}

const since = (begin) => `${((performance.now() - begin) / 1000).toFixed(2)} s`;

// ---- routes

let asked = 0;

async function ask(request, body) {
  const number = asked += 1;
  const [method, target] = request.split(' ');
  const headers = { Accept: 'application/json' };
  if (body?.startsWith('{')) headers['Content-Type'] = 'application/json';
  show('reply-status', `${request}: waiting …`);
  const begin = performance.now();
  let [status, text] = ['no reply. Is the server running?', ''];
  try {
    const reply = await fetch(target, { method, body, headers });
    text = [...reply.headers].map(([name, value]) => `${name}: ${value}\n`).join('') + '\n' + await reply.text();
    status = `${reply.status} ${reply.statusText}, in ${since(begin)}`;
  } catch { /* The status says it. */ }
  if (number !== asked) return; // A later request was sent.
  show('reply-status', `${request}: ${status}`);
  of('reply').textContent = (body ? `sent: ${body}\n\n` : '') + text;
  of('reply').scrollTop = 0;
}

of('routes').addEventListener('click', ({ target }) => {
  if (target.tagName === 'BUTTON') ask(target.textContent, target.dataset.body);
});

// ---- chat

let socket;
let timer;
let failures = 0;
let wanted = of('name').value;
/** The name that the server has given, while connected. */
let me = '';
/** What was sent and has not come back. If the connection is lost, the user gets it back. */
let unheard = [];

function connect() {
  leave();
  socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws/chat?name=${encodeURIComponent(wanted)}`);
  timer = setTimeout(lost, 10_000);
  socket.onopen = () => clearTimeout(timer);
  socket.onmessage = ({ data }) => hear(JSON.parse(data));
  socket.onclose = lost;
}

function leave() {
  clearTimeout(timer);
  if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
  socket?.close();
  of('text').value = [...unheard, of('text').value].filter(Boolean).join(' ');
  unheard = [];
  me = '';
}

/** Connects after 250 ms, and after twice as long each time, up to 5 s. */
function lost() {
  leave();
  // The random part keeps all pages from coming back at the same moment.
  timer = setTimeout(connect, Math.min(5000, 250 * 2 ** failures) * (0.5 + Math.random() / 2));
  failures += 1;
  show('chat-status', `${navigator.onLine ? 'Not connected' : 'This browser is offline'}. Trying again …`, 'bad');
}

function hear({ kind, name, text, here }) {
  const log = of('log');
  if (kind === 'said') {
    if (name === me) unheard = unheard.slice(unheard.indexOf(text) + 1);
    addLine(log, name, text, name === me ? 'own' : '');
    return;
  }
  if (kind === 'welcome') {
    me = name;
    // A server that takes the page in and drops it at once is not asked more often.
    timer = setTimeout(() => failures = 0, 10_000);
    of('name').placeholder = name;
    addLine(log, '', `You are ${name}.`, 'news');
  } else if (name !== me) {
    addLine(log, '', `${name} has ${kind}.`, 'news');
  }
  show('chat-status', `Connected. ${here > 1 ? `${here} people are` : 'Nobody else is'} here.`, 'good');
}

of('join').addEventListener('submit', (event) => {
  event.preventDefault();
  wanted = of('name').value;
  show('chat-status', 'Connecting …');
  connect();
});

of('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const typed = of('text').value.trim();
  // Without a connection, the text stays where it is.
  if (!me || socket.readyState !== WebSocket.OPEN || !typed) return;
  // What was given back may be longer than a message.
  const text = typed.slice(0, 1000);
  socket.send(text);
  unheard.push(text);
  of('text').value = typed.slice(1000);
});

/** Does not wait for the next attempt. */
function hurry() {
  if (document.hidden || socket.readyState <= WebSocket.OPEN) return;
  failures = 0;
  connect();
}

addEventListener('online', hurry);
// Browsers slow down the timers of a hidden page.
document.addEventListener('visibilitychange', hurry);
connect();

// ---- events

let source;

of('listen').addEventListener('click', () => {
  of('listen').textContent = source ? 'Start' : 'Stop';
  if (source) {
    source.close();
    source = undefined;
    show('events-status', 'Not listening.');
    return;
  }
  // Not from the start: all tabs share six connections to a server.
  source = new EventSource('/events');
  show('events-status', 'Connecting …');
  source.onopen = () => show('events-status', 'Listening.', 'good');
  source.onerror = () => show('events-status', 'Not connected. Trying again …', 'bad');
  source.addEventListener('tick', ({ data }) => addLine(of('events'), '', `tick ${JSON.parse(data).tick}`));
});

// ---- upload

let upload;

function send(content) {
  upload?.abort();
  upload = new XMLHttpRequest(); // `fetch` tells no progress.
  const begin = performance.now();
  const tell = (text, state) => show('upload-status', text, state);
  const advance = (part) => {
    of('progress').value = 100 * part;
    of('percent').textContent = `${Math.floor(100 * part)} %`;
  };
  upload.upload.onprogress = ({ loaded, total }) => advance(loaded / total);
  upload.onload = ({ target: { status, response } }) => {
    if (status !== 200) return tell(`The server answered ${status}.`, 'bad');
    advance(1);
    tell(`${response.bytes} bytes came in ${since(begin)}. CRC-32: ${response.crc32}.`, 'good');
  };
  upload.onerror = () => tell('The connection was lost.', 'bad');
  upload.onabort = () => tell('It was cancelled.', 'bad');
  upload.responseType = 'json';
  upload.open('POST', '/upload');
  upload.send(content);
  advance(0);
  tell('Uploading …');
}

of('upload').addEventListener('submit', (event) => {
  event.preventDefault();
  const [file] = of('file').files;
  if (file) send(file);
  else show('upload-status', 'Choose a file first.', 'bad');
});
of('zeroes').addEventListener('click', () => send(new Blob([new Uint8Array(64 * 2 ** 20)])));
of('cancel').addEventListener('click', () => upload?.abort());
