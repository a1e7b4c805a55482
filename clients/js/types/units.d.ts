/**
 * Return a duration in milliseconds.
 * @param {Duration} duration
 * @returns {number}
 */
export function milliseconds(duration: Duration): number;
/**
 * `'8h'`, `'2m30s'`, `'250ms'`, or a number of seconds
 */
export type Duration = number | string;
/**
 * `'1 TiB'`, `'512M'`, or a number of bytes
 */
export type Size = number | string;
