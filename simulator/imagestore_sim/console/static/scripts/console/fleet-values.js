// The values that a field of the storages has now, to be offered in conditions.

import { state } from '../lib/state.js';

const MOST = 1000; // storages that are looked at
/** @type {Record<string, string[]>} */
const CLOSED = { status: ['Connected', 'Connecting', 'Disconnected'], state: ['Enabled', 'Disabled'] };

/** Return values of a field, in order. @param {string} field @returns {string[]} */
export function valuesOf(field) {
  const closed = CLOSED[field];
  if (closed !== undefined) return closed;
  const found = new Set(/** @type {string[]} */ ([]));
  for (const storage of state.storages.values()) {
    const value = /** @type {any} */ (storage)[field];
    if (typeof value === 'string') found.add(value);
    if (found.size >= MOST) break;
  }
  return [...found].sort();
}
