/** The search for operations: by name, path, field, summary. */

import { fieldNames } from './operations.js';
import { plain } from './schemas.js';

/** @typedef {import("./operations.js").Operation} Operation */
/** @typedef {{operation: Operation, name: string, path: string, text: string, fields: string}} Entry */

const [IN_NAME_FIRST, IN_NAME, IN_PATH, IN_TEXT, IN_FIELDS] = [50, 30, 20, 10, 5];

/**
 * Return the index of some operations. The fields are those of inputs, and those that a query can test.
 * @param {Operation[]} operations
 * @returns {Entry[]}
 */
export function indexOf(operations) {
  return operations.map((operation) => ({
    operation,
    name: `${operation.operationId} ${operation.id}`.toLowerCase(),
    path: `${operation.method} ${operation.paths.join(' ')}`.toLowerCase(),
    text: `${operation.summary} ${operation.group} ${operation.description}`.toLowerCase(),
    fields: fieldsOf(operation).toLowerCase(),
  }));
}

/** @param {Operation} operation */
function fieldsOf(operation) {
  const schema = plain(operation.bodySchema ?? {}, operation.schemas);
  const inner = schema.properties?.[operation.bodyKey] ?? schema;
  const names = operation.parameters.map(({ name: one }) => one);
  return [...names, ...fieldNames(operation), ...Object.keys(plain(inner, operation.schemas).properties ?? {})].join(
    ' ',
  );
}

/**
 * Return the operations that every word of a text is found in, the best first.
 * @param {Entry[]} entries
 * @param {string} text
 * @returns {Operation[]}
 */
export function search(entries, text) {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const found = entries.flatMap((entry, order) => {
    const scores = words.map((word) => score(entry, word));
    if (scores.includes(0)) return [];
    const total = scores.reduce((sum, one) => sum + one, 0) - entry.name.length / 100;
    return [{ operation: entry.operation, total, order }];
  });
  found.sort((one, other) => other.total - one.total || one.order - other.order);
  return found.map(({ operation }) => operation);
}

/** @param {Entry} entry @param {string} word */
function score(entry, word) {
  if (entry.name.startsWith(word)) return IN_NAME_FIRST;
  if (entry.name.includes(word)) return IN_NAME;
  if (entry.path.includes(word)) return IN_PATH;
  if (entry.text.includes(word)) return IN_TEXT;
  return entry.fields.includes(word) ? IN_FIELDS : 0;
}
