// Where one colour ends and the next begins: round numbers over what is in view. Pure.

/** Colours of a ramp. */
export const CLASSES = 7;

/** Where one band of risk ends and the next begins: fixed, so that a colour means the same on every screen and day. */
export const BANDS = [0.2, 0.4, 0.6, 0.8];

/** Kinds of surprise, from the gravest, with the words for them. */
export const SURPRISES = { black_swan: 'black swan: rare and grave', grey_rhino: 'grey rhino: long in coming', watch: 'to be watched', normal: 'normal' };

const FACTORS = [1, 2, 2.5, 5, 10];

/**
 * Six ascending limits that cut `[low, high]` into seven classes. Counts that span more than a decade get limits that
 * grow by factors (1, 2, 5, 10 …), since a few hexagons hold most of them; everything else gets even steps.
 */
export function breaks(low, high, isCount) {
  const limits = CLASSES - 1;
  if (isCount && high > CLASSES * 3) {
    const ladder = [];
    for (let decade = 1; decade <= high; decade *= 10) ladder.push(decade * 2, decade * 5, decade * 10);
    const reachable = ladder.filter((step) => step <= high);
    if (reachable.length >= limits) return reachable.slice(-limits);
  }
  const least = isCount ? Math.max(1, Math.floor(low)) : low;
  const range = high - least;
  let step = range > 0 ? roundUp(range / (CLASSES + 1)) : roundUp(Math.max(Math.abs(high) / 100, 1e-6));
  if (isCount) step = Math.max(1, Math.ceil(step));
  const first = Math.floor(least / step) * step + step;
  return Array.from({ length: limits }, (_, index) => Number((first + index * step).toPrecision(12)));
}

/** Whether limits made for other data still show these well: the top not all one colour, the colours not mostly unused. */
export function stillFit(limits, low, high) {
  const step = limits.at(-1) - limits.at(-2);
  const used = limits.filter((limit) => limit > low && limit <= high).length;
  return high <= limits.at(-1) + 2 * step && low >= limits[0] - 2 * step && (used >= 3 || high - low < step);
}

/** The next of 1, 2, 2.5, 5, 10 times a power of ten. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * (FACTORS.find((factor) => factor * power >= value * 0.999999) ?? 10);
}
