// Why a hexagon is red: the parts of its risk, the largest first, each with a sentence, and the newest events behind it.

import { resolution } from './cells.js';
import { element } from './dom.js';
import { clockTime, millis, number } from './format.js';
import { query } from './server.js';

const EVENTS_SHOWN = 4;
const share = (value) => (value === null ? 'unknown' : Number(value).toFixed(2));
const percent = (value) => `${Math.round(100 * Number(value))} %`;
const text = (value) => `'${String(value).replaceAll("'", "''")}'`;

/**
 * What explains the risk of a hexagon, in the cell below it where it is greatest. `layer` is a layer's id, or `*`: then it
 * is that of the layer that does most there. `labelOf` names layers.
 */
export async function why(hexagon, layer, labelOf) {
  const within = `h3_parent(cell, ${resolution(hexagon)}) = ${text(hexagon)}`;
  const which = layer === '*' ? "layer <> '*'" : `layer = ${text(layer)}`;
  const rows = await query(`SELECT * FROM risk WHERE ${which} AND ${within} ORDER BY risk DESC LIMIT 1`);
  if (rows.length === 0) return element('p', { class: 'quiet' }, 'Nothing is known here.');
  const [row] = rows;
  // What is felt here may have happened one ring away.
  const near = `layer = ${text(row.layer)} AND cell IN (SELECT unnest(h3_disk(${text(row.cell)}, 1)))`;
  const events = await query(`SELECT time, source, severity, value FROM events WHERE ${near}
    ORDER BY time DESC LIMIT ${EVENTS_SHOWN}`).catch(() => []);
  const [counted] = events.length === 0 ? [null] : await query(`SELECT count(*) AS events FROM events WHERE ${near}`).catch(() => [null]);
  const missing = (row.missing ?? []).map((name) => name.replaceAll('_', ' '));
  return element('div', { class: 'why' },
    element('h3', {}, `${labelOf(row.layer)}: why ${share(row.risk)}`),
    element('ol', {}, [...partsOf(row), ...layerOf(row, layer, labelOf)].map(([name, part, sentence]) => element('li', {},
      element('b', {}, `${name} ${part === null ? '' : signed(part)}`), ` ${sentence}`))),
    missing.length === 0 ? null : element('p', { class: 'quiet' },
      `Not known: ${missing.join(', ')}. The risk lies between ${share(row.risk_low)} and ${share(row.risk_high)}.`),
    events.length === 0 ? null : element('p', { class: 'quiet' }, `Newest ${counted ? `of ${number(counted.events)} ` : ''}events here and round it: `,
      events.map((one) => `${clockTime(millis(one.time))}${one.value === null ? ` severity ${one.severity}` : ` ${number(one.value)}`}`).join(' · ')));
}

const signed = (part) => `${Number(part) < 0 ? '−' : '+'}${Math.abs(Number(part)).toFixed(2)}`;

/** Name, how much of the risk is due to it (as the model's leave-one-out has it), and a sentence; the largest first. */
export function partsOf(row) {
  const parts = [
    ['Hazard', row.loo_hazard, hazard(row)],
    ['Exposure', row.loo_exposure, exposure(row)],
    ['Vulnerability', row.loo_vulnerability, `susceptibility ${share(row.susceptibility)}, lack of help nearby ${share(row.lack_of_coping)}.`],
    ['Corroboration', row.loo_trust, `${number(row.channels)} kinds of channel tell of it: ${percent(row.corroboration)} sure; if certain, ${share(row.risk_if_true)}.`],
  ];
  // What is not known stands first: without a baseline most of it is the hazard.
  return parts.sort((a, b) => (b[1] === null ? Infinity : Math.abs(b[1])) - (a[1] === null ? Infinity : Math.abs(a[1])));
}

/** Of all layers together: how much of their risk is due to this one. */
function layerOf(row, layer, labelOf) {
  if (layer !== '*') return [];
  return [['Of all layers', row.loo_layer, `so much less would be at risk without ${labelOf(row.layer)}.`]];
}

function hazard(row) {
  const index = `index ${share(row.hazard)}`;
  if (row.intensity === null) return `${index} by the sensors in reach${row.stale ? '; the one that says so is past its time' : ''}.`;
  const usual = row.expected === null
    ? 'what is usual is not known yet'
    : `usual at this hour is ${number(row.expected)} (${number(row.z)} standard deviations)`;
  return `${index}: intensity ${number(row.intensity)} of about ${number(Math.round(row.sources))} sources here; ${usual}.`;
}

function exposure(row) {
  const people = row.population === null ? 'residents unknown' : `${number(Math.round(row.population))} residents`;
  const things = [[row.facilities, 'facilities'], [row.infrastructure, 'infrastructure']]
    .filter(([weight]) => Number(weight) > 0).map(([weight, name]) => `${name} of weight ${number(weight)}`);
  return `${[people, ...things].join(', ')}.`;
}
