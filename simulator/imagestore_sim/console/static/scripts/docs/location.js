/** The page's URL: `/docs#/zstack/APIQueryZoneMsg?q=name~%3Da&limit=10`. Every state has one; no secret is in it. */

import { isGiven } from './requests.js';

/** @typedef {import("./operations.js").ApiName} ApiName */
/** @typedef {import("./operations.js").Input} Input */
/** @typedef {import("./requests.js").Values} Values */
/** @typedef {{api: ApiName, id: string, values: Values}} Place  `id` is "" where no operation is chosen */

/** The key of the chosen kind of body, where an operation takes one of several. */
export const VARIANT_KEY = 'kind';

/**
 * Return the place that the fragment of a URL names. An unknown API is ZStack's.
 * @param {string} fragment
 * @returns {Place}
 */
export function readPlace(fragment) {
  const [path = '', query = ''] = split(fragment.replace(/^#?\/?/, ''), '?');
  const [api = '', id = ''] = split(path, '/');
  const values = /** @type {Values} */ ({});
  for (const [name, value] of new URLSearchParams(query)) {
    const before = values[name];
    values[name] = before === undefined ? value : [before, value].flat();
  }
  return { api: api === 'lab' ? 'lab' : 'zstack', id: decoded(id), values };
}

/** @param {string} text @param {string} separator @returns {[string, string]} */
function split(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Return the fragment of a place. `inputs` says which values are secret: those are left out.
 * @param {ApiName} api
 * @param {string} id
 * @param {Values} [values]
 * @param {Input[]} [inputs]
 */
export function placeText(api, id, values = {}, inputs = []) {
  const secret = new Set(inputs.filter((input) => input.secret !== '').map(({ key }) => key));
  const pairs = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (isGiven(value) && !secret.has(key)) for (const one of [value].flat()) pairs.append(key, one);
  }
  const query = pairs.toString();
  return `#/${api}/${encodeURIComponent(id)}${query === '' ? '' : `?${query}`}`;
}
