// Why an alert fires, by value, and who was told of it.

import { element } from './dom.js';
import { clockTime, millis, number } from './format.js';
import { ask, query } from './server.js';

const WORDS = { above: 'above', at_least: 'at least', below: 'below', at_most: 'at most' };

/** What an alert says of itself, and what became of its messages where the reader may know. */
export async function reasons(alert) {
  const { body } = await ask(`/v1/alerts/${encodeURIComponent(alert.id)}`);
  const deliveries = await query(`SELECT webhook, type, state, attempts, status, error, changes FROM deliveries
    WHERE alert = '${body.id}'${body.incident ? ` OR (incident = '${body.incident}' AND alert IS NULL)` : ''}
    ORDER BY created_at DESC LIMIT 5`).catch(() => null);
  return element('div', { class: 'why', role: 'group', 'aria-label': `Why ${body.rule} fires` },
    element('p', {}, sentence(body)),
    element('dl', {}, Object.entries(body.evidence ?? {}).flatMap(([name, value]) => [
      element('dt', {}, name.replaceAll('_', ' ')), element('dd', {}, text(value))])),
    body.acknowledged_by ? element('p', {}, `Taken by ${body.acknowledged_by}${body.acknowledged_comment ? `: “${body.acknowledged_comment}”` : '.'}`) : null,
    deliveries === null ? null : element('p', { class: 'quiet' }, told(deliveries)));
}

function sentence({ evidence = {}, value, fired_at: firedAt }) {
  const comparison = WORDS[evidence.comparison];
  const limit = comparison && evidence.limit !== undefined ? `, ${comparison} ${number(evidence.limit)}` : '';
  const hold = evidence.for && evidence.for !== '0s' ? ` for ${evidence.for}` : '';
  return `${number(value)}${limit}${hold}, since ${clockTime(millis(firedAt))}.`;
}

function text(value) {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'number') return number(value);
  if (typeof value === 'object') return JSON.stringify(value);
  return millis(value) === null || !/T\d\d:/.test(value) ? String(value) : clockTime(millis(value));
}

function told(deliveries) {
  if (deliveries.length === 0) return 'Nobody was told.';
  return deliveries.map(({ type, state, attempts, status, error }) => {
    const tried = Number(attempts) === 1 ? 'once' : `${number(attempts)} times`;
    return `${type}: ${state}${Number(attempts) > 0 ? `, tried ${tried}` : ''}${status === null ? '' : `, answered ${status}`}${error ? ` (${error})` : ''}`;
  }).join('; ');
}
