// What the reader chose to see: layer, metric, window. Kept in the address, so that a link shows the same to a colleague.

import { byId, element } from './dom.js';
import { shortNumber, unitText } from './format.js';

const WINDOWS = { '15m': '15 min', '1h': '1 h', '6h': '6 h', '24h': '24 h' };
const METRICS = {
  mean: 'Mean', max: 'Highest', min: 'Lowest', last: 'Latest', count: 'Count', weight: 'Weight by severity',
  risk: 'Risk now', risk_if_true: 'Risk if it is true', class: 'Class of surprise', forecast: 'Expected next',
};
const METRICS_OF = { observation: ['mean', 'max', 'min', 'last', 'count'], report: ['count', 'weight'], risk: [] };
const RISKS = { risk: ['risk', 'risk_if_true'], observation: ['risk', 'risk_if_true', 'class'], report: ['risk', 'risk_if_true', 'class', 'forecast'] };

/** All layers together, as an entry of the catalogue. */
export const allLayers = (domain) => ({ layer: '*', label: 'Risk of all layers', kind: 'risk', domain, isOnSurface: true });

/** Whether a metric is of the risk surface, which is of now: no window counts for it. */
export const isOfSurface = (metric) => RISKS.report.includes(metric);

/** Starts the form. `changed` is called with `{ layer, metric, window }`, `layer` being the catalogue's entry. */
export function startChoice(preferredLayer, changed) {
  const asked = new URLSearchParams(location.search);
  const wanted = { layer: asked.get('layer') ?? preferredLayer, metric: asked.get('metric'), window: asked.get('window') };
  let catalogue = [];
  let told = '';
  let isTouched = false;
  drawWindows(wanted.window);
  byId('choices-form').addEventListener('change', () => { isTouched = true; tell(); });
  byId('choices-form').addEventListener('submit', (event) => event.preventDefault());
  byId('choices').open = window.innerWidth > 820;

  function tell() {
    const form = new FormData(byId('choices-form'));
    const layer = catalogue.find((one) => one.layer === form.get('layer'));
    if (!layer) return;
    drawMetrics(layer, form.get('metric') ?? wanted.metric);
    const choice = { layer, metric: byId('metric').value, window: document.querySelector('input[name="window"]:checked')?.value };
    byId('windows').closest('fieldset').disabled = isOfSurface(choice.metric);
    byId('choices-summary').textContent = layer.label;
    const said = [layer.layer, choice.metric, choice.window].join();
    if (said === told) return;
    told = said;
    const query = new URLSearchParams({ layer: layer.layer, metric: choice.metric, window: choice.window });
    history.replaceState(null, '', `?${query}${location.hash}`);
    changed(choice);
  }

  return {
    /** Takes the layers as the catalogue now has them. */
    show(layers) {
      catalogue = layers;
      const form = new FormData(byId('choices-form'));
      // What the address or the settings want may come later than other layers; what the reader clicked stays.
      const known = (id) => layers.find((one) => one.layer === id);
      const chosen = (isTouched ? null : known(wanted.layer)) ?? known(form.get('layer')) ?? mostHeard(layers);
      drawLayers(layers, chosen?.layer);
      tell();
    },
  };
}

/** What a metric of a layer is called, and its unit: counts have none. */
export function metricName(layer, metric) {
  const isCount = metric === 'count' || metric === 'weight';
  const counted = layer.kind === 'observation' ? 'Readings' : 'Reports';
  const name = metric === 'count' ? counted : METRICS[metric] ?? metric;
  return { name, unit: isCount ? '' : unitText(layer.unit), isCount };
}

function mostHeard(layers) {
  return layers.find((one) => one.layer === '*') ?? layers.reduce((best, one) => (!best || Number(one.count) > Number(best.count) ? one : best), undefined);
}

function drawLayers(layers, chosen) {
  const place = byId('layers');
  const shape = JSON.stringify(layers.map(({ layer, label, kind, unit }) => [layer, label, kind, unit]));
  if (place.dataset.shape !== shape) {
    place.dataset.shape = shape;
    const row = (one) => element('label', {},
      element('span', {},
        element('input', { type: 'radio', name: 'layer', value: one.layer, checked: one.layer === chosen }),
        one.label, element('span', { class: 'quiet' }, unitText(one.unit) ? ` ${unitText(one.unit)}` : '')),
      element('span', { class: 'quiet', 'data-count': one.layer, title: 'events so far' }));
    const group = (kind, title) => {
      const members = layers.filter((one) => one.kind === kind);
      return members.length === 0 ? [] : [element('div', { class: 'layers-group' }, title), ...members.map(row)];
    };
    place.replaceChildren(...group('risk', 'Risk now'), ...group('observation', 'Sensor readings'), ...group('report', 'Reports'));
  }
  const counts = new Map(layers.map((one) => [one.layer, one.count]));
  for (const place of document.querySelectorAll('[data-count]')) {
    place.textContent = place.dataset.count === '*' ? '' : shortNumber(counts.get(place.dataset.count));
  }
}

function drawMetrics(layer, wanted) {
  const select = byId('metric');
  const metrics = [...METRICS_OF[layer.kind] ?? ['count'], ...layer.isOnSurface ? RISKS[layer.kind] : []];
  const shape = metrics.join();
  if (select.dataset.shape === shape && metrics.includes(select.value)) return;
  select.dataset.shape = shape;
  const chosen = metrics.includes(wanted) ? wanted : metrics[0];
  select.replaceChildren(...metrics.map((metric) =>
    element('option', { value: metric, selected: metric === chosen }, metricName(layer, metric).name)));
}

function drawWindows(wanted) {
  const chosen = Object.hasOwn(WINDOWS, wanted ?? '') ? wanted : '1h';
  byId('windows').replaceChildren(...Object.entries(WINDOWS).map(([value, text]) => element('label', {},
    element('input', { type: 'radio', name: 'window', value, checked: value === chosen }), text)));
}
