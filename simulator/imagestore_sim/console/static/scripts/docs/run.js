// A call that is really made, and its job followed to its end.

import { exchange, Problem } from '../lib/http.js';
import { callerHeaders } from './identity.js';
import { pathText, queryText } from './requests.js';
import { JSON_TYPE } from './snippets/common.js';

/** @typedef {import('./requests.js').Request} Request */

/**
 * A request and its answer.
 * @typedef {object} Step
 * @property {string} method
 * @property {string} path
 * @property {number} status
 * @property {number} milliseconds
 * @property {[string, string][]} headers
 * @property {unknown} body
 * @property {string} text
 */

const PAUSES_MS = [100, 200, 400, 700];
const PAUSE_MS = 1000;
const MOST_LINES = 500;

/**
 * Make the call, and poll its job until it has ended. `show` gets each answer as it comes. Throw Problem where none
 * comes, AbortError where `signal` ends it.
 * @param {Request} request
 * @param {(step: Step) => void} show
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export async function run(request, show, signal) {
  const first = await step(request.operation, `${pathText(request)}${queryText(request)}`, request, signal);
  show(first);
  const location = /** @type {any} */ (first.body)?.location;
  if (first.status !== 202 || typeof location !== 'string') return;
  const poll = { api: request.operation.api, authenticated: request.operation.authenticated, method: 'GET' };
  const path = new URL(location, document.baseURI).pathname;
  for (let polls = 0; ; polls += 1) {
    await pause(PAUSES_MS[polls] ?? PAUSE_MS, signal);
    const answer = await step(poll, path, null, signal);
    show(answer);
    if (answer.status !== 202) return;
  }
}

/** @param {number} milliseconds @param {AbortSignal} signal */
async function pause(milliseconds, signal) {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  signal.throwIfAborted();
}

/**
 * @param {import('./identity.js').Called} operation
 * @param {string} path @param {Request | null} request  whose body is sent @param {AbortSignal} signal
 * @returns {Promise<Step>}
 */
async function step(operation, path, request, signal) {
  const plain = /** @type {string} */ (path.split('?')[0]);
  const body = request === null ? undefined : (request.body ?? (request.text || undefined));
  /** @type {Record<string, string>} */
  const type = request?.body === undefined ? {} : { 'Content-Type': JSON_TYPE };
  const headers = {
    ...(await callerHeaders(operation, plain)),
    ...type,
    ...Object.fromEntries(request?.headers ?? []),
  };
  const call = { method: operation.method, path, api: operation.api, body };
  const made = await exchange(call, { headers, signal });
  return {
    method: operation.method,
    path,
    status: made.response.status,
    milliseconds: made.seconds * 1000,
    headers: [...made.response.headers],
    body: made.body,
    text: made.text,
  };
}

/**
 * Read an answer that does not end, such as the stream of events, line by line until `signal` ends it.
 * @param {Request} request
 * @param {(status: number, headers: [string, string][]) => void} begun
 * @param {(lines: string[]) => void} show  all that is kept: the latest lines
 * @param {AbortSignal} signal
 */
export async function runStream(request, begun, show, signal) {
  const path = `${pathText(request)}${queryText(request)}`;
  const headers = await callerHeaders(request.operation, pathText(request));
  const answer = await fetch(path, { headers, signal, cache: 'no-store' });
  begun(answer.status, [...answer.headers]);
  if (answer.body === null) throw new Problem(answer.status, 'the answer has no body');
  const decoder = new TextDecoder();
  let lines = [''];
  const reader = answer.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const [rest = '', ...more] = decoder.decode(part.value, { stream: true }).split('\n');
    lines = [...lines.slice(0, -1), `${lines.at(-1)}${rest}`, ...more].slice(-MOST_LINES);
    show(lines);
  }
}
