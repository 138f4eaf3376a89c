// A silence, drawn on the map or taken from what the map shows, with what it would hide before it is made.

import { byId, element, showProblem } from './dom.js';
import { startDrawing } from './drawing.js';
import { number } from './format.js';
import { atMostEvery } from './pace.js';
import { ask } from './server.js';

const HOUR_MS = 3_600_000;

/** Starts the form. `layers()` are those that can be chosen; `done` is called when a silence was made. */
export function startSilences({ map, layers, done }) {
  const card = byId('silence');
  const drawing = startDrawing(map, () => preview());
  let opener = null;

  /** Opens the form for all layers, or for one; it hides what lies in what the map shows until something is drawn. */
  function open(layer = '') {
    opener = document.activeElement;
    const chosen = layers().some((one) => one.layer === layer) ? layer : '';
    byId('silence-layer').replaceChildren(element('option', { value: '' }, 'all layers'),
      ...layers().filter((one) => one.layer !== '*').map((one) => element('option', { value: one.layer, selected: one.layer === chosen }, one.label ?? one.layer)));
    byId('silence-comment').value = '';
    byId('silence-critical').checked = false;
    showProblem('silence-message', '');
    card.hidden = false;
    byId('silence-title').focus();
    preview();
  }

  function close() {
    drawing.end();
    card.hidden = true;
    opener?.focus?.();
  }

  /** The body of the request, whose comment may be missing while it is only looked at. */
  function wanted(comment) {
    const layer = byId('silence-layer').value;
    const severities = ['minor', 'moderate', 'major', ...(byId('silence-critical').checked ? ['critical'] : [])];
    return {
      match: { severity: severities, ...(layer ? { layer: [layer] } : {}) },
      place: { polygon: { type: 'Polygon', coordinates: [drawing.ring() ?? shown(map)] } },
      ends_at: new Date(Date.now() + Number(byId('silence-hours').value) * HOUR_MS).toISOString(),
      comment,
    };
  }

  const preview = atMostEvery(500, async () => {
    if (card.hidden) return;
    try {
      const { body } = await ask('/v1/silences?dry_run=true', wanted('preview'));
      const counts = Object.entries(body.by_severity).map(([severity, count]) => `${number(count)} ${severity}`).join(', ');
      byId('silence-preview').textContent = `Hides ${number(body.open.length)} open alerts; of the last 7 days ${number(body.last_7d)}${counts ? ` (${counts})` : ''}.`;
      showProblem('silence-message', '');
    } catch (problem) {
      byId('silence-preview').textContent = '';
      showProblem('silence-message', problem.message);
    }
  });

  byId('silence-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const submit = event.currentTarget.querySelector('[type="submit"]');
    submit.disabled = true;
    try {
      await ask('/v1/silences', wanted(byId('silence-comment').value.trim()));
      close();
      byId('announcement').textContent = 'The silence is made.';
      await done();
    } catch (problem) {
      showProblem('silence-message', `There is no silence yet. ${problem.message}`);
    } finally {
      submit.disabled = false;
    }
  });
  for (const id of ['silence-layer', 'silence-hours', 'silence-critical']) byId(id).addEventListener('change', preview);
  byId('silence-draw').addEventListener('click', () => drawing.begin());
  byId('silence-cancel').addEventListener('click', close);
  byId('silence-open').addEventListener('click', () => open());
  map.on('moveend', () => { if (!card.hidden && !drawing.ring()) preview(); });
  card.addEventListener('keydown', (event) => { if (event.key === 'Escape') close(); });

  return { open };
}

/** What the map shows, as a ring. */
function shown(map) {
  const bounds = map.getBounds();
  const [west, south, east, north] = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
  const [left, right] = [Math.max(west, -180), Math.min(east, 180)];
  return [[left, south], [right, south], [right, north], [left, north], [left, south]];
}
