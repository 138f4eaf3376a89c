// The legend: which colour means which number, and what is in view.

import { byId, element } from './dom.js';
import { BANDS, breaks, stillFit, SURPRISES } from './breaks.js';
import { bandColours, palette, surpriseColours } from './colours.js';
import { isOfSurface, metricName } from './choice.js';
import { number, shortNumber } from './format.js';

const WINDOW_WORDS = { '15m': 'last 15 minutes', '1h': 'last hour', '6h': 'last 6 hours', '24h': 'last 24 hours' };

/** Keeps the limits between colours steady while they serve: a colour that changes meaning each second tells nothing. */
export function startLegend() {
  let limits = null;
  let madeFor = '';

  return {
    /** Takes the values in view; gives the limits to colour by, or `null` while there is nothing to show. */
    update(choice, zoomLevel, found) {
      const values = found.map(Number);
      const { name, unit, isCount } = metricName(choice.layer, choice.metric);
      const what = [choice.layer.layer, choice.metric, choice.window, zoomLevel].join();
      let [low, high] = [Infinity, -Infinity];
      for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
      const title = `${choice.layer.label}: ${name.toLowerCase()}${unit ? `, ${unit}` : ''}`;
      byId('legend-title').textContent = title;
      if (values.length === 0) {
        byId('legend-shown').textContent = `No data in view, ${spanOf(choice)}.`;
        return limits;
      }
      if (choice.metric === 'class') return drawSurprises(title, found);
      if (choice.metric.startsWith('risk')) limits = BANDS;
      else if (!limits || madeFor !== what || !stillFit(limits, low, high)) limits = breaks(low, high, isCount);
      madeFor = what;
      draw(title, limits, limits === BANDS ? bandColours() : palette().ramp);
      const withUnit = unit ? ` ${unit}` : '';
      byId('legend-shown').textContent = `${number(values.length)} hexagons, ${spanOf(choice)}: `
        + (low === high ? `${number(low)}${withUnit}` : `${number(low)} to ${number(high)}${withUnit}`);
      return limits;
    },
  };
}

const spanOf = ({ metric, window: span }) => (isOfSurface(metric) ? 'now' : WINDOW_WORDS[span]);

/** One colour each, with its word below; gives no limits. */
function drawSurprises(title, found) {
  const colours = surpriseColours();
  byId('legend').dataset.shape = '';
  byId('legend-ramp').replaceChildren(...Object.keys(SURPRISES).map((name) => {
    const swatch = element('span', { title: SURPRISES[name] });
    swatch.style.background = colours[name];
    return swatch;
  }));
  byId('legend-ramp').setAttribute('aria-label', `${title}: ${Object.values(SURPRISES).join('; ')}`);
  byId('legend-numbers').replaceChildren(...Object.keys(SURPRISES).map((name, index) => {
    const mark = element('span', {}, name.replace('_', ' '));
    mark.style.left = `${((index + 0.5) / 4) * 100}%`;
    return mark;
  }));
  const counts = Object.keys(SURPRISES).map((name) => [name, found.filter((one) => one === name).length]).filter(([, count]) => count > 0);
  byId('legend-shown').textContent = `${number(found.length)} hexagons, now: ${counts.map(([name, count]) => `${count} ${name.replace('_', ' ')}`).join(', ')}`;
  return null;
}

function draw(title, limits, ramp) {
  const shape = JSON.stringify([title, limits, ramp]);
  if (byId('legend').dataset.shape === shape) return;
  byId('legend').dataset.shape = shape;
  const bar = byId('legend-ramp');
  bar.replaceChildren(...ramp.map((colour) => {
    const swatch = element('span');
    swatch.style.background = colour;
    return swatch;
  }));
  bar.setAttribute('aria-label', `${title}. ${ramp.length} colours, with limits at ${limits.map(number).join('; ')}`);
  byId('legend-numbers').replaceChildren(...limits.map((limit, index) => {
    const mark = element('span', {}, Math.abs(limit) >= 10_000 ? shortNumber(limit) : number(limit));
    mark.style.left = `${((index + 1) / ramp.length) * 100}%`;
    return mark;
  }));
}
