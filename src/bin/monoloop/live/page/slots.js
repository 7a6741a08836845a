// The slab as a grid of slots. A slot is one element that stays; only what has changed is written to it.

import { make, of, pairs, set } from './dom.js';
import { PHASES, SIGNS, TIMEOUTS } from './texts.js';
import { bytes, seconds } from './units.js';

const grid = of('slots');
const detail = of('detail');

/** How many slots are shown at least, and how many of those without a connection. */
const [LEAST, MAX_EMPTY] = [72, 256];

/** The elements by slot, and the connections that they show. */
const cells = [];
let views = new Map();
let active = -1;
/** When the last frame came, to count deadlines down. Not while the clock of the loop stands still. */
let shownAt = 0;
let clockStands = false;

/** Shows the connections of a frame. */
export function showSlots({ table, open, shown }, speed) {
  views = new Map(shown.map((view) => [view.slot, view]));
  const highest = shown.length ? shown[shown.length - 1].slot + 1 : 0;
  const count = Math.max(highest, Math.min(table, MAX_EMPTY), LEAST);
  while (cells.length < count) cells.push(grid.appendChild(cell(cells.length)));
  while (cells.length > count) cells.pop().remove();
  cells.forEach((element, slot) => paint(element, views.get(slot), slot < table));
  const hidden = open > shown.length ? `, ${open - shown.length} more are not shown` : '';
  const connections = open === 1 ? 'connection' : 'connections';
  set(of('slab-count'), `${open} ${connections} in a table of ${table} slots${hidden}`);
  shownAt = performance.now();
  clockStands = speed.single;
  describe();
}

function cell(slot) {
  const element = make('div');
  element.role = 'option';
  element.id = `slot-${slot}`;
  element.dataset.slot = slot;
  return element;
}

/** Writes what differs. A name for screen readers is made only for the slot that is looked at. */
function paint(element, view, exists) {
  const phase = view?.phase ?? (exists ? 'empty' : 'beyond');
  const held = view?.held ? 'held' : '';
  const queue = view?.queue ?? '';
  const key = `${phase} ${held} ${queue}`;
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.className = `slot ${phase} ${held} ${queue && 'queued'}`;
  element.textContent = view ? PHASES[phase][0] : '';
}

// ---- the slot that is looked at

function look(slot, isFocus = false) {
  if (cells[active]) {
    cells[active].classList.remove('active');
    cells[active].ariaSelected = null;
  }
  active = slot;
  cells[active]?.classList.add('active');
  if (isFocus && cells[active]) {
    grid.setAttribute('aria-activedescendant', cells[active].id);
    cells[active].scrollIntoView({ block: 'nearest' });
  }
  describe();
}

/** Says what is known of a connection, as a list of name and value. */
function lines(view, passed) {
  const [, name, meaning] = PHASES[view.phase];
  const list = [
    ['peer', view.peer],
    ['phase', `${name}: ${meaning}`],
  ];
  if (view.detail) list.push(['detail', view.detail]);
  list.push(['owes', view.owed ? bytes(view.owed) : 'nothing']);
  if (view.held) list.push(['held', 'yes: it is not read until its client takes some of what it is owed']);
  if (view.received) list.push(['received', `${bytes(view.received)} that wait to be parsed`]);
  // The rest of what it owes is static or shared, or in a file.
  const rest = view.owed > (view.memory ?? 0) ? ', without content that is static, shared or in a file' : '';
  if (view.memory) list.push(['memory', `${bytes(view.memory)}${rest}`]);
  list.push(['waits', view.queue ? `in the queue “${view.queue}”` : 'for an event of the kernel']);
  list.push(['silent for', seconds(view.idle + passed)]);
  if (view.deadline) {
    const [timeout, left] = view.deadline;
    list.push(['next deadline', `in ${seconds(Math.max(0, left - passed))}: ${TIMEOUTS[timeout] ?? timeout}`]);
  }
  return list;
}

let described = '';

function describe() {
  if (active < 0 || !cells[active]) return;
  const view = views.get(active);
  const passed = clockStands ? 0 : performance.now() - shownAt;
  const title = view ? `Slot ${active}: connection ${view.id}` : `Slot ${active} is free`;
  cells[active].ariaLabel = view ? `${title}, ${PHASES[view.phase][1]}, from ${view.peer}` : title;
  cells[active].ariaSelected = 'true';
  // The region is live, and figures change all the time: a screen reader is told when the connection or phase changes.
  const news = `${title} ${view?.phase}`;
  detail.ariaLive = news === described ? 'off' : 'polite';
  described = news;
  const free = cells[active].classList.contains('beyond')
    ? 'The table is not that long yet. It grows twofold when it is full.'
    : 'The next connection takes the slot that was left last.';
  fill(title, view ? lines(view, passed) : [['slot', free]]);
}

function fill(title, list) {
  // At first, the place has a hint.
  if (!detail.querySelector('dl')) detail.replaceChildren(make('h3'), make('dl'));
  set(detail.querySelector('h3'), title);
  pairs(detail.querySelector('dl'), list);
}

const slotOf = (target) => (target.dataset?.slot === undefined ? -1 : Number(target.dataset.slot));

grid.addEventListener('pointerover', ({ target }) => slotOf(target) >= 0 && look(slotOf(target)));
grid.addEventListener('click', ({ target }) => slotOf(target) >= 0 && look(slotOf(target), true));
grid.addEventListener('focus', () => look(Math.max(active, 0), true));
grid.addEventListener('keydown', (event) => {
  const columns = getComputedStyle(grid).gridTemplateColumns.split(' ').length;
  const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity };
  const move = moves[event.key];
  if (move === undefined) return;
  event.preventDefault();
  look(Math.min(Math.max(active + move, 0), cells.length - 1), true);
});

// Deadlines come nearer between two frames, too.
setInterval(describe, 250);

// ---- the legend

/** Adds a slot of these classes, with what it says. */
function explain(classes, letter, name, meaning) {
  const [item, sample] = [make('li'), make('span', letter)];
  sample.className = `slot ${classes}`;
  sample.ariaHidden = 'true';
  item.title = meaning;
  item.append(sample, ` ${name}`);
  of('legend').append(item);
}

for (const [phase, words] of Object.entries(PHASES)) explain(phase, ...words);
for (const [sign, name, meaning] of SIGNS) explain(`sample ${sign}`, '', name, meaning);
