// The records that exist, to choose from: a parameter's resources, a path's variable, a field's values.

import { exchange } from '../lib/http.js';
import { callerHeaders } from './identity.js';
import { listingFor, queryFor } from './operations.js';

/** @typedef {import('./operations.js').Operation} Operation */
/** @typedef {import('./operations.js').Input} Input */
/** @typedef {{value: string, label: string}} Choice */

const MOST = 100;
const KEPT_MS = 3000;

/** @type {Map<string, {asked: number, rows: Promise<Record<string, unknown>[]>}>} */
const kept = new Map();

/**
 * Return what an input can name; empty where nothing lists it, or it cannot be asked for.
 * @param {Operation[]} operations
 * @param {Operation} operation
 * @param {Input} input
 * @returns {Promise<Choice[]>}
 */
export async function choicesFor(operations, operation, input) {
  const source = sourceOf(operations, operation, input);
  if (source === undefined) return [];
  const rows = await rowsOf(source, operation.api === 'zstack' ? `?limit=${MOST}` : '');
  return rows.map((row) => choice(row, input.name)).filter(({ value }) => value !== '');
}

/** @param {Operation[]} operations @param {Operation} operation @param {Input} input */
export function sourceOf(operations, operation, input) {
  if (input.resource !== '') return queryFor(operations, input.resource);
  if (input.place === 'path') {
    const listing = listingFor(operations, operation, input.name);
    if (listing !== undefined && !listing.path.includes('{')) return listing;
  }
  const named = /^(\w+?)Uuids?$/.exec(input.name)?.[1];
  return named === undefined ? undefined : queryFor(operations, `${named[0]?.toUpperCase()}${named.slice(1)}VO`);
}

/**
 * Return the values that a field has in the rows of a query, each once.
 * @param {Operation} query
 * @param {string} field
 * @returns {Promise<Choice[]>}
 */
export async function valuesOf(query, field) {
  if (query.path.includes('{') || field.includes('.')) return [];
  const rows = await rowsOf(query, `?limit=${MOST}`);
  const values = rows.flatMap((row) => [row[field]].flat()).filter((value) => value !== undefined && value !== null);
  const unique = [...new Set(values.map(String))].slice(0, MOST);
  const names = new Map(rows.map((row) => [String(row.uuid), String(row.name ?? '')]));
  return unique.map((value) => ({ value, label: names.get(value) ?? '' }));
}

/** @param {Operation} operation @param {string} query */
function rowsOf(operation, query) {
  const path = `${operation.path}${query}`;
  const known = kept.get(path);
  if (known !== undefined && performance.now() - known.asked < KEPT_MS) return known.rows;
  const rows = asked(operation, path);
  kept.set(path, { asked: performance.now(), rows });
  return rows;
}

/** Forget the records that are kept, after a call that may have changed them. */
export function forgetRecords() {
  kept.clear();
}

/** @param {Operation} operation @param {string} path @returns {Promise<Record<string, unknown>[]>} */
async function asked(operation, path) {
  const headers = await callerHeaders(operation, operation.path);
  const { response, body } = await exchange({ method: 'GET', path, api: operation.api }, { headers });
  return response.ok ? rowsIn(body) : [];
}

/** @param {any} body @returns {Record<string, unknown>[]} */
function rowsIn(body) {
  const found = Object.values(body ?? {}).find((value) => Array.isArray(value));
  return Array.isArray(found) ? found.filter((row) => row !== null && typeof row === 'object') : [];
}

/** @param {Record<string, any>} row @param {string} name @returns {Choice} */
function choice(row, name) {
  const value = /uuids?$/i.test(name) ? (row.uuid ?? row[name]) : (row[name] ?? row.name ?? row.uuid);
  const label = [row.name ?? row.AccessKeyID ?? row.tag ?? row.kind, row.status ?? row.state]
    .filter(Boolean)
    .join(', ');
  return { value: String(value ?? ''), label };
}
