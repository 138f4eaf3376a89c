// Which areas are in emergency, and switching them.

import { byId, element, showProblem } from './dom.js';
import { ask } from './server.js';

const HOUR_MS = 3_600_000;

/** Starts the switch in the bar. `done` is called when a mode was set. */
export function startMode(done) {
  const button = byId('mode');
  const dialog = byId('mode-dialog');

  async function load() {
    const answer = await ask('/v1/mode').catch(() => null);
    button.hidden = !answer;
    if (!answer) return;
    const areas = answer.body.areas.filter((one) => one.mode === 'emergency').map((one) => one.area);
    button.dataset.mode = answer.body.mode;
    button.textContent = areas.length === 0 ? 'Normal mode' : `Emergency: ${areas.join(', ')}`;
  }

  button.addEventListener('click', async () => {
    showProblem('mode-message', '');
    const areas = await ask('/v1/areas').then(({ body }) => body.areas ?? [], () => []);
    byId('mode-area').replaceChildren(...areas.map((one) => element('option', { value: one.id }, one.name ?? one.id)));
    byId('mode-none').hidden = areas.length > 0;
    dialog.showModal();
  });
  byId('mode-cancel').addEventListener('click', () => dialog.close());
  byId('mode-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const hours = Number(byId('mode-hours').value);
    const reason = byId('mode-reason').value.trim();
    try {
      await ask('/v1/mode', {
        mode: new FormData(event.currentTarget).get('mode'),
        area: byId('mode-area').value,
        ...(hours > 0 ? { until: new Date(Date.now() + hours * HOUR_MS).toISOString() } : {}),
        ...(reason ? { reason } : {}),
      }, { method: 'PUT' });
      dialog.close();
      await load();
      byId('announcement').textContent = button.textContent;
      await done();
    } catch (problem) {
      showProblem('mode-message', `The mode is as it was. ${problem.message}`);
    }
  });
  return { load };
}
