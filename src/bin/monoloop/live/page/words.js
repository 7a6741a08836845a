// What the words of the page mean, below each table or list. A tap on a word opens it, and so does its summary, which
// the keyboard reaches. A mouse that rests on a word shows the same as a tooltip.

import { COUNTS, PARTS, PHASES, QUEUES, SIGNS } from './texts.js';

/** Adds the meanings of words after an element, as pairs of a word and its meaning. */
function explain(element, entries) {
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  const list = document.createElement('dl');
  summary.textContent = 'What these words mean';
  for (const [word, meaning] of entries) {
    const [term, text] = [document.createElement('dt'), document.createElement('dd')];
    term.textContent = word;
    text.textContent = meaning;
    list.append(term, text);
  }
  details.className = 'words';
  details.append(summary, list);
  element.after(details);
  element.addEventListener('click', ({ target }) => {
    if (target.closest('[title]')) details.open = true;
  });
}

const of = (id) => document.getElementById(id);
explain(of('legend'), [...Object.values(PHASES), ...SIGNS].map(([, name, meaning]) => [name, meaning]));
explain(of('parts'), Object.entries(PARTS));
explain(of('queues'), Object.values(QUEUES));
explain(of('counts'), Object.entries(COUNTS));
