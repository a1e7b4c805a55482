import { AssertionError } from 'node:assert';
import { checkNames } from './names.js';

const HOW_OFTEN = ['times', 'atLeast', 'never'];

/** @typedef {import('./connection.js').Connection} Connection */
/**
 * @typedef {object} Matcher Which requests are meant. Strings are globs, except in `body`.
 * @property {string} [method]
 * @property {string} [path] with or without its query string and `/zstack`
 * @property {string} [api] `AddImageStore*`; `api-jobs` for polls
 * @property {string} [account]
 * @property {string} [client] an address, or a `User-Agent`
 * @property {number | string} [status] 503, or `'5xx'`; 0: a fault let it have no answer
 * @property {string} [error] `'SYS.1006'`; `'*'` for any
 * @property {Record<string, string | null>} [headers] null: it has none of that name
 * @property {Record<string, string | string[] | null>} [query]
 * @property {unknown} [body] members that it has, at any depth
 * @property {string | string[]} [jsonPath]
 * @property {string} [job]
 * @property {string} [fault] the id of a fault that it met
 * @property {number} [since] only those after the one with this number
 * @property {number} [after] only those after this time, in seconds since the epoch
 */
/**
 * @typedef {object} RecordedRequest
 * @property {number} number
 * @property {number} time seconds since the epoch, by the lab's clock
 * @property {string} method
 * @property {string} path
 * @property {string | null} api
 * @property {Record<string, string>} headers
 * @property {any} body
 * @property {number} status
 * @property {string | null} error
 * @property {string | null} job
 * @property {string[]} faults
 */
/** @typedef {{times?: number, atLeast?: number, never?: boolean}} Times How often; without all of them: at least once */

/**
 * Return the requests that match, the oldest first.
 * @param {Connection} connection
 * @param {Matcher} matcher
 * @returns {Promise<RecordedRequest[]>}
 */
export async function find(connection, matcher) {
  return (await connection.lab('POST', '/requests/find', matcher)).requests;
}

/**
 * Throw an AssertionError, with the requests that come closest, unless they came as often as expected.
 * @param {Connection} connection
 * @param {Matcher} matcher
 * @param {Times} expected
 * @returns {Promise<void>}
 */
export async function assertRequested(connection, matcher, expected) {
  checkNames(expected, HOW_OFTEN);
  const { times, atLeast = 1, never = false } = expected;
  const exact = never ? 0 : times;
  const found = await connection.lab('POST', '/requests/count', matcher);
  const wanted = exact === undefined ? `at least ${atLeast}` : exact === 0 ? 'none' : `exactly ${exact}`;
  const enough = exact === undefined ? found.count >= atLeast : found.count === exact;
  const doubt = exact === undefined || !enough ? '' : unknown(found);
  if (enough && !doubt) return;
  const lines = [`expected ${wanted}, received ${found.count}`, doubt];
  if (found.count === 0) lines.push((await connection.lab('POST', '/requests/near-misses', { expected: matcher })).text);
  else lines.push(...(await find(connection, matcher)).slice(-5).map(line), `matcher: ${JSON.stringify(matcher)}`);
  throw new AssertionError({
    message: lines.filter(Boolean).join('\n'),
    actual: found.count,
    expected: exact ?? atLeast,
    operator: 'assertRequested',
    stackStartFn: assertRequested,
  });
}

/** @param {{dropped: number, undecided: number}} found */
function unknown({ dropped, undecided }) {
  if (dropped) return `cannot know: the journal has dropped ${dropped} older requests, which may match`;
  return undecided ? `cannot know: ${undecided} requests may match, but too little of them was kept` : '';
}

/** @param {RecordedRequest} request */
const line = (request) => `  #${request.number} ${request.method} ${request.path} -> ${request.status}`;
