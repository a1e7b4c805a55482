// What a button does: a call, its result as a message, and its curl beside it.

import { curlButton } from './copy.js';
import { onCall, Problem } from './http.js';
import { toast } from './toast.js';

/** @typedef {import('./types.js').Call} Call */

/**
 * Do something by calls of `lab` and `zstack`; say `done` when it is done, or why not. Return what `work` returns, null
 * if it failed. The message has a button that shows the calls as curl.
 * @template T
 * @param {string | ((result: T) => string)} done
 * @param {() => Promise<T>} work
 * @returns {Promise<T | null>}
 */
export async function perform(done, work) {
  /** @type {Call[]} */
  const made = [];
  const stop = onCall((call) => call.method !== 'GET' && made.push(call));
  try {
    const result = await work();
    toast('good', typeof done === 'string' ? done : done(result), made.length > 0 && curlButton(() => made));
    return result;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    toast('bad', error.text, made.length > 0 && curlButton(() => made));
    return null;
  } finally {
    stop();
  }
}
