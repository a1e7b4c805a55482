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
export function find(connection: Connection, matcher: Matcher): Promise<RecordedRequest[]>;
/**
 * Throw an AssertionError, with the requests that come closest, unless they came as often as expected.
 * @param {Connection} connection
 * @param {Matcher} matcher
 * @param {Times} expected
 * @returns {Promise<void>}
 */
export function assertRequested(connection: Connection, matcher: Matcher, expected: Times): Promise<void>;
export type Connection = import("./connection.js").Connection;
/**
 * Which requests are meant. Strings are globs, except in `body`.
 */
export type Matcher = {
    method?: string | undefined;
    /**
     * with or without its query string and `/zstack`
     */
    path?: string | undefined;
    /**
     * `AddImageStore*`; `api-jobs` for polls
     */
    api?: string | undefined;
    account?: string | undefined;
    /**
     * an address, or a `User-Agent`
     */
    client?: string | undefined;
    /**
     * 503, or `'5xx'`; 0: a fault let it have no answer
     */
    status?: string | number | undefined;
    /**
     * `'SYS.1006'`; `'*'` for any
     */
    error?: string | undefined;
    /**
     * null: it has none of that name
     */
    headers?: Record<string, string | null> | undefined;
    query?: Record<string, string | string[] | null> | undefined;
    /**
     * members that it has, at any depth
     */
    body?: unknown;
    jsonPath?: string | string[] | undefined;
    job?: string | undefined;
    /**
     * the id of a fault that it met
     */
    fault?: string | undefined;
    /**
     * only those after the one with this number
     */
    since?: number | undefined;
    /**
     * only those after this time, in seconds since the epoch
     */
    after?: number | undefined;
};
export type RecordedRequest = {
    number: number;
    /**
     * seconds since the epoch, by the lab's clock
     */
    time: number;
    method: string;
    path: string;
    api: string | null;
    headers: Record<string, string>;
    body: any;
    status: number;
    error: string | null;
    job: string | null;
    faults: string[];
};
/**
 * How often; without all of them: at least once
 */
export type Times = {
    times?: number;
    atLeast?: number;
    never?: boolean;
};
