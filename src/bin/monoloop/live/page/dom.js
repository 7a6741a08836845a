// How the page writes to its document. Frames come ten times a second, so elements stay, and only what differs is
// written: a reader can select text, and a screen reader says nothing twice.

export const of = (id) => document.getElementById(id);

/** Writes a text, unless it is there. */
export function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes an element with a text. */
export function make(kind, text = '') {
  const element = document.createElement(kind);
  element.textContent = text;
  return element;
}

/** Gives `parent` one child for each entry: `grow` makes a child that is missing, and `write` writes an entry to it. */
export function each(parent, entries, grow, write) {
  while (parent.children.length > entries.length) parent.lastElementChild.remove();
  entries.forEach((entry, index) => write(parent.children[index] ?? parent.appendChild(grow(index)), entry));
}

/** Writes pairs of a name and a value into a list of definitions. A pair may have a meaning, which is its tooltip. */
export function pairs(list, entries) {
  const grow = () => {
    const group = make('div');
    group.append(make('dt'), make('dd'));
    return group;
  };
  each(list, entries, grow, (group, [name, value, meaning]) => {
    set(group.children[0], name);
    set(group.children[1], value);
    if (meaning && group.title !== meaning) group.title = meaning;
  });
}
