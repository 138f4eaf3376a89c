// What one hexagon says: its numbers, its id, its alerts and silent sensors. Stays current while it is open.

import { Popup } from '/console/vendor/maplibre-gl-6.17.0/maplibre-gl.mjs';
import { contains } from './cells.js';
import { isOfSurface, metricName } from './choice.js';
import { element } from './dom.js';
import { number } from './format.js';
import { why } from './why.js';

const MOST_LISTED = 6;

/** Lets hexagons be read by click, or by Enter for the one in the middle. `facts()` gives `{ choice, alerts, silent }`. */
export function startPopup(map, hexagons, facts) {
  let popup = null;
  let open = null;

  function read(point, place) {
    const [hit] = map.getLayer('hexagons') ? map.queryRenderedFeatures(point, { layers: ['hexagons'] }) : [];
    popup?.remove();
    if (!hit) return;
    open = hit.properties;
    popup = new Popup({ maxWidth: '320px', focusAfterOpen: true }).setLngLat(place).setDOMContent(content(open, facts())).addTo(map);
    hexagons.select(open.cell);
    explain(open.cell);
    popup.on('close', () => {
      open = null;
      hexagons.select(null);
    });
  }

  /** The parts of the risk come after the numbers, once the server has told them. */
  async function explain(cell) {
    const { choice, layers } = facts();
    if (!isOfSurface(choice.metric)) return;
    const labelOf = (id) => layers.find((one) => one.layer === id)?.label ?? id;
    const told = await why(cell, choice.layer.layer, labelOf).catch((problem) => element('p', { class: 'problem' }, problem.message));
    if (open?.cell === cell) popup.getElement()?.querySelector('.hexagon')?.append(told);
  }

  map.on('click', (event) => {
    // A click while something is drawn is a corner of it.
    if (!map.getContainer().dataset.drawing) read(event.point, event.lngLat);
  });
  map.getCanvas().addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || map.getContainer().dataset.drawing) return;
    // The popup takes the focus to its close button, which this very key press would then push.
    event.preventDefault();
    read(map.project(map.getCenter()), map.getCenter());
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !open) return;
    popup.remove();
    map.getCanvas().focus();
  });
  map.on('mousemove', 'hexagons', () => { map.getCanvas().style.cursor = 'pointer'; });
  map.on('mouseleave', 'hexagons', () => { map.getCanvas().style.cursor = ''; });

  return {
    /** Takes the numbers in view anew. */
    refresh(values) {
      if (!open || !values.has(open.cell)) return;
      const now = values.get(open.cell);
      const isNew = JSON.stringify(now) !== JSON.stringify(open);
      open = now;
      if (!isNew) return;
      popup.setDOMContent(content(now, facts()));
      explain(now.cell);
    },
    close: () => popup?.remove(),
  };
}

function content(properties, { choice, alerts, silent }) {
  const { layer, metric } = choice;
  const { name, unit } = metricName(layer, metric);
  const rows = Object.entries(properties).filter(([key]) => key !== 'cell' && key !== metric)
    .map(([key, value]) => [metricName(layer, key), value])
    .flatMap(([shown, value]) => [element('dt', {}, shown.name), element('dd', {}, `${number(value)} ${shown.unit}`)]);
  const alertsHere = alerts.filter((one) => contains(properties.cell, one.cell));
  const silentHere = silent.filter((one) => one.layer === layer.layer && contains(properties.cell, one.cell));
  return element('div', { class: 'hexagon', role: 'group', 'aria-label': 'Hexagon' },
    element('div', { class: 'hexagon-label' }, `${layer.label}: ${name.toLowerCase()}`),
    element('div', { class: 'hexagon-number' }, metric === 'class' ? properties[metric].replace('_', ' ') : number(properties[metric]), element('small', {}, unit ? ` ${unit}` : '')),
    element('dl', {}, rows, element('dt', {}, 'Cell'), element('dd', {}, element('code', {}, properties.cell))),
    list(alertsHere, (one) => element('li', { 'data-severity': one.severity }, element('b', {}, one.rule),
      ` · ${one.severity}, ${one.state} · ${number(one.value)}${one.sensor ? ` · ${one.sensor}` : ''}`), 'alerts'),
    list(silentHere, (one) => element('li', {}, `${one.sensor} is silent`), 'silent sensors'));
}

function list(found, draw, what) {
  if (found.length === 0) return null;
  const more = found.length - MOST_LISTED;
  return element('ul', {}, found.slice(0, MOST_LISTED).map(draw), more > 0 ? element('li', {}, `and ${more} more ${what}`) : null);
}
