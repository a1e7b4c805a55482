/** JSON Schemas of the OpenAPI documents: references, names of types, rules in words, and the tree of an answer. */

/**
 * A JSON Schema, as far as the documents use it.
 * @typedef {object} Schema
 * @property {string} [$ref]
 * @property {string | string[]} [type]
 * @property {string} [format]
 * @property {string} [title]
 * @property {string} [description]
 * @property {unknown} [default]
 * @property {unknown} [const]
 * @property {unknown[]} [enum]
 * @property {unknown} [example]
 * @property {unknown[]} [examples]
 * @property {Record<string, Schema>} [properties]
 * @property {string[]} [required]
 * @property {Schema} [items]
 * @property {boolean | Schema} [additionalProperties]
 * @property {Schema[]} [anyOf]
 * @property {Schema[]} [oneOf]
 * @property {Schema[]} [allOf]
 * @property {number} [minLength]
 * @property {number} [maxLength]
 * @property {number} [minItems]
 * @property {number} [maxItems]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {number} [exclusiveMinimum]
 * @property {number} [exclusiveMaximum]
 * @property {string} [pattern]
 * @property {string} [x-resource]
 * @property {string} [x-unit]
 */

/** @typedef {Record<string, Schema>} Schemas  the components of a document, by name */

/**
 * A member of an answer.
 * @typedef {object} Member
 * @property {string} name
 * @property {string} type
 * @property {boolean} required
 * @property {string} description
 * @property {string[]} rules
 * @property {Schema | null} inner  the schema whose members stand below it
 */

const REFERENCE = '#/components/schemas/';
const DEEPEST = 20;

/**
 * Return the schema that a reference names, with a description of its own taking precedence.
 * @param {Schema} schema
 * @param {Schemas} schemas
 * @returns {Schema}
 */
export function resolve(schema, schemas) {
  let found = schema;
  for (let depth = 0; found.$ref !== undefined && depth < DEEPEST; depth += 1) {
    const { $ref, ...own } = found;
    found = { ...(schemas[$ref.slice(REFERENCE.length)] ?? {}), ...own };
  }
  return found;
}

/**
 * Return the schema without references, `allOf` and the alternative null. What it says beside them is kept.
 * @param {Schema} schema
 * @param {Schemas} schemas
 * @returns {Schema}
 */
export function plain(schema, schemas) {
  let found = resolve(schema, schemas);
  for (let depth = 0; depth < DEEPEST; depth += 1) {
    const { allOf, anyOf, ...own } = found;
    const values = (anyOf ?? []).filter((one) => one.type !== 'null');
    if (allOf !== undefined) found = { ...merged(allOf, schemas), ...own };
    else if (values.length === 1) found = { ...resolve(/** @type {Schema} */ (values[0]), schemas), ...own };
    else return found;
  }
  return found;
}

/** @param {Schema[]} parts @param {Schemas} schemas @returns {Schema} */
function merged(parts, schemas) {
  return parts
    .map((part) => plain(part, schemas))
    .reduce(
      (all, part) => ({
        ...all,
        ...part,
        properties: { ...all.properties, ...part.properties },
        required: [...(all.required ?? []), ...(part.required ?? [])],
      }),
      /** @type {Schema} */ ({}),
    );
}

/**
 * Return the types that a value may have, but null.
 * @param {Schema} schema
 * @returns {string[]}
 */
export function types(schema) {
  if (schema.type !== undefined) return [schema.type].flat().filter((one) => one !== 'null');
  if (schema.const !== undefined) return [typeof schema.const];
  if (schema.enum !== undefined) return ['string'];
  return schema.properties !== undefined ? ['object'] : [];
}

/**
 * Return whether a value is a list of texts or numbers, which a form shows as one input each.
 * @param {Schema} schema  with elements without references
 */
export function listsScalars(schema) {
  const inner = types(schema.items ?? { type: 'string' });
  return types(schema)[0] === 'array' && inner.length > 0 && inner.every((one) => one !== 'array' && one !== 'object');
}

const NAMES = /** @type {Record<string, string>} */ ({
  string: 'String',
  boolean: 'Boolean',
  number: 'Double',
  array: 'List',
  object: 'Map',
});

/**
 * Return the name of a type, in ZStack's words: `String`, `Integer`, `Long`, `List<ZoneInventory>`.
 * @param {Schema} schema
 * @param {Schemas} schemas
 * @returns {string}
 */
export function typeName(schema, schemas) {
  const found = plain(schema, schemas);
  const choices = found.oneOf ?? found.anyOf;
  if (choices !== undefined && found.type === undefined && found.properties === undefined) {
    return [...new Set(choices.map((one) => typeName(one, schemas)))].slice(0, 3).join(' or ');
  }
  const own = schema.$ref?.slice(REFERENCE.length) ?? found.title ?? '';
  const names = types(found).map((type) => nameOf(type, found, schemas, own));
  return names.join(' or ') || 'any';
}

/** @param {string} type @param {Schema} schema @param {Schemas} schemas @param {string} own @returns {string} */
function nameOf(type, schema, schemas, own) {
  if (type === 'integer') return schema.format === 'int32' ? 'Integer' : 'Long';
  if (type === 'string' && (own === 'Date' || schema.format?.startsWith('date') === true)) return 'Timestamp';
  if (type === 'array') return `List<${schema.items === undefined ? 'any' : typeName(schema.items, schemas)}>`;
  if (type === 'object' && schema.properties !== undefined) return own || 'Map';
  return NAMES[type] ?? type;
}

/**
 * Return the rules of a value in words, such as `at most 255 characters`.
 * @param {Schema} schema
 * @returns {string[]}
 */
export function rules(schema) {
  const said = [];
  if (schema.enum !== undefined) said.push(`one of ${schema.enum.map(text).join(', ')}`);
  if (schema.const !== undefined) said.push(`always ${text(schema.const)}`);
  if (schema.minLength === 1 && schema.maxLength === undefined) said.push('not empty');
  else if (schema.minLength !== undefined) said.push(`at least ${count(schema.minLength, 'character')}`);
  if (schema.maxLength !== undefined) said.push(`at most ${count(schema.maxLength, 'character')}`);
  if (schema.minItems !== undefined) said.push(`at least ${count(schema.minItems, 'element')}`);
  if (schema.maxItems !== undefined) said.push(`at most ${count(schema.maxItems, 'element')}`);
  said.push(...range(schema));
  if (schema.pattern !== undefined) said.push(`matches ${schema.pattern}`);
  if (schema['x-unit'] !== undefined) said.push(`in ${schema['x-unit']}`);
  if (schema['x-resource'] !== undefined) said.push(`an existing ${resourceName(schema['x-resource'])}`);
  if (schema.default !== undefined && schema.default !== null) said.push(`default ${text(schema.default)}`);
  return said;
}

/** @param {Schema} schema @returns {string[]} */
function range(schema) {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (minimum !== undefined && maximum !== undefined) return [`${minimum} to ${maximum}`];
  const said = [];
  if (minimum !== undefined) said.push(`at least ${minimum}`);
  if (maximum !== undefined) said.push(`at most ${maximum}`);
  if (exclusiveMinimum !== undefined) said.push(`more than ${exclusiveMinimum}`);
  if (exclusiveMaximum !== undefined) said.push(`less than ${exclusiveMaximum}`);
  return said;
}

/** @param {number} number @param {string} noun */
function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** @param {unknown} value @returns {string} */
function text(value) {
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
}

/**
 * Return the type of a resource without the ending of its class: `Zone` for `ZoneVO`.
 * @param {string} resource
 */
export function resourceName(resource) {
  return resource.replace(/VO$/, '');
}

/**
 * Return the members of an answer, or of an object in it. Those of inner objects follow from `inner`.
 * @param {Schema} schema
 * @param {Schemas} schemas
 * @returns {Member[]}
 */
export function members(schema, schemas) {
  const found = plain(schema, schemas);
  const required = new Set(found.required ?? []);
  return Object.entries(found.properties ?? {}).map(([name, one]) => {
    const shown = plain(one, schemas);
    return {
      name,
      type: typeName(one, schemas),
      required: required.has(name),
      description: shown.description ?? '',
      rules: rules(shown),
      inner: innerOf(shown, schemas),
    };
  });
}

/** @param {Schema} schema @param {Schemas} schemas @returns {Schema | null} */
function innerOf(schema, schemas) {
  const values = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
  const inside = schema.items ?? (schema.properties === undefined ? values : undefined);
  if (inside !== undefined) {
    const found = plain(inside, schemas);
    return found.properties !== undefined ? found : innerOf(found, schemas);
  }
  return schema.properties !== undefined ? schema : null;
}
