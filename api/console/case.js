// One case: what it is, its clocks, why it is whose it is, what may be the same, its moves, and the next legal ones as buttons.

import { countdown } from './countdown.js';
import { byId, element, showProblem } from './dom.js';
import { localTime, millis } from './format.js';
import { ask } from './server.js';

const FIELDS = {
  decline: ['reason'], return: ['reason'], withdraw: ['reason'], redo: ['reason'], answer: ['text'], note: ['text'],
  reply: ['result', 'text'], call_back: ['reached', 'resolved', 'rating'], rate: ['resolved', 'rating'], transfer: ['office', 'reason'],
  extend: ['amount', 'reason'], pause: ['reason'], merge: ['parent'], locate: ['address'],
};
const CHOICES = {
  reached: ['yes', 'no'], resolved: ['yes', 'partly', 'no'], rating: ['5', '4', '3', '2', '1'], result: ['resolved', 'explained', 'unfounded'],
};
const PAUSES = ['waiting_caller', 'waiting_other', 'force_majeure'];
/** Its parts are a list that no form of this page has. */
const NOT_OFFERED = ['split'];
const OPEN = ['new', 'accepted', 'dispatched', 'handling', 'replied'];

/** The body of a move, from what a form says. */
export function bodyOf(move, said) {
  const body = { move, ...said };
  if ('rating' in body) body.rating = Number(body.rating);
  if ('reached' in body) body.reached = body.reached === 'yes';
  if (body.reached === false) {
    delete body.resolved;
    delete body.rating;
  }
  return body;
}

/** Starts the place of a case. `others` are those of the list; `changed` is told when something was done. */
export function startCase({ show, mark, others, changed }) {
  const place = byId('case');
  let opened = null;

  async function open(id) {
    opened = id;
    place.dataset.shown = '';
    await refresh();
    place.scrollIntoView({ block: 'nearest' });
    place.querySelector('h3')?.focus();
  }

  function close() {
    opened = null;
    place.hidden = true;
    mark(null);
  }

  async function refresh() {
    if (opened === null) return;
    const id = encodeURIComponent(opened);
    try {
      const parts = ['', '/moves', '/clocks', '/duplicates', '/why'].map((part) => ask(`/v1/cases/${id}${part}`).then(({ body }) => body));
      const [one, { moves }, { clocks }, { duplicates }, why] = await Promise.all(parts);
      if (one.id === opened) draw(one, moves, clocks, duplicates, why);
    } catch (problem) {
      showProblem('cases-message', problem.message);
    }
  }

  function draw(one, moves, clocks, duplicates, why) {
    const now = JSON.stringify([one.version, one.card, clocks, duplicates]);
    // What somebody is writing is not taken away by a refresh.
    if (place.dataset.shown === now || place.querySelector('form')) return;
    place.dataset.shown = now;
    place.hidden = false;
    place.dataset.case = one.id;
    mark(one.lon === null ? null : [one.lon, one.lat]);
    place.replaceChildren(...[
      element('div', { class: 'case-title' },
        element('h3', { tabindex: '-1' }, one.number),
        element('span', { class: 'case-state' }, one.state),
        element('button', { type: 'button', 'data-control': 'close-case', onclick: close }, 'Close')),
      element('p', { class: 'quiet' }, [one.kind, one.layer, one.channel, one.office && `with ${one.office}`].filter(Boolean).join(', ')),
      one.parent ? element('p', {}, 'Merged into ', element('button', { type: 'button', onclick: () => open(one.parent) }, nameOf(one.parent))) : null,
      one.lon === null ? element('p', { class: 'quiet' }, 'Nobody knows where.')
        : element('button', { type: 'button', 'data-control': 'on-map', onclick: () => show([one.lon, one.lat]) }, 'On the map'),
      element('div', { class: 'moves', role: 'group', 'aria-label': 'Next moves' }, one.legal.filter((move) => !NOT_OFFERED.includes(move))
        .map((move) => element('button', { type: 'button', 'data-move': move, onclick: () => begin(one, move) }, move.replace('_', ' ')))),
      whyOf(why),
      element('h4', {}, 'Clocks'),
      element('ul', { class: 'clocks' }, clocks.map((clock) => element('li', { 'data-card': clock.card, 'data-clock': clock.name },
        element('b', {}, clock.name), ` ${clock.state}, due ${localTime(millis(clock.due))}`,
        clock.state === 'running' ? [', ', countdown(clock.due)] : null,
        clock.card === 'none' ? null : element('span', { class: 'card-word' }, ` ${clock.card} card`)))),
      duplicates.length === 0 ? null : element('h4', {}, 'Perhaps the same'),
      duplicates.length === 0 ? null : element('ul', { class: 'duplicates' }, duplicates.map((other) => element('li', {},
        element('button', { type: 'button', onclick: () => open(other.case) }, nameOf(other.case)), ` ${Math.round(other.score * 100)} % `,
        one.legal.includes('merge') ? element('button', { type: 'button', 'data-control': 'merge-into',
          onclick: () => act(one, { move: 'merge', parent: other.case }) }, 'Merge into it') : null))),
      element('h4', {}, 'Moves'),
      element('ol', { class: 'history' }, moves.map((move) => element('li', {},
        element('b', {}, move.move), ` → ${move.to_state}, ${move.duty}`, element('span', { class: 'quiet' }, ` ${localTime(millis(move.at))}`)))),
    ].filter((part) => part !== null));
  }

  /** Which row of the duty table says whose it is, by what, and which it beat. */
  function whyOf(why) {
    if (!why.rule) return null;
    const matched = Object.entries(why.matched).map(([name, value]) => `${name} ${value}`).join(', ');
    return element('details', { class: 'case-why' },
      element('summary', {}, `Why this office: row ${why.rule}${why.fallback ? ', as a fallback' : ''}`),
      element('p', {}, `Version ${why.version} of the duty table${matched ? `, by ${matched}` : ''}.`),
      element('ul', {}, why.beaten.map((row) => element('li', {}, `before ${row.rule}, which lost at ${row.lost_at}`))));
  }

  const nameOf = (id) => others().find((other) => other.id === id)?.number ?? `${id.slice(0, 6)}…`;

  function input(one, move, name) {
    const parents = () => others().filter((other) => other.id !== one.id && other.parent === null && OPEN.includes(other.state));
    if (name === 'parent') {
      return element('select', { name, required: true }, parents().map((other) => element('option', { value: other.id }, `${other.number} ${other.layer}`)));
    }
    const words = move === 'pause' ? PAUSES : CHOICES[name];
    return words ? element('select', { name }, words.map((word) => element('option', { value: word }, word.replace('_', ' '))))
      : element('input', { name, required: true, maxlength: '4000', placeholder: name === 'amount' ? 'as 2wd, in the unit of its term' : null });
  }

  function begin(one, move) {
    place.querySelector('form')?.remove();
    const fields = FIELDS[move] ?? [];
    if (fields.length === 0) {
      act(one, { move });
      return;
    }
    const form = element('form', { class: 'move-form', onsubmit: (event) => {
      event.preventDefault();
      const said = Object.fromEntries(new FormData(form));
      form.remove();
      act(one, bodyOf(move, said));
    } },
    element('b', {}, move.replace('_', ' ')),
    fields.map((name) => element('label', {}, `${name} `, input(one, move, name))),
    element('div', { class: 'dialog-actions' },
      element('button', { type: 'button', onclick: () => { form.remove(); refresh(); } }, 'Cancel'),
      element('button', { type: 'submit' }, 'Do it')));
    place.querySelector('.moves').after(form);
    form.querySelector('input, select')?.focus();
  }

  async function act(one, body) {
    try {
      await ask(`/v1/cases/${encodeURIComponent(one.id)}/moves`, body, { headers: { 'if-match': `"${one.version}"` } });
      showProblem('cases-message', '');
    } catch (problem) {
      showProblem('cases-message', `${one.number}: ${body.move} is not made. ${problem.message}`);
    }
    place.dataset.shown = '';
    await changed();
  }

  return { open, refresh };
}
