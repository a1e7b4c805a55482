// A request as something to copy: the assertion that it came, for curl, for a scenario, and for the plugin of pytest.

import { quoted } from '../lib/curl.js';

/**
 * @typedef {object} ShownRequest  a request of the journal
 * @property {number} number
 * @property {number} time
 * @property {string} method
 * @property {string} path
 * @property {string} api
 * @property {string} client
 * @property {Record<string, string>} headers
 * @property {string | null} body
 * @property {string | null} account
 * @property {string | null} job
 * @property {number} status
 * @property {string | null} error
 * @property {number} milliseconds
 * @property {string[]} faults
 */
/** @typedef {{method: string, path?: string, api?: string, status: number, error?: string, query?: Record<string, string[]>, body?: unknown}} Matcher */

const MASK = '***';
const UUID = /\b[0-9a-f]{32}\b/g;
const GLOB = /[*?[\]]/g;
const PREFIX = /^\/(?:zstack\/)?v1(?=\/)/;
const NO_VALUE = Symbol('no value');

/** Return what a test can say of a request: without uuids, which differ each time, and without secrets. @param {ShownRequest} request @returns {Matcher} */
export function matcherOf(request) {
  const [path = '', question] = split(request.path);
  const body = expected(parsed(request.body));
  const query = queryOf(question);
  return {
    method: request.method,
    ...(request.api === '' || request.api === 'api-jobs' ? { path: path.replace(GLOB, '?').replace(UUID, '*') } : { api: shortApi(request.api) }),
    status: request.status,
    ...(request.error === null ? {} : { error: request.error }),
    ...(Object.keys(query).length === 0 ? {} : { query }),
    ...(body === NO_VALUE || body === null || typeof body !== 'object' ? {} : { body }),
  };
}

/** Return the command that succeeds once such a request has come. @param {ShownRequest} request @param {string} origin @param {boolean} tokenNeeded */
export function curlAssertion(request, origin, tokenNeeded) {
  const token = tokenNeeded ? ' -H "Authorization: Bearer $IMAGESTORE_SIM_LAB_TOKEN"' : '';
  const body = JSON.stringify({ ...matcherOf(request), count: 1, within: '5s' });
  return `# exit status 22 unless it came\ncurl -sSf${token} ${quoted(`${origin}/lab/v1/requests/wait`)} -H 'Content-Type: application/json' -d ${quoted(body)}`;
}

/** Return the code of a test with the plugin. @param {ShownRequest} request */
export function pytestAssertion(request) {
  const given = Object.entries(matcherOf(request)).map(([name, value]) => `        ${name}=${python(value)},`);
  return `async def test_the_request_came(imagestore_lab):\n    imagestore_lab.requests.assert_received(\n${given.join('\n')}\n    )`;
}

/** Return the step of a scenario that makes the call and expects its outcome. @param {ShownRequest} request */
export function scenarioStep(request) {
  const path = request.path.replace(PREFIX, '');
  const body = placeholders(parsed(request.body));
  const lines = [`- client:`, `    method: ${request.method}`, `    path: ${yaml(path)}`];
  if (body !== null && body !== NO_VALUE) lines.push(`    body: ${yaml(body)}`);
  lines.push(`    status: ${request.status === 202 ? 200 : request.status}`);
  if (request.error !== null) lines.push(`    error: ${request.error}`);
  const uuids = UUID.test(`${path} ${request.body ?? ''}`);
  UUID.lastIndex = 0;
  return `${uuids ? '# put $NAME for each uuid: that of a storage, zone or image of the scenario\n' : ''}${lines.join('\n')}`;
}

/** Return the name of an API as people say it. @param {string} api */
export function shortApi(api) {
  return api.replace(/^API/, '').replace(/Msg$/, '');
}

/** Return the body of a request as a value; NO_VALUE if it cannot be read. @param {string | null} body @returns {unknown} */
function parsed(body) {
  if (body === null) return null;
  try {
    return JSON.parse(body);
  } catch {
    return NO_VALUE;
  }
}

/** Leave out what is masked, and what differs from one run to the next. @param {unknown} value @returns {unknown} */
function expected(value) {
  if (typeof value === 'string') return value.includes(MASK) || value.search(UUID) >= 0 ? NO_VALUE : value;
  if (value === null) return NO_VALUE;
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.some((one) => expected(one) === NO_VALUE) ? NO_VALUE : value;
  const kept = Object.entries(value).map(([name, one]) => [name, expected(one)]);
  const found = kept.filter(([, one]) => one !== NO_VALUE);
  return found.length === 0 && kept.length > 0 ? NO_VALUE : Object.fromEntries(found);
}

/** Put the password of scenarios for what is masked. @param {unknown} value @returns {unknown} */
function placeholders(value) {
  if (value === MASK) return 'password';
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(placeholders);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, placeholders(one)]));
}

/** @param {string} path @returns {[string, string]} */
function split(path) {
  const at = path.indexOf('?');
  return at < 0 ? [path, ''] : [path.slice(0, at), path.slice(at + 1)];
}

/** @param {string} question */
function queryOf(question) {
  /** @type {Record<string, string[]>} */
  const found = {};
  for (const [name, value] of new URLSearchParams(question)) {
    if (!value.includes(MASK)) (found[name] ??= []).push(value.replace(GLOB, '?').replace(UUID, '*'));
  }
  return found;
}

/** @param {unknown} value @returns {string} */
function python(value) {
  if (value === null) return 'None';
  if (value === true || value === false) return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  if (typeof value === 'object') return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${python(one)}`).join(', ')}}`;
  return JSON.stringify(value);
}

/** JSON is YAML; plain words need no quotes. @param {unknown} value */
function yaml(value) {
  return typeof value === 'string' && /^[A-Za-z0-9_/.-]+$/.test(value) ? value : JSON.stringify(value);
}
