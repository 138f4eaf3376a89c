// The list of alerts, its counters, and acknowledging.

import { byId, element, showProblem, showRows } from './dom.js';
import { clockTime, millis, number, span, unitText } from './format.js';
import { reasons } from './reasons.js';
import { ask } from './server.js';

const SEVERITIES = ['critical', 'major', 'moderate', 'minor'];
const STATE_ORDER = ['firing', 'pending', 'acknowledged', 'resolved'];
const ASKED = { firing: 500, pending: 100, acknowledged: 100, resolved: 30 };

/** Starts the list. `changed` gets the alerts that are not resolved; `show` one alert that the reader wants on the map. */
export function startAlerts({ layerOf, asOf, changed, show, acknowledge }) {
  let known = null;

  async function load() {
    let answers;
    try {
      answers = await Promise.all(Object.entries(ASKED).map(([state, limit]) =>
        ask(`/v1/alerts?state=${state}&limit=${limit}`).then(({ body }) => body)));
    } catch (problem) {
      showProblem('alerts-message', `The alerts shown may be old. ${problem.message}`);
      return;
    }
    showProblem('alerts-message', '');
    const alerts = [...new Map(answers.flatMap((answer) => answer.alerts).map((one) => [one.id, one])).values()].sort(byUrgency);
    draw(alerts, answers.some((answer) => answer.next !== null && answer.next !== undefined));
    announce(alerts);
    changed(alerts.filter((one) => one.state !== 'resolved'));
  }

  function draw(alerts, more) {
    const firing = alerts.filter((one) => one.state === 'firing');
    drawCounters(firing);
    byId('alerts-more').textContent = more ? 'the newest of more' : '';
    document.title = `${firing.length > 0 ? `(${firing.length}) ` : ''}${byId('title').textContent}`;
    const open = alerts.filter((one) => one.state !== 'resolved');
    const closed = alerts.filter((one) => one.state === 'resolved');
    const now = asOf();
    const asRow = (one) => ({ ...one, layerName: layerOf(one.layer)?.label ?? one.layer, unit: unitOf(one), since: sinceText(one, now) });
    showRows(byId('alert-list'), open.map(asRow), (one) => one.id, row);
    showRows(byId('resolved-list'), closed.map(asRow), (one) => one.id, row);
    byId('alerts-none').hidden = firing.length > 0;
    byId('resolved').hidden = closed.length === 0;
    byId('resolved-summary').textContent = `Resolved lately (${closed.length})`;
  }

  /** A sensor's value is in the layer's unit; a cell's may be a count, and the alert does not say of what. */
  function unitOf(alert) {
    return alert.sensor ? unitText(layerOf(alert.layer)?.unit) : '';
  }

  /** What is shown below rows, by the ids of their alerts: rows are drawn anew again and again. */
  const explained = new Map();

  function row(alert) {
    const take = element('button', {
      type: 'button', 'data-control': 'acknowledge', 'aria-label': `Acknowledge ${alert.rule}, ${placeOf(alert)}`,
      onclick: () => acknowledge(alert),
    }, 'Acknowledge');
    const why = element('button', {
      type: 'button', 'data-control': 'why', 'aria-expanded': String(explained.has(alert.id)), 'aria-label': `Why ${alert.rule} fires, ${placeOf(alert)}`,
      onclick: () => explain(alert),
    }, 'Why');
    return element('li', { 'data-severity': alert.severity, 'data-state': alert.state, 'data-alert': alert.id },
      element('button', { class: 'row-name', type: 'button', 'data-control': 'show', title: 'Show on the map', onclick: () => show(alert) }, alert.rule),
      element('span', { class: 'row-number' }, number(alert.value), alert.unit ? element('small', {}, ` ${alert.unit}`) : null),
      element('span', { class: 'row-detail' },
        element('span', { class: 'row-severity' }, alert.severity),
        alert.state === 'firing' ? '' : ` ${alert.state}`, ` · ${alert.layerName} · ${placeOf(alert)}`,
        element('br'), alert.since),
      element('span', { class: 'row-actions' }, why, alert.state === 'firing' ? take : null),
      explained.get(alert.id) ?? null);
  }

  /** Shows the reasons below the row, or takes them away. */
  async function explain(alert) {
    const shown = explained.get(alert.id);
    if (shown) {
      explained.delete(alert.id);
      shown.remove();
    } else {
      const told = await reasons(alert).catch((problem) => element('p', { class: 'why problem' }, problem.message));
      if (explained.has(alert.id)) return;
      explained.set(alert.id, told);
      document.querySelector(`[data-alert="${CSS.escape(alert.id)}"]`)?.append(told);
    }
    document.querySelector(`[data-alert="${CSS.escape(alert.id)}"] [data-control="why"]`)
      ?.setAttribute('aria-expanded', String(explained.has(alert.id)));
  }

  /** Says aloud what is new and firing, but not what was there when the page opened. */
  function announce(alerts) {
    const firing = alerts.filter((one) => one.state === 'firing');
    const fresh = firing.filter((one) => known && !known.has(one.id));
    known = new Set(firing.map((one) => one.id));
    if (fresh.length === 1) byId('announcement').textContent = `New ${fresh[0].severity} alert: ${fresh[0].rule}, ${placeOf(fresh[0])}`;
    if (fresh.length > 1) byId('announcement').textContent = `${fresh.length} new alerts, the gravest ${fresh[0].severity}: ${fresh[0].rule}`;
  }

  return { load };
}

/** One that tells of a whole rule has no place. */
function placeOf(alert) {
  return alert.sensor ?? (alert.cell ? `cell ${alert.cell}` : 'the whole rule');
}

function byUrgency(a, b) {
  const rank = (list, value) => (list.indexOf(value) + list.length + 1) % (list.length + 1);
  return rank(STATE_ORDER, a.state) - rank(STATE_ORDER, b.state)
    || rank(SEVERITIES, a.severity) - rank(SEVERITIES, b.severity)
    || (millis(b.at) ?? 0) - (millis(a.at) ?? 0) || a.id.localeCompare(b.id);
}

/** `12 min` of data time, not of the wall clock: a replayed day is read like today. */
function sinceText(alert, now) {
  const at = millis(alert.at);
  if (at === null) return '';
  return now === null || now < at ? `at ${clockTime(at)}` : `at ${clockTime(at)}, ${span(now - at)} ago`;
}

function drawCounters(firing) {
  const counts = SEVERITIES.map((severity) => ({ severity, count: firing.filter((one) => one.severity === severity).length }));
  showRows(byId('counters'), counts, (one) => one.severity, ({ severity, count }) =>
    element('li', { 'data-severity': severity, 'data-firing': String(count > 0) }, element('b', {}, String(count)), element('span', {}, severity)));
}
