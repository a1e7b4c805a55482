// Sizes, durations, dates and counts, as people read them.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const DATE = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: 'numeric' });
const DAY = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const COUNT = new Intl.NumberFormat('en');

/** Return bytes with three digits: `3.02 TiB`; null is `unknown`. @param {number | null | undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return 'unknown';
  let [amount, unit] = [Math.abs(value), 0];
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 100 ? 0 : amount >= 10 ? 1 : 2;
  return `${value < 0 ? '-' : ''}${amount.toFixed(digits)} ${UNITS[unit]}`;
}

/** Return `host:port`, with an IPv6 address in brackets. @param {string} host @param {number} port */
export function hostAndPort(host, port) {
  return `${bracketed(host)}:${port}`;
}

/** Return a host as it stands before a port: an IPv6 address in brackets. @param {string} host */
export function bracketed(host) {
  return host.includes(':') ? `[${host}]` : host;
}

/** Return seconds as `250 ms`, `2.5 s`, `2 min 30 s`, `3 h`, `2 d 4 h`. @param {number} seconds */
export function duration(seconds) {
  const whole = Math.round(seconds);
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(whole, 60, 'min', 1, 's');
  if (whole < 86400) return two(whole, 3600, 'h', 60, 'min');
  return two(whole, 86400, 'd', 3600, 'h');
}

/** @param {number} seconds @param {number} large @param {string} unit @param {number} small @param {string} smaller */
function two(seconds, large, unit, small, smaller) {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${unit}${rest > 0 ? ` ${rest} ${smaller}` : ''}`;
}

/** Return milliseconds as `0.4 ms`, `12 ms`, `1.2 s`. @param {number} value */
export function milliseconds(value) {
  return value < 10 ? `${Number(value.toFixed(1))} ms` : duration(value / 1000);
}

/** Return the time of day of a moment. @param {number} seconds  since the epoch */
export function time(seconds) {
  return CLOCK.format(seconds * 1000);
}

/** Return day and time of a moment. @param {number} seconds  since the epoch */
export function dateTime(seconds) {
  return `${DATE.format(seconds * 1000)} ${time(seconds)}`;
}

/** Return day and time of a moment, without the year. @param {number} seconds  since the epoch */
export function dayTime(seconds) {
  return `${DAY.format(seconds * 1000)} ${time(seconds)}`;
}

/** Return how long ago, or until, a moment is: `12 s ago`, `in 3 min 5 s`. @param {number} seconds @param {number} now */
export function ago(seconds, now) {
  const passed = now - seconds;
  if (Math.abs(passed) < 1) return 'now';
  return passed > 0 ? `${duration(Math.round(passed))} ago` : `in ${duration(Math.round(-passed))}`;
}

/** Return a share of all as `42%`; without any, `0%`. @param {number} part @param {number} whole */
export function percent(part, whole) {
  return `${whole > 0 ? Math.round((100 * part) / whole) : 0}%`;
}

/** Return a number with commas. @param {number} value */
export function count(value) {
  return COUNT.format(value);
}

/** Return `1 host`, `2 hosts`. @param {number} value @param {string} one @param {string} [many] */
export function plural(value, one, many) {
  return `${count(value)} ${value === 1 ? one : (many ?? `${one}s`)}`;
}

/** Return the first digits of a uuid. @param {string} uuid */
export function shortUuid(uuid) {
  return uuid.slice(0, 8);
}
