/** What the snippets of all languages share: headers, endings, and the places of secrets in a JSON text. */

import { Secret } from '../requests.js';

/** @typedef {import("../requests.js").Request} Request */
/** @typedef {{origin: string, needsToken: boolean}} Target  `needsToken`: calls of the lab's API need its token */
/** @typedef {{name: string, language: string, write: (request: Request, target: Target) => string}} Snippet */

export const SESSION = 'ZSTACK_SESSION';
export const TOKEN = 'IMAGESTORE_SIM_LAB_TOKEN';
export const JSON_TYPE = 'application/json; charset=utf-8';

/**
 * Return the Authorization that a request needs, as its scheme and the variable with its secret; null if none.
 * @param {Request} request
 * @param {Target} target
 * @returns {{scheme: string, variable: string} | null}
 */
export function authorization({ operation }, { needsToken }) {
  if (operation.api === 'zstack') return operation.authenticated ? { scheme: 'OAuth', variable: SESSION } : null;
  return needsToken ? { scheme: 'Bearer', variable: TOKEN } : null;
}

/**
 * Return the media type of the body that a request has; "" if it has none.
 * @param {Request} request
 */
export function bodyType({ body, text, operation }) {
  if (body !== undefined) return JSON_TYPE;
  return text === '' ? '' : operation.bodyMedia;
}

/**
 * Return a body as JSON text in which `mark` stands for each secret, quotes included.
 * @param {unknown} body
 * @param {(secret: Secret) => string} mark
 */
export function jsonWith(body, mark) {
  const secrets = /** @type {Secret[]} */ ([]);
  const text = JSON.stringify(
    body,
    (_, value) => (value instanceof Secret ? `\u0000${secrets.push(value) - 1}\u0000` : value),
    2,
  );
  return text.replace(/\\u0000(\d+)\\u0000/g, (_, index) => mark(/** @type {Secret} */ (secrets[Number(index)])));
}

/**
 * Return the secrets of a request, each variable once.
 * @param {Request} request
 * @returns {Secret[]}
 */
export function secretsOf(request) {
  const found = /** @type {Map<string, Secret>} */ (new Map());
  const look = (/** @type {unknown} */ value) => {
    if (value instanceof Secret) found.set(value.variable, value);
    else if (value !== null && typeof value === 'object') Object.values(value).forEach(look);
  };
  look([request.path, request.query, request.body ?? null]);
  return [...found.values()];
}

/** @param {Request} request */
export function usesHash(request) {
  return secretsOf(request).some(({ hashed }) => hashed);
}

/**
 * Return the lines with some blanks before each that is not empty.
 * @param {string} text
 * @param {string} blanks
 */
export function indented(text, blanks) {
  return text.replace(/^(?=.)/gm, blanks);
}
