// The time that a timeline shows: where a moment is in it, where its marks are, and how it is moved.

export const SHORTEST = 0.5;
export const LONGEST = 31 * 86400;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];
const PIXELS_A_MARK = 88;

/** @typedef {{from: number, to: number}} Range  seconds since the epoch */

/** Return the place of a moment, in pixels from the left. @param {Range} range @param {number} width @param {number} time */
export function place(range, width, time) {
  return ((time - range.from) / (range.to - range.from)) * width;
}

/** Return the moment at a place. @param {Range} range @param {number} width @param {number} x */
export function moment(range, width, x) {
  return range.from + (x / Math.max(1, width)) * (range.to - range.from);
}

/** Return the range with its length changed around a moment that keeps its place. @param {Range} range @param {number} factor @param {number} around @returns {Range} */
export function zoomed(range, factor, around) {
  const length = range.to - range.from;
  const next = Math.min(LONGEST, Math.max(SHORTEST, length * factor));
  const from = around - ((around - range.from) / length) * next;
  return { from, to: from + next };
}

/** Return the range moved by a share of its length. @param {Range} range @param {number} share @returns {Range} */
export function moved(range, share) {
  const by = (range.to - range.from) * share;
  return { from: range.from + by, to: range.to + by };
}

/** Return the moments of round times in a range, no closer than they can be read. @param {Range} range @param {number} width @returns {{times: number[], step: number}} */
export function marks(range, width) {
  const least = ((range.to - range.from) * PIXELS_A_MARK) / Math.max(1, width);
  const step = STEPS.find((one) => one >= least) ?? 604800;
  const zone = new Date(range.to * 1000).getTimezoneOffset() * 60;
  const times = [];
  for (let time = Math.ceil((range.from - zone) / step) * step + zone; time <= range.to; time += step) times.push(time);
  return { times, step };
}

/** Return what a mark says. @param {number} time @param {number} step */
export function markText(time, step) {
  const date = new Date(Math.round(time * 1000));
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (step >= 86400) return `${date.getMonth() + 1}/${date.getDate()}`;
  if (step >= 60) return minutes;
  const seconds = `${minutes}:${two(date.getSeconds())}`;
  return step >= 1 ? seconds : `${seconds}.${Math.floor(date.getMilliseconds() / 100)}`;
}
