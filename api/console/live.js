// Staying current: the server's stream of events, polling while the stream is down, and an honest word on which it is.

import { byId } from './dom.js';
import { localTime, millis, span, utcTime } from './format.js';
import { onReach } from './server.js';

const POLL_MS = 5_000;
const REOPEN_MS = 15_000;
const HEARTBEAT_MS = 15_000;
const STILL_MS = 60_000;
const BEHIND_MS = 15 * 60_000;

/**
 * Opens the stream. A page that fell behind is told that it missed something, and asks for everything anew. `on.tiles(layers)`, `on.alert()` and `on.watermark(time, domain)` follow its events; `on.poll()` asks for everything
 * anew and runs every 5 s without the stream, every 15 s with it, so that a stream that hangs is noticed.
 */
export function startLive(on) {
  let stream = null;
  let openedAt = 0;
  let polledAt = performance.now();
  let answering = null;
  const isOpen = () => stream?.readyState === EventSource.OPEN;

  function open() {
    stream?.close();
    openedAt = performance.now();
    stream = new EventSource('/v1/stream');
    stream.addEventListener('open', () => { on.poll(); judge(); });
    stream.addEventListener('error', judge);
    stream.addEventListener('missed', () => on.poll());
    stream.addEventListener('tiles', (event) => {
      const { layers } = read(event);
      // Which layers changed is not told to a page that fell behind: any may have.
      if (Array.isArray(layers)) on.tiles(layers);
      else on.poll();
    });
    stream.addEventListener('alert', () => on.alert());
    stream.addEventListener('case', () => on.cases());
    stream.addEventListener('card', () => on.cases());
    stream.addEventListener('watermark', (event) => {
      const { as_of: asOf, domain } = read(event);
      on.watermark(asOf, domain);
    });
  }

  function beat() {
    const now = performance.now();
    if (stream.readyState === EventSource.CLOSED && now - openedAt > REOPEN_MS) open();
    if (now - polledAt > (isOpen() ? HEARTBEAT_MS : POLL_MS)) {
      polledAt = now;
      on.poll();
    }
    judge();
  }

  function judge() {
    const still = movedAt === null ? null : performance.now() - movedAt;
    if (answering === false) show('offline', 'Offline', 'showing what was last known');
    else if (answering === null) show('connecting', 'Connecting', '');
    else if (movedAt === null) show('stale', 'Connected', 'no data yet');
    else if (still > STILL_MS) show('stale', 'Stale', `no new data for ${span(still)}`);
    else if (isOpen()) show('live', 'Live', 'as it happens');
    else show('stale', 'Polling', 'every 5 s, the stream is down');
  }

  onReach((answered) => {
    answering = answered;
    judge();
  });
  open();
  setInterval(beat, 1000);
}

let movedAt = null;
let shownAsOf = null;

/** Shows up to when the data in view are complete, and notes when that last moved. `null` when nothing is known. */
export function showAsOf(at, layerChanged) {
  if (at === null || at === shownAsOf) return;
  const first = shownAsOf === null;
  if (layerChanged !== true || first) movedAt = performance.now();
  shownAsOf = at;
  byId('as-of-local').textContent = localTime(at);
  byId('as-of-local').dateTime = new Date(at).toISOString();
  const behind = Date.now() - at;
  const away = Math.abs(behind) > BEHIND_MS ? ` · ${span(Math.abs(behind))} ${behind > 0 ? 'behind' : 'ahead of'} this clock` : '';
  byId('as-of-utc').textContent = `${utcTime(at)}${away}`;
}

function show(state, word, detail) {
  const place = byId('connection');
  place.dataset.state = state;
  if (byId('connection-word').textContent !== word) byId('connection-word').textContent = word;
  if (byId('connection-detail').textContent !== detail) byId('connection-detail').textContent = detail;
}

function read(event) {
  try {
    return JSON.parse(event.data) ?? {};
  } catch {
    return {};
  }
}
