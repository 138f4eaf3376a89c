// Building the page. Text only ever enters as a text node, so nothing that a feed says becomes markup.

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element. Attributes that are `null`, `undefined` or `false` are left out, `true` is written empty;
 * `on…` are listeners; children are nodes or text, and those that are `null` or `false` are left out.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/**
 * Shows `rows` in `list`, doing nothing when they read the same as before, so that a click or the keyboard's place
 * is not lost to a refresh. `key` names a row; `draw` makes its `<li>`; focus stays with the row and control it was in.
 */
export function showRows(list, rows, key, draw) {
  const now = JSON.stringify(rows);
  if (list.dataset.shown === now) return;
  list.dataset.shown = now;
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const focusedRow = focused?.closest('li')?.dataset.key;
  const focusedControl = focused?.dataset.control;
  list.replaceChildren(...rows.map((row) => {
    const item = draw(row);
    item.dataset.key = key(row);
    return item;
  }));
  if (focusedRow === undefined) return;
  const again = [...list.children].find((item) => item.dataset.key === focusedRow);
  const control = again && ([...again.querySelectorAll('button')].find((one) => one.dataset.control === focusedControl)
    ?? again.querySelector('button'));
  control?.focus({ preventScroll: true });
}

/** Shows a problem in the paragraph with this id, or hides it when `text` is empty. */
export function showProblem(id, text) {
  const place = byId(id);
  if (place.textContent !== text) place.textContent = text;
  place.hidden = text === '';
}
