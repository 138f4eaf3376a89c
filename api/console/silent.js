// Sensors that went silent: no reading for a while although their layer went on. Reckoned in data time, inside the server,
// so that a replayed day and a slow feed are judged like a live one.

import { byId, element, showProblem, showRows } from './dom.js';
import { clockTime, millis, number, span, unitText } from './format.js';
import { query } from './server.js';

const MOST = 500;
const SILENT_SENSORS = `
  SELECT sensors.sensor, sensors.layer, sensors.lon, sensors.lat, sensors.cell, sensors.value, sensors.last_time,
         layers.last_time AS newest
  FROM sensors JOIN layers ON sensors.layer = layers.layer
  WHERE layers.kind = 'observation' AND sensors.last_time < layers.last_time - INTERVAL '15 minutes'
  ORDER BY sensors.last_time DESC, sensors.sensor
  LIMIT ${MOST + 1}`;

/** Starts the list. `changed` gets the silent sensors; `show` one that the reader wants on the map. */
export function startSilent({ layerOf, changed, show }) {
  async function load() {
    let found;
    try {
      found = await query(SILENT_SENSORS);
    } catch (problem) {
      showProblem('silent-message', `This list may be old. ${problem.message}`);
      return;
    }
    showProblem('silent-message', '');
    const sensors = found.slice(0, MOST);
    byId('silent-count').textContent = found.length > MOST ? `more than ${MOST}` : String(sensors.length);
    byId('silent-none').hidden = sensors.length > 0;
    showRows(byId('silent-list'), sensors.map((one) => ({ ...one, text: describe(one) })), (one) => `${one.layer}/${one.sensor}`, row);
    changed(sensors);
  }

  function describe(sensor) {
    const [last, newest] = [millis(sensor.last_time), millis(sensor.newest)];
    const layer = layerOf(sensor.layer);
    return {
      quiet: last === null || newest === null ? '' : span(newest - last),
      detail: `${layer?.label ?? sensor.layer} · last ${number(sensor.value)} ${unitText(layer?.unit)}${last === null ? '' : ` at ${clockTime(last)}`}`,
    };
  }

  const row = (sensor) => element('li', {},
    element('button', { class: 'row-name', type: 'button', 'data-control': 'show', title: 'Show on the map', onclick: () => show(sensor) }, sensor.sensor),
    element('span', { class: 'row-number' }, sensor.text.quiet),
    element('span', { class: 'row-detail' }, sensor.text.detail));

  return { load };
}
