// The live page: its connection to the second loop, its buttons, and the sentences. It shows what comes and computes
// little. What comes gets onto the page as text, never as markup.

import { make, of, set } from './dom.js';
import { showCounts, showMemory, showTick, showWork } from './figures.js';
import { showSlots } from './slots.js';
import { LESSONS, STAGES } from './texts.js';
import { seconds } from './units.js';
import './words.js';

/** Most sentences on the page. Of rare events some stay while plain ones push the others out. */
const [MAX_SENTENCES, MAX_RARE] = [100, 40];

// ---- the feed

let feed;
let ended = false;
let paused = false;
let lastFrame = 0;
let atFullSpeed = true;
/** The next frame to be drawn. A hidden page, or one that is slower than the feed, draws the last one only. */
let waiting;

function connect() {
  feed = new WebSocket(`${location.origin.replace('http', 'ws')}/_live/feed`);
  feed.onopen = () => tell('Connected.', 'good');
  feed.onmessage = ({ data }) => take(JSON.parse(data));
  feed.onclose = ({ reason }) => {
    if (!ended) tell(`${reason || 'No connection to the server'}. Trying again …`, 'bad');
    if (!ended) stage('unknown');
    setTimeout(connect, 2000);
  };
}

function send(order) {
  if (feed.readyState === WebSocket.OPEN) feed.send(JSON.stringify(order));
  else lesson('There is no connection to the server, so nothing happens.');
}

function take(message) {
  if (message.kind === 'frame') {
    ended = false;
    lastFrame = performance.now();
    sentences(message.sentences, message.left_out);
    const wasWaiting = waiting;
    waiting = message;
    // In slow motion each tick counts, so none of them is skipped.
    if (wasWaiting && message.speed.single) draw();
    else if (!wasWaiting) requestAnimationFrame(draw);
  } else if (message.kind === 'started') {
    lesson(LESSONS[message.what]);
  } else if (message.kind === 'refused') {
    lesson(message.why);
  } else if (message.kind === 'measured') {
    note([{ text: message.text, rare: true }]);
    speak(message.text);
    if (of('lesson').textContent === LESSONS.block) lesson(`${LESSONS.block} ${message.text}`);
  } else if (message.kind === 'ended') {
    ended = true;
    requestAnimationFrame(() => {
      stage('ended');
      of('left').hidden = true;
    });
    tell(`${message.how} Start it again to go on.`, 'bad');
    note([{ text: message.how, rare: true }]);
  }
}

function draw() {
  const frame = waiting;
  waiting = undefined;
  if (!frame) return;
  stage(ended ? 'ended' : frame.stage);
  drain(frame);
  speed(frame.speed);
  showSlots(frame.slots, frame.speed);
  showTick(frame);
  showWork(frame);
  showMemory(frame);
  showCounts(frame);
  document.body.dataset.frame = frame.tick;
}

/** The text of the connection. */
function tell(text, state) {
  set(of('link'), text);
  of('link').className = state;
}

function stage(name) {
  const element = of('stage');
  if (element.dataset.stage === name) return;
  element.dataset.stage = name;
  element.textContent = STAGES[name];
}

/** In a drain: what holds up the end, and for how long. Nothing begins a drain twice. */
function drain({ stage: name, slots, cut }) {
  of('drain').disabled = name !== 'serving';
  of('left').hidden = cut === undefined || ended;
  if (cut === undefined) return;
  const { open } = slots;
  const [what, which] = open === 1 ? ['connection is', 'it is'] : ['connections are', 'they are'];
  of('left').textContent = `${open} ${what} left; ${which} cut off in ${seconds(cut)} at the latest.`;
}

// The demo has a timer of one second. So if no frame comes for longer at full speed, the loop is within a tick.
setInterval(() => {
  const silence = performance.now() - lastFrame;
  const blocked = !ended && atFullSpeed && lastFrame && feed.readyState === WebSocket.OPEN && silence > 1300;
  document.body.classList.toggle('blocked', Boolean(blocked));
  if (blocked) tell(`No tick has ended for ${(silence / 1000).toFixed(0)} s: a handler blocks the loop.`, 'bad');
  else if (of('link').textContent.startsWith('No tick')) tell('Connected.', 'good');
}, 250);

// ---- sentences

/** Shows sentences, the newest first. */
function note(list) {
  const box = of('sentences');
  const fresh = document.createDocumentFragment();
  for (const { text, rare } of list.slice(-MAX_SENTENCES).reverse()) {
    const item = make('li', text);
    if (rare) item.className = 'rare';
    fresh.append(item);
  }
  // A reader who has scrolled down keeps the place.
  const [was, top] = [box.scrollHeight, box.scrollTop];
  box.prepend(fresh);
  [...box.querySelectorAll('.rare')].slice(MAX_RARE).forEach((item) => item.remove());
  const most = MAX_SENTENCES - box.querySelectorAll('.rare').length;
  [...box.querySelectorAll('li:not(.rare)')].slice(most).forEach((item) => item.remove());
  if (top > 0) box.scrollTop = top + box.scrollHeight - was;
}

let missed = 0;
let spokeAt = 0;

function sentences(list, leftOut) {
  missed += leftOut;
  of('left-out').textContent = missed ? `${missed.toLocaleString('en')} more have no sentence` : '';
  if (list.length) note(list);
  // A screen reader hears of rare events only, and not more often than each 4 s.
  const rare = list.filter((sentence) => sentence.rare);
  if (rare.length && performance.now() - spokeAt > 4000) speak(rare[rare.length - 1].text);
}

function speak(text) {
  spokeAt = performance.now();
  of('spoken').textContent = text;
}

// ---- buttons

function lesson(text) {
  of('lesson').textContent = text;
}

// Its lesson comes when the experiment has started, so that one that is refused shows only why.
of('buttons').addEventListener('click', ({ target }) => {
  const { what } = target.dataset;
  if (what) send({ order: 'start', what });
});
of('stop').addEventListener('click', () => {
  lesson(LESSONS.stop);
  send({ order: 'stop' });
});

/** A drain ends the command, so it takes two clicks. */
let sure = 0;
of('drain').addEventListener('click', () => {
  clearTimeout(sure);
  if (of('drain').dataset.sure) {
    delete of('drain').dataset.sure;
    of('drain').textContent = 'Drain';
    lesson(LESSONS.drain);
    send({ order: 'drain' });
    return;
  }
  of('drain').dataset.sure = 'yes';
  of('drain').textContent = 'Drain: sure?';
  lesson(`${LESSONS.drain} Click once more to begin.`);
  sure = setTimeout(() => {
    delete of('drain').dataset.sure;
    of('drain').textContent = 'Drain';
  }, 8000);
});

// ---- the speed

function speed({ paused: isPaused, delay, single }) {
  paused = isPaused;
  atFullSpeed = !single;
  document.body.classList.toggle('paused', paused);
  for (const button of document.querySelectorAll('#speed [data-delay]')) {
    press(button, !paused && Number(button.dataset.delay) === delay);
  }
  press(of('pause'), paused);
  set(of('pause'), paused ? 'Go on' : 'Pause');
}

function press(button, is) {
  if (button.ariaPressed !== String(is)) button.ariaPressed = String(is);
}

of('speed').addEventListener('click', ({ target }) => {
  const { delay } = target.dataset;
  if (delay === undefined) return;
  lesson(Number(delay) ? LESSONS.speed : LESSONS.resume);
  send({ order: 'speed', delay: Number(delay) });
});
of('pause').addEventListener('click', () => {
  lesson(paused ? LESSONS.resume : LESSONS.pause);
  send({ order: paused ? 'resume' : 'pause' });
});
of('step').addEventListener('click', () => {
  lesson(LESSONS.step);
  send({ order: 'step' });
});

connect();
