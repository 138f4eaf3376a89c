// Talking to the server this page came from, and to nobody else.

const PATIENCE_MS = 10_000;
const reached = new EventTarget();
const UNAUTHENTICATED = 401;

/** What went wrong with a request, in words for the reader. */
export class ServerProblem extends Error {
  constructor(message, status, signIn = []) {
    super(message);
    this.status = status;
    /** By which ways one may sign in, where that is what is missing. */
    this.signIn = signIn;
  }
}

/** Calls back after each request: `true` when the server answered (whatever it said), `false` when it did not. */
export function onReach(listener) {
  reached.addEventListener('reach', (event) => listener(event.detail));
}

/** Calls back when the server no longer knows who asks. */
export function onSignedOut(listener) {
  reached.addEventListener('signed-out', listener);
}

/** GET, or POST of a JSON body (or another method), with other headers. Gives `{ body, asOf }`: the JSON answer, and `riskgrid-as-of` when the answer is made from data. */
export async function ask(path, body, { method = 'POST', headers = {} } = {}) {
  const request = { signal: AbortSignal.timeout(PATIENCE_MS), headers: { accept: 'application/json', ...headers } };
  if (body !== undefined) {
    request.method = method;
    request.headers['content-type'] = 'application/json';
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch (cause) {
    tell(false);
    throw new ServerProblem(cause.name === 'TimeoutError' ? 'The server does not answer.' : 'The server cannot be reached.', 0);
  }
  tell(true);
  const read = await answer.text().then((text) => (text === '' ? null : JSON.parse(text))).catch(() => null);
  if (!answer.ok) {
    if (answer.status === UNAUTHENTICATED) reached.dispatchEvent(new Event('signed-out'));
    throw new ServerProblem(read?.detail ?? read?.title ?? `The server answered ${answer.status}.`, answer.status, read?.sign_in);
  }
  return { body: read, asOf: answer.headers.get('riskgrid-as-of') };
}

/** Rows of a query as objects by column name. */
export async function query(sql) {
  const { body } = await ask('/v1/sql', { sql });
  const names = body.columns.map((column) => column.name);
  return body.rows.map((row) => Object.fromEntries(row.map((value, index) => [names[index], value])));
}

function tell(answered) {
  reached.dispatchEvent(new CustomEvent('reach', { detail: answered }));
}
