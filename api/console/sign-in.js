// Who looks at the page: signing in with a key where the server asks for one, and out again.

import { byId, showProblem } from './dom.js';
import { ask, onSignedOut } from './server.js';

/** Waits until the server knows who asks, and shows it. Gives `{ who, name, role, … }`: `name` where the issuer says one. */
export async function signIn() {
  const whoami = () => ask('/v1/whoami').then(({ body }) => body);
  let identity;
  while (!identity) {
    identity = await whoami().catch(async (problem) => {
      if (problem.status === 401) await keyIsTaken(problem.signIn);
      else throw problem;
    });
  }
  show(identity);
  return identity;
}

/** Shows the form until a key was taken. The key goes into the body of one request, and nowhere else. */
function keyIsTaken(ways = []) {
  const form = byId('sign-in-form');
  const key = byId('sign-in-key');
  byId('sign-in').hidden = false;
  byId('sign-in-issuer').hidden = !ways.includes('issuer');
  byId('sign-in-issuer').href = `/auth/login?return=${encodeURIComponent(location.pathname)}`;
  key.focus();
  return new Promise((taken) => {
    form.addEventListener('submit', async function submit(event) {
      event.preventDefault();
      const given = key.value.trim();
      key.value = '';
      try {
        await ask('/auth/key', { key: given });
      } catch (problem) {
        showProblem('sign-in-message', problem.status === 401 ? 'This key is not good, or not any more.' : problem.message);
        key.focus();
        return;
      }
      form.removeEventListener('submit', submit);
      showProblem('sign-in-message', '');
      byId('sign-in').hidden = true;
      taken();
    });
  });
}

function show({ who, name, role }) {
  document.body.dataset.role = role ?? '';
  const button = byId('sign-in-out');
  const isSomebody = who !== 'anonymous';
  // Where everybody is an admin there is nobody else to be.
  byId('identity').hidden = !isSomebody && role !== 'public';
  byId('who').textContent = isSomebody ? `${name ?? who}, ${role}` : '';
  button.textContent = isSomebody ? 'Sign out' : 'Sign in';
  button.addEventListener('click', async () => {
    if (isSomebody) await ask('/auth/logout', {}).catch(() => {});
    else await keyIsTaken();
    location.reload();
  });
  // What was shown with rights that are gone must not stay.
  if (isSomebody) onSignedOut(() => location.reload());
}
