// The two APIs of the node. A call that fails throws Problem; a job is followed to its end.

import { exchange, onCall, Problem, send } from './http.js';
import { currentLogin, forgetLogin, headersFor, labHeaders, renewLogin } from './session.js';

export { onCall, Problem };

/** @typedef {import('./types.js').Call} Call */

/**
 * @typedef {object} ZStackOptions
 * @property {Record<string, unknown> | URLSearchParams} [query]  a list is a parameter that is repeated
 * @property {unknown} [body]
 * @property {AbortSignal} [signal]
 * @property {(job: {uuid: string, polls: number}) => void} [onJob]  called at each poll of the job
 */

const FIRST_POLL = 30;
const LONGEST_PAUSE = 1000;
const EXPIRED = 'ID.1001';

/**
 * Call the lab's API; `path` is below `/lab/v1`. A body that is a text is YAML. Throw Problem.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export function lab(method, path, body, { signal } = {}) {
  return send(labCall(method, path, body), { headers: labHeaders(), signal });
}

/** Return a call of the lab's API, for `curlOf`. @param {string} method @param {string} path @param {unknown} [body] @returns {Call} */
export function labCall(method, path, body) {
  return { method, path: `/lab/v1${path}`, api: 'lab', body };
}

/**
 * Call ZStack's API as who is logged in; `path` is below `/zstack/v1`. Return the body of the answer, or the result of
 * the job. Throw Problem.
 * @param {string} method
 * @param {string} path
 * @param {ZStackOptions} [options]
 * @returns {Promise<any>}
 */
export async function zstack(method, path, options = {}) {
  try {
    return await followed(zstackCall(method, path, options), options);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== EXPIRED || currentLogin() === null) throw error;
    return await retried(error, method, path, options);
  }
}

/** Return a call of ZStack's API, for `curlOf`. @param {string} method @param {string} path @param {ZStackOptions} [options] @returns {Call} */
export function zstackCall(method, path, { query, body } = {}) {
  const text = queryText(query);
  return { method, path: `/zstack/v1${path}${text === '' ? '' : `?${text}`}`, api: 'zstack', body };
}

/** Send a call of ZStack's API, and follow its job. @param {Call} call @param {ZStackOptions} options */
async function followed(call, options) {
  const { response, body, text } = await exchange(call, { headers: await headersFor(call.method, call.path), signal: options.signal });
  if (response.status === 202 && typeof body?.location === 'string') return await jobResult(body.location, options);
  if (response.ok) return body;
  throw new Problem(response.status, zstackReason(response.status, body, text), body);
}

/** @param {string} location @param {ZStackOptions} options */
async function jobResult(location, { signal, onJob }) {
  const path = new URL(location, document.baseURI).pathname;
  const uuid = path.slice(path.lastIndexOf('/') + 1);
  let pause = FIRST_POLL;
  for (let polls = 1; ; polls += 1) {
    onJob?.({ uuid, polls });
    const call = { method: 'GET', path, api: /** @type {const} */ ('zstack') };
    const { response, body, text } = await exchange(call, { headers: await headersFor('GET', path), signal });
    if (!response.ok) throw new Problem(response.status, zstackReason(response.status, body, text), body);
    if (response.status !== 202) return body;
    await new Promise((resolve) => setTimeout(resolve, pause));
    signal?.throwIfAborted();
    pause = Math.min(LONGEST_PAUSE, pause * 1.5);
  }
}

/** Log in once more if that needs no password, as after a reset. @param {Problem} problem @param {string} method @param {string} path @param {ZStackOptions} options */
async function retried(problem, method, path, options) {
  const login = currentLogin();
  if (login?.kind !== 'admin') {
    forgetLogin();
    throw problem;
  }
  await renewLogin();
  return await followed(zstackCall(method, path, options), options);
}

/** @param {ZStackOptions['query']} query */
function queryText(query) {
  if (query === undefined) return '';
  if (query instanceof URLSearchParams) return query.toString();
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter((one) => one !== undefined && one !== null)
      .map((one) => `${encodeURIComponent(name)}=${encodeURIComponent(String(one))}`),
  );
  return pairs.join('&');
}

/** @param {number} status @param {any} body @param {string} text */
function zstackReason(status, body, text) {
  const error = body?.error;
  if (error && typeof error === 'object') return `${error.code}: ${error.details ?? error.description ?? 'no details'}`;
  return text === '' || text.startsWith('<') ? `HTTP status ${status}` : text.slice(0, 500);
}
