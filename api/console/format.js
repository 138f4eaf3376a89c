// How numbers, units and times are written. One language and a 24-hour clock, so that two screens read the same.

const NUMBER = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });
const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const LOCAL = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
});
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const UTC = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone: 'UTC',
});

const UNITS = { ug: 'µg', Cel: '°C', deg: '°', Ohm: 'Ω', '%': '%', 1: '' };

/** Whole numbers in full, others to four digits; `–` when there is none. */
export function number(value) {
  if (value === null || value === undefined || value === '' || !Number.isFinite(Number(value))) return '–';
  const given = Number(value);
  return Number.isInteger(given) ? WHOLE.format(given) : NUMBER.format(given);
}

/** A count in little room: 1.2K, 3.4M. */
export const shortNumber = (value) => SHORT.format(Number(value) || 0);

/** A UCUM code as people write it: `ug/m3` becomes µg/m³, `1` and none become nothing. */
export function unitText(code) {
  if (!code) return '';
  return code.split('/').map((part) => {
    const [, name, power] = /^(.*?)(\d?)$/.exec(part);
    const plain = UNITS[part] ?? UNITS[name] ?? name;
    return plain + ({ 2: '²', 3: '³' }[power] ?? (part in UNITS ? '' : power));
  }).join('/');
}

/** Milliseconds since 1970, or `null` when the text is no time. */
export function millis(text) {
  const parsed = typeof text === 'string' ? Date.parse(text) : NaN;
  return Number.isNaN(parsed) ? null : parsed;
}

/** Date and time where the reader is. */
export const localTime = (at) => LOCAL.format(at);

/** Hours and minutes where the reader is. */
export const clockTime = (at) => CLOCK.format(at);

/** Date and time in UTC, marked so. */
export const utcTime = (at) => `${UTC.format(at)} UTC`;

/** A span in its one or two largest units: 42 s, 7 min, 3 h 20 min, 12 days. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}
