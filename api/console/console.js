// Where the page begins: settings, map, catalogue; then each part told of what concerns it.

import { acknowledge } from './acknowledge.js';
import { startAlerts } from './alerts.js';
import { startAssessment } from './assessment.js';
import { startCases } from './cases.js';
import { drawBasemap } from './basemap.js';
import { allLayers, startChoice } from './choice.js';
import { byId, showProblem } from './dom.js';
import { millis } from './format.js';
import { Hexagons } from './hexagons.js';
import { startIncidents } from './incidents.js';
import { startLegend } from './legend.js';
import { showAsOf, startLive } from './live.js';
import { flyTo, showAlertMarks, showCaseMark, showSilentMarks, startMap } from './map.js';
import { startMode } from './mode.js';
import { learn, middleOf, outlineOf } from './outlines.js';
import { atMostEvery } from './pace.js';
import { startPopup } from './popup.js';
import { ask } from './server.js';
import { signIn } from './sign-in.js';
import { startSilences } from './silence.js';
import { startSilent } from './silent.js';

const MAP_PROBLEM_MS = 10_000;
const seen = { layers: [], choice: null, alerts: [], silent: [], asOf: new Map() };
const layerOf = (id) => seen.layers.find((one) => one.layer === id);
const point = (coordinates, properties) => ({ type: 'Feature', properties, geometry: { type: 'Point', coordinates } });
const collection = (features) => ({ type: 'FeatureCollection', features });

/** Event time up to which the layer in view is complete; what the layer last heard stands in until the server says. */
function asOf() {
  const layer = seen.choice && layerOf(seen.choice.layer.layer);
  return layer ? seen.asOf.get(layer.domain) ?? millis(layer.last_time) : null;
}

async function start() {
  await firstAnswer(signIn);
  const settings = await firstAnswer(() => ask('/v1/console.json').then(({ body }) => body));
  byId('title').textContent = settings.title;
  byId('notice').textContent = settings.notice ?? '';
  byId('notice').hidden = !settings.notice;

  const map = await startMap(settings);
  const hexagons = new Hexagons(map);
  const legend = startLegend();
  const popup = startPopup(map, hexagons, () => seen);
  map.on('error', ({ error }) => showMapProblem(error));

  const alerts = startAlerts({
    layerOf, asOf,
    changed: (open) => { seen.alerts = open; markAlerts(map); },
    show: (alert) => {
      chooseLayer(alert.layer);
      const place = middleOf(alert.cell);
      if (place) flyTo(map, place);
    },
    acknowledge: (alert) => acknowledge(`/v1/alerts/${encodeURIComponent(alert.id)}/ack`, alert.rule, reloadAlerts),
  });
  const incidents = startIncidents({
    asOf,
    nameOf: (incident) => [layerOf(incident.group)?.label ?? incident.group, ...incident.areas.slice(0, 1)].join(', '),
    show: async (incident) => {
      const [first] = incident.cells;
      if (!first) return;
      await learn([first]).catch(() => {});
      const place = middleOf(first);
      if (place) flyTo(map, place);
    },
    acknowledge: (incident) => acknowledge(`/v1/incidents/${encodeURIComponent(incident.id)}/ack`, `all of ${incident.name}`, reloadAlerts),
    silence: (incident) => silences.open(incident.group),
  });
  const silences = startSilences({ map, layers: () => seen.layers, done: reloadAlerts });
  const mode = startMode(reloadAlerts);
  async function reloadAlerts() {
    await Promise.all([alerts.load(), incidents.load(), mode.load()]);
  }
  const silent = startSilent({
    layerOf,
    changed: (sensors) => { seen.silent = sensors; markSilent(map); },
    show: (sensor) => {
      chooseLayer(sensor.layer);
      flyTo(map, [sensor.lon, sensor.lat]);
    },
  });
  const cases = startCases({
    show: (place) => flyTo(map, place),
    mark: (place) => showCaseMark(map, collection(place ? [point(place, {})] : [])),
  });
  startAssessment();
  const choice = startChoice(settings.layer, (chosen) => {
    seen.choice = chosen;
    popup.close();
    showProblem('map-message', '');
    hexagons.show(chosen);
    markSilent(map);
    showAsOf(asOf(), true);
    loadAsOf();
  });

  const loadLayers = atMostEvery(5_000, async () => {
    const answer = await ask('/v1/layers').catch(() => null);
    if (!answer) return;
    seen.layers = withRisk(answer.body);
    choice.show(seen.layers);
    showAsOf(asOf());
  });
  const loadAsOf = atMostEvery(2_000, async () => {
    const { layer } = seen.choice ?? {};
    const answer = layer && await ask(`/v1/tiles/${layer.layer}.json`).catch(() => null);
    if (!answer) return;
    learnAsOf(layer.domain, answer.asOf);
    if (!Array.isArray(settings.center)) fitOnce(map, answer.body['riskgrid:newest']);
  });
  const loadAlerts = atMostEvery(1_000, reloadAlerts);
  const loadSilent = atMostEvery(5_000, silent.load);
  const loadCases = atMostEvery(1_000, cases.load);
  const reloadTiles = atMostEvery(1_000, async () => hexagons.reload());

  hexagons.onSight((values) => {
    const numbers = [...values.values()].map((properties) => properties[seen.choice.metric]);
    hexagons.colour(legend.update(seen.choice, Math.floor(map.getZoom()), numbers));
    popup.refresh(values);
  });
  startLive({
    tiles: (layers) => {
      if (seen.choice?.layer.layer === '*' || layers.includes(seen.choice?.layer.layer)) reloadTiles();
      loadLayers();
      loadSilent();
    },
    alert: loadAlerts,
    cases: loadCases,
    watermark: (at, domain) => learnAsOf(domain ?? onlyDomain(), at),
    poll: () => {
      loadLayers();
      loadAsOf();
      loadAlerts();
      loadSilent();
      loadCases();
      // Asking a dead server for tiles would take away those that are still shown.
      ask('/healthz').then(reloadTiles, () => {});
    },
  });
  for (const load of [loadLayers, loadAlerts, loadSilent, loadCases]) load();
  if (settings.basemap) drawBasemap(map).catch((problem) => showProblem('map-message', `No base map. ${problem.message}`));
  await hexagons.drawn;
  return map;
}

let mapProblemEnds;
/** Shows what went wrong until it has not gone wrong for a while. */
function showMapProblem(error) {
  const status = error?.status;
  const reason = status === 0 ? 'the server cannot be reached' : status ? `the server answered ${status}` : error?.message ?? 'unknown';
  showProblem('map-message', `Part of the map is missing: ${reason}.`);
  clearTimeout(mapProblemEnds);
  mapProblemEnds = setTimeout(() => showProblem('map-message', ''), MAP_PROBLEM_MS);
}

/** A watermark without a domain can only be meant for all layers if they share one. */
function onlyDomain() {
  const domains = new Set(seen.layers.map((one) => one.domain));
  return domains.size === 1 ? [...domains][0] : undefined;
}

function learnAsOf(domain, text) {
  const at = millis(text);
  if (domain === undefined || at === null) return;
  seen.asOf.set(domain, at);
  showAsOf(asOf());
}

function chooseLayer(id) {
  const input = [...document.querySelectorAll('input[name="layer"]')].find((one) => one.value === id);
  if (input && !input.checked) input.click();
}

async function markAlerts(map) {
  const marked = seen.alerts.filter((one) => one.cell);
  await learn(marked.map((one) => one.cell)).catch(() => {});
  const drawn = marked.filter((one) => outlineOf(one.cell)).reverse();
  showAlertMarks(map,
    collection(drawn.map(({ cell, severity }) => (
      { type: 'Feature', properties: { severity }, geometry: { type: 'Polygon', coordinates: [outlineOf(cell)] } }))),
    collection(drawn.map(({ cell, severity }) => point(middleOf(cell), { severity }))));
}

function markSilent(map) {
  const here = seen.silent.filter((one) => one.layer === seen.choice?.layer.layer && Number.isFinite(one.lon));
  showSilentMarks(map, collection(here.map((one) => point([one.lon, one.lat], {}))));
}

let fitted = false;
function fitOnce(map, bounds) {
  if (fitted || !Array.isArray(bounds) || location.hash.includes('map=')) return;
  fitted = true;
  map.fitBounds(bounds, { padding: 60, maxZoom: 12, duration: 0 });
}

/** The catalogue; all layers together come first where there is a risk surface. */
function withRisk({ layers, risk }) {
  if (!risk) return layers;
  const isOn = new Set(risk.layers);
  const all = layers.map((one) => ({ ...one, isOnSurface: isOn.has(one.layer) }));
  const first = all.find((one) => one.isOnSurface);
  return first ? [allLayers(first.domain), ...all] : all;
}

/** The page is nothing without its settings, so it waits for a server that is starting. */
async function firstAnswer(question) {
  for (;;) {
    try {
      const answer = await question();
      showProblem('map-message', '');
      return answer;
    } catch (problem) {
      showProblem('map-message', `Waiting for riskgrid. ${problem.message}`);
      await new Promise((resolve) => { setTimeout(resolve, 2_000); });
    }
  }
}

const begun = start();
/** For browser tests: the map, and a promise that it has drawn its first hexagons. */
window.riskgrid = { map: null, ready: begun.then((map) => { window.riskgrid.map = map; }) };
