// One request to this node. Whatever the page does goes through here, and can be shown as curl.

import { Listeners } from './listeners.js';

/** @typedef {import('./types.js').Call} Call */
/** @typedef {Call & {status: number, seconds: number, text: string}} MadeCall */

/** In the journal of requests, this header tells the calls of the pages from those of other clients. */
export const PAGE = { 'X-Requested-With': 'imagestore-sim' };

/** A call that failed: its HTTP status (0 without an answer), and why, as the node says it. */
export class Problem extends Error {
  /** @param {number} status @param {string} text @param {unknown} [body]  the answer as it is */
  constructor(status, text, body) {
    super(text);
    this.name = 'Problem';
    this.status = status;
    this.text = text;
    this.body = body;
  }

  /** The code of ZStack's error, if it is one. */
  get code() {
    return /** @type {any} */ (this.body)?.error?.code ?? null;
  }
}

/** @type {Listeners<MadeCall>} */
const calls = new Listeners();

/** Hear of each call that was made; return what ends it. @param {(call: MadeCall) => void} listener */
export function onCall(listener) {
  return calls.add(listener);
}

/**
 * Send a request, and return the body of the answer: what its JSON holds, or its text. Throw Problem for a status of
 * 400 and more, and where no answer comes.
 * @param {Call} call
 * @param {{headers?: Record<string, string>, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function send(call, options = {}) {
  const { response, text, body } = await exchange(call, options);
  if (response.ok) return body;
  throw new Problem(response.status, reason(response.status, body, text), body);
}

/**
 * Send a request, and return the answer, whatever its status. Throw Problem where none comes.
 * @param {Call} call
 * @param {{headers?: Record<string, string>, signal?: AbortSignal}} [options]
 */
export async function exchange(call, { headers = {}, signal } = {}) {
  const begun = performance.now();
  const { response, text } = await fetched(call, headers, signal);
  const seconds = (performance.now() - begun) / 1000;
  calls.tell({ ...call, status: response.status, seconds, text });
  return { response, text, body: parsed(response, text), seconds };
}

/** @param {Call} call @param {Record<string, string>} headers @param {AbortSignal} [signal] */
async function fetched(call, headers, signal) {
  const { method, path, body } = call;
  const type = typeof body === 'string' ? 'application/yaml' : 'application/json';
  const content = body === undefined || body === null ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  // A POST without a body needs the type as well: the guard takes one without for a form of another page.
  const marked = { ...PAGE, ...headers };
  const typed = method === 'GET' || method === 'HEAD' ? marked : { 'Content-Type': type, ...marked };
  try {
    const response = await fetch(path, { method, headers: typed, body: content, signal, cache: 'no-store', redirect: 'manual' });
    return { response, text: await response.text() };
  } catch (error) {
    if (/** @type {Error} */ (error).name === 'AbortError') throw error;
    throw new Problem(0, 'the node does not answer; has it stopped?');
  }
}

/** @param {Response} response @param {string} text */
function parsed(response, text) {
  if (text === '') return null;
  try {
    return (response.headers.get('Content-Type') ?? '').includes('json') ? JSON.parse(text) : text;
  } catch {
    return text;
  }
}

/** @param {number} status @param {any} body @param {string} text */
function reason(status, body, text) {
  const error = body?.error;
  if (typeof error === 'string') return error;
  if (error && typeof error === 'object') return `${error.code}: ${error.details ?? error.description ?? 'no details'}`;
  return text.startsWith('<') || text === '' ? `HTTP status ${status}` : text.slice(0, 500);
}
