// On which terms somebody takes an alert, or all of an incident: what they say to it, and until when.

import { byId, showProblem } from './dom.js';
import { ask } from './server.js';

const HOUR_MS = 3_600_000;

/** Asks for the terms and sends them to `path`. `done` is called when the server has taken them. */
export function acknowledge(path, name, done) {
  const dialog = byId('acknowledge');
  const form = byId('acknowledge-form');
  byId('acknowledge-name').textContent = name;
  byId('acknowledge-comment').value = '';
  byId('acknowledge-until').value = '';
  showProblem('acknowledge-message', '');
  form.onsubmit = async (event) => {
    event.preventDefault();
    const submit = form.querySelector('[type="submit"]');
    submit.disabled = true;
    try {
      await ask(path, terms());
      dialog.close();
      await done();
    } catch (problem) {
      showProblem('acknowledge-message', `It is not acknowledged. ${problem.message}`);
    } finally {
      submit.disabled = false;
    }
  };
  byId('acknowledge-cancel').onclick = () => dialog.close();
  // Focus goes to the comment, and back to the button when it closes: a dialog of the browser does both.
  dialog.showModal();
}

function terms() {
  const comment = byId('acknowledge-comment').value.trim();
  const hours = Number(byId('acknowledge-until').value);
  return {
    ...(comment ? { comment } : {}),
    ...(hours > 0 ? { until: new Date(Date.now() + hours * HOUR_MS).toISOString() } : {}),
  };
}
