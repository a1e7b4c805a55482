import { LabError } from './errors.js';

/** @typedef {number | string} Duration `'8h'`, `'2m30s'`, `'250ms'`, or a number of seconds */
/** @typedef {number | string} Size `'1 TiB'`, `'512M'`, or a number of bytes */

/** @type {Record<string, number>} */
const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Return a duration in milliseconds.
 * @param {Duration} duration
 * @returns {number}
 */
export function milliseconds(duration) {
  if (typeof duration === 'number') return duration * 1_000;
  const text = duration.replaceAll(' ', '');
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) {
    throw new LabError(`${JSON.stringify(duration)} is no duration: write '8h', '2m30s', '250ms' or a number of seconds`);
  }
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g);
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * (MILLISECONDS[unit ?? ''] ?? 0), 0);
}
