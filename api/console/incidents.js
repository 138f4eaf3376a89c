// The list of open incidents: what happens, before the alerts that tell of it. One can be taken or silenced whole.

import { byId, element, showProblem, showRows } from './dom.js';
import { clockTime, millis, number, span } from './format.js';
import { ask } from './server.js';

const SEVERITIES = ['critical', 'major', 'moderate', 'minor'];
const ASKED = 100;
/** Statuses of who may not read incidents: then there is no list. */
const NOT_FOR_THEM = [403, 404];

/** Starts the list. `show` gets an incident for the map, `acknowledge` and `silence` one that is to be settled. */
export function startIncidents({ asOf, nameOf, show, acknowledge, silence }) {
  async function load() {
    let answer;
    try {
      answer = (await ask(`/v1/incidents?state=open&limit=${ASKED}`)).body;
    } catch (problem) {
      if (!NOT_FOR_THEM.includes(problem.status)) showProblem('incidents-message', `The incidents shown may be old. ${problem.message}`);
      return;
    }
    showProblem('incidents-message', '');
    byId('incidents-more').textContent = answer.next ? 'the newest of more' : '';
    const now = asOf();
    const rows = answer.incidents.sort(byUrgency).map((one) => ({ ...one, name: nameOf(one), since: sinceText(one, now) }));
    showRows(byId('incident-list'), rows, (one) => one.id, row);
    byId('incidents-none').hidden = rows.length > 0;
  }

  function row(incident) {
    const { name } = incident;
    const waiting = incident.open - incident.acknowledged;
    const button = (control, text, label, act) => element('button', { type: 'button', 'data-control': control, 'aria-label': label, onclick: act }, text);
    return element('li', { 'data-severity': incident.severity, 'data-state': waiting > 0 ? 'firing' : 'acknowledged', 'data-incident': incident.id },
      element('button', { class: 'row-name', type: 'button', 'data-control': 'show', title: 'Show on the map', onclick: () => show(incident) }, name),
      element('span', { class: 'row-number' }, number(incident.open), element('small', {}, ' open')),
      element('span', { class: 'row-detail' },
        element('span', { class: 'row-severity' }, incident.severity ?? 'over'),
        ` · ${number(incident.alerts)} in all, ${number(incident.acknowledged)} acknowledged`,
        element('br'), incident.since),
      element('span', { class: 'row-actions' },
        waiting > 0 ? button('acknowledge', 'Acknowledge all', `Acknowledge all alerts of ${name}`, () => acknowledge(incident)) : null,
        button('silence', 'Silence', `Silence alerts where ${name} is`, () => silence(incident))));
  }

  return { load };
}

function byUrgency(a, b) {
  const rank = (value) => (SEVERITIES.indexOf(value) + SEVERITIES.length + 1) % (SEVERITIES.length + 1);
  return rank(a.severity) - rank(b.severity) || b.open - a.open || (millis(b.opened_at) ?? 0) - (millis(a.opened_at) ?? 0) || a.id.localeCompare(b.id);
}

/** `for 12 min` of data time, not of the wall clock. */
function sinceText(incident, now) {
  const at = millis(incident.opened_at);
  if (at === null) return '';
  return now === null || now < at ? `since ${clockTime(at)}` : `since ${clockTime(at)}, for ${span(now - at)}`;
}
