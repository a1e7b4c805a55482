// The values of a document's example, for the inputs of a form.

import { exampleOf } from './examples.js';

/** @typedef {import('./operations.js').Operation} Operation */
/** @typedef {import('./operations.js').Input} Input */
/** @typedef {import('./requests.js').Values} Values */

/** What the server draws, and takes only once. */
const NEVER = new Set(['resourceUuid', 'X-Job-UUID']);

/**
 * Return the values that are given already, and for the required inputs without one those of the example.
 * @param {Operation} operation
 * @param {Input[]} inputs
 * @param {Values} values
 * @returns {Values}
 */
export function exampleValues(operation, inputs, values) {
  const filled = { ...values };
  for (const input of inputs) {
    const isGiven = (filled[input.key] ?? '').length > 0 || input.schema.const !== undefined;
    if (isGiven || NEVER.has(input.name)) continue;
    const known = input.secret === '' ? inExample(operation, input) : undefined; // documents hold no secrets
    if (known !== undefined) filled[input.key] = asText(known);
    else if (input.required && input.place !== 'path')
      filled[input.key] = asText(exampleOf(input.schema, operation.schemas, input.name));
  }
  return filled;
}

/** @param {Operation} operation @param {Input} input @returns {unknown} */
function inExample({ bodyExample, bodyKey, parameters }, input) {
  const body = /** @type {any} */ (bodyExample);
  if (input.place === 'body') return bodyKey === '' ? body?.[input.name] : body?.[bodyKey]?.[input.name];
  if (input.place === 'beside') return body?.[input.name];
  return /** @type {any} */ (parameters.find(({ name }) => name === input.name))?.example;
}

/** @param {unknown} value @returns {string | string[]} */
function asText(value) {
  if (typeof value === 'string') return value;
  const isList = Array.isArray(value) && value.every((one) => typeof one !== 'object');
  return isList ? /** @type {unknown[]} */ (value).map(String) : JSON.stringify(value, null, 2);
}
