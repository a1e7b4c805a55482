// The state of the page is its URL: `/#/storages/UUID?q=status=Connected`.

import { Listeners } from './listeners.js';

/** @typedef {import('./types.js').Route} Route */
/** @typedef {Record<string, string | string[] | null | undefined>} Query */

/** @type {Listeners<Route>} */
const listeners = new Listeners();
let current = read();

globalThis.addEventListener('hashchange', changed);

/** Return the state as the URL has it. @returns {Route} */
export function route() {
  return current;
}

/** Hear of each change of the URL; return what ends it. @param {(route: Route) => void} listener */
export function onRoute(listener) {
  return listeners.add(listener);
}

/**
 * Return the URL of a state, for the `href` of a link. Parts of the path are encoded here.
 * @param {string[]} parts
 * @param {Query} [query]
 */
export function link(parts, query = {}) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    const values = Array.isArray(value) ? value : [value];
    for (const one of values) if (one !== null && one !== undefined && one !== '') pairs.append(name, one);
  }
  const text = pairs.toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}

/**
 * Go to a state. `replace` leaves no entry in the browser's history, as while one types.
 * @param {string[]} parts
 * @param {Query} [query]
 * @param {{replace?: boolean}} [options]
 */
export function go(parts, query, { replace = false } = {}) {
  const url = link(parts, query);
  if (url === location.hash) return;
  if (replace) {
    history.replaceState(null, '', url);
    changed();
  } else location.hash = url;
}

/** Change the query of the state, and leave the rest; null removes. @param {Query} changes @param {{replace?: boolean}} [options] */
export function setQuery(changes, options) {
  /** @type {Query} */
  const query = {};
  for (const name of new Set(current.query.keys())) query[name] = current.query.getAll(name);
  go(current.parts, { ...query, ...changes }, options);
}

function changed() {
  current = read();
  listeners.tell(current);
}

/** @returns {Route} */
function read() {
  const hash = location.hash.replace(/^#\/?/, '');
  const at = hash.indexOf('?');
  const path = at < 0 ? hash : hash.slice(0, at);
  const parts = path.split('/').filter(Boolean).map(decoded);
  return { path, parts, query: new URLSearchParams(at < 0 ? '' : hash.slice(at + 1)) };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
