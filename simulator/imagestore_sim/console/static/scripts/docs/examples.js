/** Examples made from schemas, where a document holds none that a lab has answered. */

import { plain, types } from './schemas.js';

/** @typedef {import("./schemas.js").Schema} Schema */
/** @typedef {import("./schemas.js").Schemas} Schemas */

const UUID = '744dc382db7b3598af79246b67e45230';
const DEEPEST = 6;

/**
 * Return an example of a value. Optional members of objects are part of it; a type within itself ends it.
 * @param {Schema} schema
 * @param {Schemas} schemas
 * @param {string} [name]  the member that holds it
 * @param {number} [depth]
 * @returns {unknown}
 */
export function exampleOf(schema, schemas, name = '', depth = 0) {
  const found = plain(schema, schemas);
  const given = [found.example, found.examples?.[0], found.const, found.default ?? undefined, found.enum?.[0]];
  const known = given.find((one) => one !== undefined);
  if (known !== undefined) return known;
  const choice = found.oneOf?.[0] ?? found.anyOf?.[0];
  if (choice !== undefined) return exampleOf(choice, schemas, name, depth);
  switch (types(found)[0]) {
    case 'object':
      return depth < DEEPEST ? objectOf(found, schemas, depth) : {};
    case 'array':
      return depth < DEEPEST && found.items ? [exampleOf(found.items, schemas, name, depth + 1)] : [];
    case 'integer':
    case 'number':
      return found.minimum ?? 1;
    case 'boolean':
      return false;
    case 'string':
      return stringOf(found, name);
    default:
      return null;
  }
}

/** @param {Schema} schema @param {Schemas} schemas @param {number} depth @returns {Record<string, unknown>} */
function objectOf(schema, schemas, depth) {
  const pairs = Object.entries(schema.properties ?? {});
  return Object.fromEntries(pairs.map(([name, one]) => [name, exampleOf(one, schemas, name, depth + 1)]));
}

/** @param {Schema} schema @param {string} name */
function stringOf(schema, name) {
  if (schema.format?.startsWith('date') === true) return 'Nov 14, 2017 10:20:57 PM';
  return /uuids?$/i.test(name) ? UUID : name || 'text';
}
