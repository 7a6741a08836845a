// What the words of the page mean, below each table or list. A tap on a word opens it, and so does its summary, which
// the keyboard reaches. A mouse that rests on a word shows the same as a tooltip.

import { make, of, pairs } from './dom.js';
import { COUNTS, PARTS, PHASES, QUEUES, SIGNS } from './texts.js';

/** Adds the meanings of words after an element, as pairs of a word and its meaning. */
function explain(element, entries) {
  const [details, list] = [make('details'), make('dl')];
  pairs(list, entries);
  details.className = 'words';
  details.append(make('summary', 'What these words mean'), list);
  element.after(details);
  element.addEventListener('click', ({ target }) => {
    if (target.closest('[title]')) details.open = true;
  });
}

explain(of('legend'), [...Object.values(PHASES), ...SIGNS].map(([, name, meaning]) => [name, meaning]));
explain(of('parts'), Object.entries(PARTS));
explain(of('queues'), Object.values(QUEUES));
explain(of('counts'), Object.entries(COUNTS));
