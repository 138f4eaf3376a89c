// The legend: which colour means which number, and what is in view.

import { byId, element } from './dom.js';
import { breaks, stillFit, CLASSES } from './breaks.js';
import { palette } from './colours.js';
import { metricName } from './choice.js';
import { number, shortNumber } from './format.js';

const WINDOW_WORDS = { '15m': 'last 15 minutes', '1h': 'last hour', '6h': 'last 6 hours', '24h': 'last 24 hours' };

/** Keeps the limits between colours steady while they serve: a colour that changes meaning each second tells nothing. */
export function startLegend() {
  let limits = null;
  let madeFor = '';

  return {
    /** Takes the values in view; gives the limits to colour by, or `null` while there is nothing to show. */
    update(choice, zoomLevel, values) {
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
        byId('legend-shown').textContent = `No data in view, ${WINDOW_WORDS[choice.window]}.`;
        return limits;
      }
      if (!limits || madeFor !== what || !stillFit(limits, low, high)) limits = breaks(low, high, isCount);
      madeFor = what;
      draw(title, limits);
      const withUnit = unit ? ` ${unit}` : '';
      byId('legend-shown').textContent = `${number(values.length)} hexagons, ${WINDOW_WORDS[choice.window]}: `
        + (low === high ? `${number(low)}${withUnit}` : `${number(low)} to ${number(high)}${withUnit}`);
      return limits;
    },
  };
}

function draw(title, limits) {
  const { ramp } = palette();
  const shape = JSON.stringify([title, limits, ramp]);
  if (byId('legend').dataset.shape === shape) return;
  byId('legend').dataset.shape = shape;
  const bar = byId('legend-ramp');
  bar.replaceChildren(...ramp.map((colour) => {
    const swatch = element('span');
    swatch.style.background = colour;
    return swatch;
  }));
  bar.setAttribute('aria-label', `${title}. Seven colours, with limits at ${limits.map(number).join('; ')}`);
  byId('legend-numbers').replaceChildren(...limits.map((limit, index) => {
    const mark = element('span', {}, Math.abs(limit) >= 10_000 ? shortNumber(limit) : number(limit));
    mark.style.left = `${((index + 1) / CLASSES) * 100}%`;
    return mark;
  }));
}
