// The figures beside the slab: the strip of ticks, the parts, queues, the timer wheel, memory, counters.

import { each, make, of, pairs, set } from './dom.js';
import { COUNTS, PARTS, QUEUES } from './texts.js';
import { bytes, micros, seconds } from './units.js';

/** Writes rows of texts into the body of a table. */
function rows(table, list) {
  each(table.tBodies[0], list, () => make('tr'), (row, texts) => each(row, texts, cell, set));
}

/** The first cell of a row says what the row is about. */
function cell(column) {
  const element = make(column ? 'td' : 'th');
  if (!column) element.scope = 'row';
  return element;
}

// ---- the tick

const strip = of('strip');
const context = strip.getContext('2d');
/** The columns of the strip: for each, the microseconds of all parts. The first of them is the waiting. */
let columns = [];
let before;

/** The least and the most working time of a column in the picture, in microseconds; the height is its logarithm. */
const [LEAST, MOST] = [1, 4e6];

/** Takes the times of a frame. In slow motion a column is one tick; else it is what happened since the last frame. */
export function showTick(frame) {
  const { parts, tick, speed } = frame;
  const restarted = !before || before.tick > tick;
  const ticks = restarted ? 0 : tick - before.tick;
  const since = parts.map(({ total }, index) => Math.max(0, total - (restarted ? 0 : before.totals[index])));
  const whole = since.reduce((sum, time) => sum + time, 0);
  before = { tick, totals: parts.map(({ total }) => total) };
  set(of('tick-count'), `number ${tick.toLocaleString('en')}`);
  if (ticks > 0) {
    columns = [...columns, since].slice(-240);
    draw();
    const work = whole - since[0];
    set(of('strip-scale'), `The last column: ${ticks === 1 ? 'one tick' : `${ticks.toLocaleString('en')} ticks`}, `
      + `waited ${micros(since[0])}, worked ${micros(work)}. The height is logarithmic, up to ${micros(MOST)}.`);
    showParts(parts, since, whole, speed.single);
  }
}

/** What the parts took in the last second or so, smoothed, so that the figures can be read. */
let smooth = [];

function showParts(parts, since, whole, single) {
  set(of('parts-time'), single ? 'of this tick' : 'of the time');
  smooth = since.map((time, index) => {
    const share = whole ? time / whole : 0;
    return single || smooth[index] === undefined ? share : smooth[index] * 0.7 + share * 0.3;
  });
  rows(of('parts'), parts.map(({ name, last }, index) => [
    name,
    `${(100 * smooth[index]).toFixed(smooth[index] < 0.1 ? 2 : 1)} %`,
    micros(last),
  ]));
  [...of('parts').tBodies[0].rows].forEach((row, index) => {
    const { name } = parts[index];
    if (row.dataset.part !== name) {
      row.dataset.part = name;
      row.title = PARTS[name];
    }
  });
}

let colours;

/** The colours are those of the style sheet, so that they follow the dark mode. */
function readColours() {
  const style = getComputedStyle(document.documentElement);
  colours = Object.keys(PARTS).map((part) => style.getPropertyValue(`--${part}`).trim());
  colours.line = style.getPropertyValue('--line').trim();
}

function fit() {
  const scale = devicePixelRatio || 1;
  const width = Math.max(1, Math.round(strip.clientWidth * scale));
  const height = Math.max(1, Math.round(strip.clientHeight * scale));
  if (strip.width !== width || strip.height !== height) [strip.width, strip.height] = [width, height];
  return scale;
}

function draw() {
  if (!colours) readColours();
  const scale = fit();
  const { width, height } = strip;
  context.clearRect(0, 0, width, height);
  context.fillStyle = colours.line;
  // Lines at 10 µs, 1 ms and 100 ms.
  for (const time of [10, 1e3, 1e5]) context.fillRect(0, height - heightOf(time, height), width, 1);
  const step = 5 * scale;
  const shown = columns.slice(-Math.floor(width / step));
  shown.forEach((times, index) => {
    const x = width - (shown.length - index) * step;
    const work = times.reduce((sum, time, part) => sum + (part ? time : 0), 0);
    const full = heightOf(work, height);
    let y = height;
    for (let part = 1; part < times.length && work > 0; part += 1) {
      const piece = full * times[part] / work;
      context.fillStyle = colours[part];
      context.fillRect(x, y - piece, step - scale, piece);
      y -= piece;
    }
  });
}

function heightOf(time, height) {
  const part = Math.log(Math.max(time, LEAST) / LEAST) / Math.log(MOST / LEAST);
  return Math.max(1, Math.min(1, part) * height);
}

addEventListener('resize', draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  colours = undefined;
  draw();
});

// ---- queues, wheel, memory

/** The width of a slot of the wheel, in milliseconds, and how many of them are drawn together. */
const [WHEEL_SLOT, TOGETHER, BARS] = [250, 4, 70];

export function showWork({ queues, wheel }) {
  pairs(of('queues'), Object.entries(QUEUES).map(([key, [name, meaning]]) => [name, String(queues[key]), meaning]));
  const element = of('wheel');
  const bars = new Array(BARS).fill(0);
  let count = 0;
  for (const [due, connections] of wheel) {
    bars[Math.min(BARS - 1, Math.floor(due / WHEEL_SLOT / TOGETHER))] += connections;
    count += connections;
  }
  each(element, bars, () => make('i'), (bar, connections) => {
    // Steps of ten, so that the style of a bar seldom changes.
    const level = connections && Math.min(10, 2 + Math.ceil(2 * Math.log2(connections)));
    if (bar.dataset.level !== String(level)) bar.dataset.level = level;
  });
  set(of('wheel-count'), `${count} ${count === 1 ? 'connection is' : 'connections are'} armed`);
  set(of('wheel-end'), `in ${seconds((BARS - 1) * TOGETHER * WHEEL_SLOT)} or later`);
  const next = wheel.length ? `the first comes up in ${seconds(wheel[0][0])}` : 'nothing is armed';
  element.ariaLabel = `Timer wheel: ${next}`;
}

export function showMemory({ memory: [used, limit], pools }) {
  const meter = of('budget');
  meter.value = limit ? used / limit : 0;
  set(of('budget-text'), limit ? `${bytes(used)} of ${bytes(limit)} in use` : `${bytes(used)} in use, without a limit`);
  rows(of('pools'), pools.map(({ name, lent, kept, bytes: size }) => [name, String(lent), String(kept), bytes(size)]));
}

// ---- counters

/** Some frames, to compute rates over a second. */
let samples = [];

export function showCounts({ counts, now }) {
  if (samples.length && (samples[0].now > now || samples[0].replies > counts.replies)) samples = [];
  samples.push({ now, replies: counts.replies, sent: counts.sent });
  while (samples.length > 2 && samples[0].now < now - 1500) samples.shift();
  const [first] = samples;
  const time = (now - first.now) / 1000;
  const rate = time > 0.2 ? (counts.replies - first.replies) / time : 0;
  const flow = time > 0.2 ? (counts.sent - first.sent) / time : 0;
  const whole = (number) => Math.round(number).toLocaleString('en');
  const timeouts = Object.entries(counts.timeouts).map(([name, count]) => `${count} ${name}`).join(', ');
  pairs(of('counts'), [
    ['requests per second', whole(rate)],
    ['replies', whole(counts.replies)],
    ['cut short', whole(counts.cut)],
    ['failed', whole(counts.failed)],
    ['accepted', whole(counts.accepted)],
    ['ended', whole(counts.closed)],
    ['timeouts', timeouts || '0'],
    ['messages', whole(counts.messages)],
    ['received', bytes(counts.received)],
    ['sent', `${bytes(counts.sent)}${flow >= 1 ? `, ${bytes(Math.round(flow))}/s` : ''}`],
  ].map(([name, value]) => [name, value, COUNTS[name]]));
  const reasons = Object.entries(counts.reasons).sort(([, a], [, b]) => b - a);
  each(of('reasons'), reasons, () => make('li'), (item, [reason, count]) => set(item, `${count} ended: ${reason}`));
}
