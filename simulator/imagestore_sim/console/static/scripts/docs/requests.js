/** The request that a form makes: what the page sends, and what the snippets write in other languages. */

import { listsScalars, types } from './schemas.js';

/** @typedef {import("./operations.js").Operation} Operation */
/** @typedef {import("./operations.js").Input} Input */
/** @typedef {import("./schemas.js").Schema} Schema */
/** @typedef {string | string[]} Value  as typed */
/** @typedef {Record<string, Value>} Values  by the key of the input */

/** A value that is shown as a variable of the environment. */
export class Secret {
  /**
   * @param {string} variable
   * @param {boolean} hashed  whether its SHA-512 is sent
   */
  constructor(variable, hashed) {
    this.variable = variable;
    this.hashed = hashed;
  }
}

/**
 * @typedef {object} Request
 * @property {Operation} operation
 * @property {string} method
 * @property {(string | Secret)[]} path  its parts, percent-encoded; joined they are the path
 * @property {[string, string | Secret][]} query
 * @property {[string, string][]} headers  those that were chosen, without Authorization and Content-Type
 * @property {unknown} body  undefined: none. It may hold secrets
 * @property {string} text  the body of another media type than JSON
 */

/** @typedef {{input: Input, text: string}} Complaint */

/** The input of a body that is not JSON. */
export const BODY_KEY = 'body';

/**
 * Return the request for the values. With `secrets`, those are in it; without, Secrets stand for them.
 * @param {Operation} operation
 * @param {Input[]} inputs
 * @param {Values} values
 * @param {{secrets: boolean}} options
 * @returns {Request}
 */
export function requestOf(operation, inputs, values, { secrets }) {
  const given = inputs.filter((input) => isGiven(values[input.key]) || input.schema.const !== undefined);
  const read = (/** @type {Input} */ input) => valueOf(input, values[input.key] ?? '', secrets);
  return {
    operation,
    method: operation.method,
    path: pathOf(operation, inputs, values, secrets),
    query: given.filter(({ place }) => place === 'query').flatMap((input) => pairsOf(input, read(input))),
    headers: given.filter(({ place }) => place === 'header').map(({ name, key }) => [name, String(values[key])]),
    body: bodyOf(operation, given, read),
    text: ['', 'application/json'].includes(operation.bodyMedia) ? '' : String(values[BODY_KEY] ?? ''),
  };
}

/** @param {Value | undefined} value */
export function isGiven(value) {
  return value !== undefined && value.length > 0;
}

/** @param {Operation} operation @param {Input[]} inputs @param {Values} values @param {boolean} secrets */
function pathOf(operation, inputs, values, secrets) {
  const parts = operation.path.split(/(\{\w+\})/).filter((part) => part !== '');
  return parts.map((part) => {
    const input = inputs.find(({ name, place }) => place === 'path' && part === `{${name}}`);
    const value = input === undefined ? undefined : values[input.key];
    if (input === undefined || !isGiven(value)) return part;
    const found = valueOf(input, /** @type {Value} */ (value), secrets);
    return found instanceof Secret ? found : encodeURIComponent(String(found));
  });
}

/** @param {Input} input @param {unknown} value @returns {[string, string | Secret][]} */
function pairsOf(input, value) {
  if (value instanceof Secret) return [[input.name, value]];
  return [value].flat().map((one) => [input.name, typeof one === 'string' ? one : JSON.stringify(one)]);
}

/**
 * @param {Operation} operation @param {Input[]} given @param {(input: Input) => unknown} read
 * @returns {unknown}
 */
function bodyOf(operation, given, read) {
  if (operation.bodyMedia !== 'application/json') return undefined;
  const object = (/** @type {string} */ place) =>
    Object.fromEntries(given.filter((one) => one.place === place).map((one) => [one.name, read(one)]));
  return operation.bodyKey === '' ? object('body') : { [operation.bodyKey]: object('body'), ...object('beside') };
}

/** @param {Input} input @param {Value} value @param {boolean} secrets @returns {unknown} */
function valueOf(input, value, secrets) {
  if (input.secret !== '' && !secrets) return new Secret(input.secret, input.hashed);
  if (input.schema.const !== undefined) return input.schema.const;
  return converted(input.schema, value);
}

/**
 * Return the value that a text stands for, by the type of its schema.
 * @param {Schema} schema
 * @param {Value} value
 * @returns {unknown}
 */
export function converted(schema, value) {
  const [type, ...others] = types(schema);
  if (typeof value === 'string' && listsScalars(schema)) return converted(schema, [value]);
  if (Array.isArray(value)) return value.map((one) => converted(schema.items ?? { type: 'string' }, one));
  const known = [type, ...others];
  if (known.includes('boolean') && /^(true|false)$/.test(value)) return value === 'true';
  if (known.some((one) => one === 'integer' || one === 'number') && isNumber(value)) return Number(value);
  if (known.some((one) => one === 'object' || one === 'array') || type === undefined) return parsed(value);
  return value;
}

/** @param {string} value */
function isNumber(value) {
  return value.trim() !== '' && Number.isFinite(Number(value)) && Math.abs(Number(value)) <= Number.MAX_SAFE_INTEGER;
}

/** @param {string} value @returns {unknown} */
function parsed(value) {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/**
 * Return what is wrong with the values before they are sent: the server would refuse them. What it alone can know, it
 * says itself.
 * @param {Input[]} inputs
 * @param {Values} values
 * @returns {Complaint[]}
 */
export function complaints(inputs, values) {
  return inputs.flatMap((input) => {
    const text = complaint(input, values[input.key]);
    return text === '' ? [] : [{ input, text }];
  });
}

/** @param {Input} input @param {Value | undefined} value */
function complaint(input, value) {
  if (!isGiven(value)) return input.required && input.schema.const === undefined ? 'is required' : '';
  const known = types(input.schema);
  const only = (/** @type {string[]} */ ...wanted) => known.length > 0 && known.every((one) => wanted.includes(one));
  if (Array.isArray(value) || listsScalars(input.schema)) return '';
  const text = /** @type {string} */ (value);
  if (only('integer') && !/^[+-]?\d+$/.test(text.trim())) return 'must be a whole number';
  if (only('number', 'integer') && !isNumber(text)) return 'must be a number';
  if (only('object', 'array') && typeof parsed(text) === 'string') return 'must be JSON';
  return '';
}

/**
 * Return the path of a request whose parts hold no Secret.
 * @param {Request} request
 */
export function pathText(request) {
  return request.path.join('');
}

/**
 * Return the query string of a request without secrets, with its question mark; "" if it has none.
 * @param {Request} request
 */
export function queryText(request) {
  const pairs = request.query.map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`,
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}
