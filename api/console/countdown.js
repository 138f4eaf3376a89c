// Deadlines that are counted down to, and on after them.

import { element } from './dom.js';
import { millis, span } from './format.js';

const EVERY_MS = 1_000;

function timeLeft(due) {
  const left = millis(due) - Date.now();
  return left >= 0 ? `${span(left)} left` : `${span(-left)} over`;
}

/** An element that tells how long it is until a deadline, or since it, while it is on the page. */
export const countdown = (due) => element('span', { class: 'countdown', 'data-due': due, title: `due ${due}` }, timeLeft(due));

/** Counts, for as long as the page is open. */
export function keepCounting() {
  setInterval(() => {
    for (const place of document.querySelectorAll('.countdown[data-due]')) {
      const text = timeLeft(place.dataset.due);
      if (place.textContent !== text) place.textContent = text;
    }
  }, EVERY_MS);
}
