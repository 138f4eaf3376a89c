// Cases of the hotline: a list with cards and deadlines; one case with its moves, clocks, possible duplicates and why it is whose
// it is; its legal moves as buttons. A case that is dragged onto another one is merged into it.

import { byId, element, showProblem, showRows } from './dom.js';
import { ask } from './server.js';

const SHOWN = 40;

/** What a move asks for beside its name; those that are not here ask for nothing. */
const ASKS = {
  decline: ['reason'], return: ['reason'], withdraw: ['reason'], redo: ['reason'], answer: ['text'], note: ['text'],
  reply: ['result', 'text'], call_back: ['resolved', 'rating'], rate: ['resolved', 'rating'], transfer: ['office', 'reason'],
  extend: ['amount', 'reason'], pause: ['reason'], merge: ['parent'], locate: ['address'],
};
const CHOICES = {
  resolved: ['yes', 'partly', 'no'], rating: ['5', '4', '3', '2', '1'], result: ['resolved', 'explained', 'unfounded'],
};
const PAUSES = ['waiting_caller', 'waiting_other', 'force_majeure'];

/** Starts the list, which is there once there are cases. `show` gets a place that the reader wants on the map. */
export function startCases({ show }) {
  let opened = null;
  const load = async () => {
    const answer = await ask(`/v1/cases?limit=${SHOWN}`).catch(() => null);
    const cases = answer?.body.cases ?? [];
    byId('cases-section').hidden = cases.length === 0;
    if (cases.length === 0) return;
    byId('cases-more').textContent = answer.body.next ? 'the newest of more' : '';
    showRows(byId('case-list'), cases, (one) => one.id, row);
    if (opened !== null) await open(opened);
  };

  function row(one) {
    const item = element('li', { 'data-card': one.card, draggable: true,
      ondragstart: (event) => event.dataTransfer.setData('text/plain', one.id),
      ondragover: (event) => event.preventDefault(),
      ondrop: (event) => {
        event.preventDefault();
        const child = event.dataTransfer.getData('text/plain');
        if (child && child !== one.id) merge(child, one.id);
      } },
    element('button', { type: 'button', 'data-control': 'open', onclick: () => { opened = one.id; open(one.id); } },
      element('b', {}, one.number), ` ${one.layer} · ${one.state}${one.office ? ` · ${one.office}` : ''}`),
    element('span', { class: 'quiet' }, [one.card === 'none' ? '' : `${one.card} card`, one.due ? `due ${one.due}` : '']
      .filter(Boolean).join(' · ')));
    return item;
  }

  async function open(id) {
    try {
      const [one, moves, clocks, duplicates, why] = await Promise.all(['', '/moves', '/clocks', '/duplicates', '/why'].map((part) =>
        ask(`/v1/cases/${encodeURIComponent(id)}${part}`).then(({ body }) => body)));
      draw(one, moves.moves, clocks.clocks, duplicates.duplicates, why);
      showProblem('cases-message', '');
    } catch (problem) {
      showProblem('cases-message', problem.message);
    }
  }

  function draw(one, moves, clocks, duplicates, why) {
    const place = byId('case');
    // What somebody is writing is not taken away by a refresh.
    if (place.dataset.shown === `${one.id} ${one.version}` && place.querySelector('form')) return;
    place.dataset.shown = `${one.id} ${one.version}`;
    place.hidden = false;
    place.replaceChildren(
      element('h3', {}, `${one.number} · ${one.state}`),
      element('p', { class: 'quiet' }, `${one.kind}, ${one.layer}, ${one.channel}${one.office ? `, ${one.office}` : ''}`),
      why.rule ? element('p', { class: 'quiet' }, `by duty row ${why.rule}${why.fallback ? ', as a fallback' : ''}`) : null,
      one.lon === null ? null : element('button', { type: 'button', onclick: () => show([one.lon, one.lat]) }, 'On the map'),
      element('p', {}, one.legal.filter((move) => move !== 'split').map((move) => element('button', { type: 'button', onclick: () => begin(one, move) }, move))),
      element('ul', {}, clocks.map((clock) => element('li', { 'data-card': clock.card },
        `${clock.name} ${clock.state}, due ${clock.due}${clock.card === 'none' ? '' : `, ${clock.card}`}`))),
      duplicates.length === 0 ? null : element('p', {}, 'Perhaps the same: ', duplicates.map((other) => element('button',
        { type: 'button', onclick: () => { opened = other.case; open(other.case); } }, `${other.case.slice(0, 6)}… ${other.score}`))),
      element('ol', {}, moves.map((move) => element('li', {}, `${move.move} → ${move.to_state}, ${move.duty}, ${move.at}`))),
    );
  }

  function begin(one, move) {
    const fields = move in ASKS ? ASKS[move] : [];
    if (fields.length === 0) {
      act(one, { move });
      return;
    }
    const inputs = fields.map((name) => {
      const choices = move === 'pause' ? PAUSES : CHOICES[name];
      const input = choices ? element('select', { name }, choices.map((word) => element('option', { value: word }, word)))
        : element('input', { name, required: true });
      return element('label', {}, `${name} `, input);
    });
    const form = element('form', { onsubmit: (event) => {
      event.preventDefault();
      const said = Object.fromEntries(new FormData(form));
      if ('rating' in said) said.rating = Number(said.rating);
      if (move === 'call_back') said.reached = true;
      form.remove();
      act(one, { move, ...said });
    } }, element('b', {}, move), inputs, element('button', { type: 'submit' }, 'Do it'));
    byId('case').querySelector('form')?.remove();
    byId('case').append(form);
    form.querySelector('input, select')?.focus();
  }

  async function act(one, body) {
    try {
      await ask(`/v1/cases/${encodeURIComponent(one.id)}/moves`, body, { headers: { 'if-match': `"${one.version}"` } });
      showProblem('cases-message', '');
    } catch (problem) {
      showProblem('cases-message', `${one.number}: ${body.move} is not made. ${problem.message}`);
    }
    byId('case').dataset.shown = '';
    await load();
  }

  async function merge(id, parent) {
    const { body } = await ask(`/v1/cases/${encodeURIComponent(id)}`);
    await act(body, { move: 'merge', parent });
  }

  return { load };
}
