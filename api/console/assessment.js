// How offices did in a month that is frozen: a table of rates, and a chart of one of them with its interval.

import { byId, element, showProblem } from './dom.js';
import { ask } from './server.js';

const RATES = { timely: 'In time', response: 'Responded', coverage: 'Callers answered', resolution: 'Solved', satisfaction: 'Satisfied' };
const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 340;
const ROW = 26;
const LEFT = 110;

/** Starts the part of the page; nothing is asked before it is opened. */
export function startAssessment() {
  const part = byId('assessment');
  const month = byId('assessment-month');
  const rate = byId('assessment-rate');
  let shown = null;
  month.value = monthBefore(new Date());
  rate.append(...Object.entries(RATES).map(([name, label]) => element('option', { value: name }, label)));
  part.addEventListener('toggle', () => { if (part.open) load(); });
  month.addEventListener('change', load);
  rate.addEventListener('change', draw);

  async function load() {
    shown = null;
    try {
      shown = (await ask(`/v1/assessment/${encodeURIComponent(month.value)}?restated=true`)).body;
      showProblem('assessment-message', '');
    } catch (problem) {
      showProblem('assessment-message', problem.message);
    }
    draw();
  }

  function draw() {
    const place = byId('assessment-shown');
    if (shown === null) {
      place.replaceChildren();
      return;
    }
    place.replaceChildren(chart(shown.offices, rate.value), table(shown, rate.value),
      element('p', { class: 'quiet' }, `Frozen at ${shown.frozen_at}, SHA-256 ${shown.sha256.slice(0, 16)}…`));
  }
}

/** The last month whose freezing may have come: two months ago until the middle of a month. */
function monthBefore(now) {
  const back = now.getDate() > 15 ? 1 : 2;
  const then = new Date(now.getFullYear(), now.getMonth() - back, 1);
  return `${then.getFullYear()}-${String(then.getMonth() + 1).padStart(2, '0')}`;
}

const percent = (rate) => (rate === null ? '–' : `${rate.percent.toFixed(1)} %`);

function table({ offices, city, restated }, name) {
  const now = new Map(restated.offices.map((one) => [one.office, one]));
  const row = (label, one, later) => element('tr', {}, element('th', { scope: 'row' }, label), element('td', {}, one.n),
    element('td', {}, one[name] === null ? '–' : `${one[name].count} of ${one[name].of}`), element('td', {}, percent(one[name])),
    element('td', { class: 'quiet' }, percent(later?.[name] ?? null)));
  return element('table', { class: 'rates' },
    element('thead', {}, element('tr', {}, ['Office', 'Cases', RATES[name], '', 'As of now'].map((text) => element('th', { scope: 'col' }, text)))),
    element('tbody', {}, offices.map((one) => row(one.office || 'nobody', one, now.get(one.office))), row('All', city, restated.city)));
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** A bar an office, and over it the interval in which its rate may truly be. */
function chart(offices, name) {
  const known = offices.filter((one) => one[name] !== null);
  const scale = (share) => LEFT + share * (WIDTH - LEFT - 10);
  const height = ROW * known.length + 18;
  const said = known.map((one) => `${one.office || 'nobody'} ${percent(one[name])}`).join(', ');
  const bars = known.flatMap((one, index) => {
    const middle = ROW * index + ROW / 2;
    const { percent: value, low, high } = one[name];
    return [
      svg('text', { x: LEFT - 8, y: middle + 4, 'text-anchor': 'end' }, (one.office || 'nobody').slice(0, 16)),
      svg('rect', { x: LEFT, y: middle - 8, width: Math.max(1, scale(value / 100) - LEFT), height: 16, class: 'bar-of-rate' }),
      svg('path', { d: `M${scale(low)} ${middle - 5}V${middle + 5}M${scale(low)} ${middle}H${scale(high)}M${scale(high)} ${middle - 5}V${middle + 5}`,
        class: 'interval' }),
    ];
  });
  const axis = [0, 0.5, 1].flatMap((share) => [
    svg('path', { d: `M${scale(share)} 0V${height - 16}`, class: 'axis' }),
    svg('text', { x: scale(share), y: height - 3, 'text-anchor': share === 1 ? 'end' : 'middle' }, `${share * 100} %`),
  ]);
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${height}`, role: 'img', class: 'chart', 'aria-label': `${RATES[name]}: ${said}` }, ...axis, ...bars);
}
