// What a button does: a call, its result as a message, and its curl beside it.

import { curlButton } from './copy.js';
import { onCall, Problem } from './http.js';
import { toast } from './toast.js';

/** @typedef {import('./types.js').Call} Call */

const SHOW_MS = 300;

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
  const rest = working();
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
    rest();
  }
}

let works = 0;

/** Show that something is being done, if it takes a while; return what ends that. */
function working() {
  works += 1;
  const timer = setTimeout(() => document.documentElement.classList.add('working'), SHOW_MS);
  return () => {
    works -= 1;
    clearTimeout(timer);
    if (works === 0) document.documentElement.classList.remove('working');
  };
}
