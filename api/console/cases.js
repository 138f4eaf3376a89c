// Cases of the hotline: those that are open, with their cards and the time that is left. One that is dragged onto another is merged
// into it.

import { startCase } from './case.js';
import { countdown, keepCounting } from './countdown.js';
import { byId, element, showProblem, showRows } from './dom.js';
import { ask } from './server.js';

const SHOWN = 40;

/** Starts the list, which is there once there are cases. `show` gets a place that the reader wants on the map; `mark` the one to mark. */
export function startCases({ show, mark }) {
  let listed = [];
  const one = startCase({ show, mark, others: () => listed, changed: load });
  const filter = byId('cases-filter');
  filter.addEventListener('change', load);
  keepCounting();

  async function load() {
    const answer = await ask(`/v1/cases?limit=${SHOWN}${filter.value ? `&${filter.value}` : ''}`).catch(() => null);
    if (!answer) return;
    listed = answer.body.cases;
    // Where there never was a case, there is nothing to choose from.
    if (listed.length > 0) byId('cases-section').hidden = false;
    byId('cases-more').textContent = answer.body.next ? `the newest ${SHOWN}` : '';
    byId('cases-none').hidden = listed.length > 0;
    showRows(byId('case-list'), listed, (shown) => shown.id, row);
    await one.refresh();
  }

  function row(shown) {
    const isOpen = !['closed', 'finished', 'withdrawn', 'declined', 'merged'].includes(shown.state);
    return element('li', {
      'data-card': shown.card, 'data-case': shown.id, draggable: 'true',
      ondragstart: (event) => event.dataTransfer.setData('text/plain', shown.id),
      ondragover: (event) => { event.preventDefault(); event.currentTarget.dataset.over = 'true'; },
      ondragleave: (event) => { delete event.currentTarget.dataset.over; },
      ondrop: (event) => {
        event.preventDefault();
        delete event.currentTarget.dataset.over;
        const child = event.dataTransfer.getData('text/plain');
        if (child && child !== shown.id) merge(child, shown);
      },
    },
    element('button', { type: 'button', class: 'row-name', 'data-control': 'open', onclick: () => one.open(shown.id) }, shown.number),
    shown.card === 'none' ? element('span', {}) : element('span', { class: 'card-word' }, `${shown.card} card`),
    element('span', { class: 'row-detail' }, [shown.layer, shown.state, shown.office].filter(Boolean).join(' · ')),
    shown.due && isOpen ? element('span', { class: 'row-detail' }, countdown(shown.due)) : null);
  }

  async function merge(id, parent) {
    try {
      const { body } = await ask(`/v1/cases/${encodeURIComponent(id)}`);
      await ask(`/v1/cases/${encodeURIComponent(id)}/moves`, { move: 'merge', parent: parent.id },
        { headers: { 'if-match': `"${body.version}"` } });
      showProblem('cases-message', '');
    } catch (problem) {
      showProblem('cases-message', `It is not merged into ${parent.number}. ${problem.message}`);
    }
    await load();
  }

  return { load };
}
