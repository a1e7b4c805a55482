/** The operations of both APIs, read from their OpenAPI documents. */

import { plain, resourceName, types } from './schemas.js';

/** @typedef {import("./schemas.js").Schema} Schema */
/** @typedef {import("./schemas.js").Schemas} Schemas */
/** @typedef {"zstack" | "lab"} ApiName */
/** @typedef {"path" | "query" | "header" | "body" | "beside"} Place  "beside": in the body, beside the member of the parameters */

/**
 * @typedef {object} Parameter
 * @property {string} name
 * @property {string} in
 * @property {boolean} [required]
 * @property {string} [description]
 * @property {Schema} [schema]
 * @property {string} [x-resource]
 * @property {unknown} [example]
 */
/** @typedef {{schema?: Schema, example?: unknown, examples?: Record<string, {value?: unknown, summary?: string}>}} Media */
/** @typedef {{description?: string, content?: Record<string, Media>}} Response */
/** @typedef {{name: string, kind?: string, collection?: boolean}} QueryField */

/**
 * What the document of ZStack's API says of an operation beyond OpenAPI.
 * @typedef {object} Facts
 * @property {string} [api]
 * @property {string} [javaClass]
 * @property {string} [bodyKey]
 * @property {boolean} [synchronous]
 * @property {boolean} [authenticated]
 * @property {boolean} [adminOnly]
 * @property {string} [state]
 * @property {string} [deviation]
 * @property {string} [source]
 * @property {string} [since]
 * @property {string[]} [paths]
 * @property {string} [response]
 * @property {{inventory?: string, fields?: QueryField[], paths?: Record<string, string>}} [query]  `paths`: steps to other inventories
 */

/**
 * @typedef {object} RawOperation
 * @property {string} [operationId]
 * @property {string} [summary]
 * @property {string} [description]
 * @property {string[]} [tags]
 * @property {Parameter[]} [parameters]
 * @property {{required?: boolean, content?: Record<string, Media>}} [requestBody]
 * @property {Record<string, Response>} [responses]
 * @property {Facts} [x-zstack]
 */

/**
 * @typedef {object} Document
 * @property {{title?: string, version?: string}} info
 * @property {Record<string, Record<string, RawOperation>>} paths
 * @property {{schemas?: Schemas, responses?: Record<string, Response>, parameters?: Record<string, Parameter>}} [components]
 */

/**
 * A value that a request takes.
 * @typedef {object} Input
 * @property {string} key  its name in the page's URL, unlike that of every other input
 * @property {string} name
 * @property {Place} place
 * @property {boolean} required
 * @property {Schema} schema  without references
 * @property {string} description
 * @property {string} resource  the type of the resource that it names, such as ZoneVO; or ""
 * @property {string} secret  the variable that stands for it wherever it is shown; "" if it is no secret
 * @property {boolean} hashed  whether clients send its SHA-512
 */

/**
 * @typedef {object} Operation
 * @property {ApiName} api
 * @property {string} id  its name in the page's URL: the class of ZStack's message, or the operation's id
 * @property {string} operationId
 * @property {string} method
 * @property {string} path
 * @property {string[]} paths  all paths, the first one too
 * @property {string} group
 * @property {string} summary
 * @property {string} description
 * @property {boolean} synchronous
 * @property {boolean} authenticated
 * @property {Facts} facts
 * @property {string} bodyKey
 * @property {string} bodyMedia  "" if it takes no body
 * @property {Schema | null} bodySchema
 * @property {unknown} bodyExample
 * @property {Parameter[]} parameters
 * @property {Record<string, Response>} responses
 * @property {Schemas} schemas
 */

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const JSON_MEDIA = 'application/json';
const TAGS = ['systemTags', 'userTags'];
const SECRET_NAME = /password|secret$|privatekey|verifycode|sessionuuid|token$/i;
/** The APIs whose `password` is that of an account or user: clients send its SHA-512 (wire-protocol 2.4). */
const HASHING = /^API(LogIn|LogInByAccount|LogInByUser|CreateAccount|CreateUser|UpdateAccount|UpdateUser)Msg$/;

/**
 * Return the operations of a document, in its order.
 * @param {ApiName} api
 * @param {Document} document
 * @returns {Operation[]}
 */
export function operationsOf(api, document) {
  const schemas = document.components?.schemas ?? {};
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method] !== undefined).map((method) =>
      operation(api, path, method, /** @type {RawOperation} */ (methods[method]), schemas, document),
    ),
  );
}

/**
 * Return the operation that a URL names, by its id or by the name that the page shows.
 * @param {Operation[]} operations @param {ApiName} api @param {string} name
 */
export function operationAt(operations, api, name) {
  const own = operations.filter((one) => one.api === api);
  return own.find(({ id }) => id === name) ?? own.find(({ operationId }) => operationId === name);
}

/**
 * @param {ApiName} api @param {string} path @param {string} method
 * @param {RawOperation} raw @param {Schemas} schemas @param {Document} document
 * @returns {Operation}
 */
function operation(api, path, method, raw, schemas, document) {
  const facts = raw['x-zstack'] ?? {};
  const operationId = raw.operationId ?? `${method} ${path}`;
  const shown = /** @type {string} */ (path.split('#')[0]);
  const [bodyMedia, body] = Object.entries(raw.requestBody?.content ?? {})[0] ?? ['', {}];
  return {
    api,
    id: facts.api === `API${operationId}Msg` ? facts.api : operationId,
    operationId,
    method: method.toUpperCase(),
    path: shown,
    paths: facts.paths ?? [shown],
    group: raw.tags?.[0] ?? '',
    summary: raw.summary ?? operationId,
    description: raw.description ?? '',
    synchronous: facts.synchronous ?? true,
    authenticated: facts.authenticated ?? api === 'lab',
    facts,
    bodyKey: facts.bodyKey ?? '',
    bodyMedia,
    bodySchema: body.schema === undefined ? null : body.schema,
    bodyExample: exampleIn(body),
    parameters: (raw.parameters ?? []).map((one) => shared(one, document.components?.parameters)),
    responses: responsesOf(raw, document),
    schemas,
  };
}

/** @param {RawOperation} raw @param {Document} document @returns {Record<string, Response>} */
function responsesOf(raw, document) {
  const pairs = Object.entries(raw.responses ?? {});
  return Object.fromEntries(pairs.map(([status, one]) => [status, shared(one, document.components?.responses)]));
}

/**
 * Return a part of the document, or the shared one that it refers to.
 * @template {object} T
 * @param {T} part
 * @param {Record<string, T>} [parts]
 * @returns {T}
 */
function shared(part, parts) {
  const name = /** @type {{$ref?: string}} */ (part).$ref?.split('/').at(-1);
  return (name === undefined ? undefined : parts?.[name]) ?? part;
}

/**
 * Return the example of a body or an answer, or undefined.
 * @param {Media} media
 * @returns {unknown}
 */
export function exampleIn(media) {
  return media.example ?? Object.values(media.examples ?? {})[0]?.value ?? media.schema?.examples?.[0];
}

/**
 * Return the kinds of body that an operation takes one of, by their name; empty if it takes one kind alone.
 * @param {Operation} one
 * @returns {string[]}
 */
export function variants(one) {
  return bodyChoices(one).map((choice) => variantName(choice));
}

/** @param {Operation} one @returns {Schema[]} */
function bodyChoices(one) {
  if (one.bodySchema === null || one.bodyMedia !== JSON_MEDIA) return [];
  const found = plain(one.bodySchema, one.schemas);
  return (found.oneOf ?? []).map((choice) => plain(choice, one.schemas));
}

/** @param {Schema} choice */
function variantName(choice) {
  const fixed = Object.values(choice.properties ?? {}).find((member) => member.const !== undefined);
  return String(fixed?.const ?? choice.title ?? '');
}

/**
 * Return what a call of an operation takes, in the order of its form. `variant` is one of `variants`.
 * @param {Operation} one
 * @param {string} [variant]
 * @returns {Input[]}
 */
export function inputsOf(one, variant = '') {
  const parameters = one.parameters.map((parameter) => fromParameter(one, parameter));
  const taken = new Set(parameters.map(({ key }) => key));
  const body = bodyInputs(one, variant).map((input) =>
    taken.has(input.key) ? { ...input, key: `body.${input.key}` } : input,
  );
  const own = body.filter((input) => one.api === 'lab' || !inPath(one, input.name));
  const [headers, others] = [true, false].map((is) => parameters.filter(({ place }) => (place === 'header') === is));
  return [...(others ?? []), ...own, ...(headers ?? [])];
}

/** @param {Operation} one @param {string} name */
function inPath(one, name) {
  return one.path.includes(`{${name}}`);
}

/** @param {Operation} one @param {Parameter} parameter @returns {Input} */
function fromParameter(one, parameter) {
  const schema = plain(parameter.schema ?? { type: 'string' }, one.schemas);
  const resource = parameter['x-resource'] ?? schema['x-resource'] ?? '';
  const place = parameter.in === 'path' || parameter.in === 'header' ? parameter.in : 'query';
  const description = parameter.description ?? schema.description ?? '';
  return input(one, parameter.name, place, parameter.required === true, { ...schema, description }, resource);
}

/** @param {Operation} one @param {string} variant @returns {Input[]} */
function bodyInputs(one, variant) {
  if (one.bodySchema === null || one.bodyMedia !== JSON_MEDIA) return [];
  let schema = plain(one.bodySchema, one.schemas);
  if (schema.oneOf !== undefined) {
    const choices = bodyChoices(one);
    schema = choices.find((choice) => variantName(choice) === variant) ?? choices[0] ?? schema;
  }
  if (one.bodyKey === '') return fromObject(one, schema, 'body');
  const inner = plain(schema.properties?.[one.bodyKey] ?? {}, one.schemas);
  const beside = TAGS.filter((name) => schema.properties?.[name] !== undefined && !inner.properties?.[name]);
  const properties = Object.fromEntries(beside.map((name) => [name, schema.properties?.[name] ?? {}]));
  return [...fromObject(one, inner, 'body'), ...fromObject(one, { properties }, 'beside')];
}

/** @param {Operation} one @param {Schema} schema @param {Place} place @returns {Input[]} */
function fromObject(one, schema, place) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, raw]) => {
    const found = plain(raw, one.schemas);
    return input(one, name, place, required.has(name), found, found['x-resource'] ?? '');
  });
}

/**
 * @param {Operation} one @param {string} name @param {Place} place @param {boolean} required
 * @param {Schema} schema @param {string} resource
 * @returns {Input}
 */
function input(one, name, place, required, schema, resource) {
  const description = schema.description ?? '';
  const whole = schema.items === undefined ? schema : { ...schema, items: plain(schema.items, one.schemas) };
  const hashed = one.api === 'zstack' && name === 'password' && HASHING.test(one.facts.api ?? '');
  return {
    key: name,
    name,
    place,
    required,
    schema: whole,
    description,
    resource,
    secret: secretOf(name, schema),
    hashed,
  };
}

/** @param {string} name @param {Schema} schema */
function secretOf(name, schema) {
  if (!SECRET_NAME.test(name) || !types(schema).includes('string')) return '';
  if (name === 'sessionUuid') return 'ZSTACK_SESSION';
  return name.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase();
}

/**
 * Return whether an operation is a query: it takes conditions.
 * @param {Operation} one
 */
export function isQuery(one) {
  return one.method === 'GET' && one.facts.query !== undefined;
}

/**
 * Return the query that lists the resources of a type, or undefined.
 * @param {Operation[]} operations
 * @param {string} resource  such as ZoneVO
 */
export function queryFor(operations, resource) {
  const inventory = `${resourceName(resource)}Inventory`;
  return operations.find((one) => isQuery(one) && one.facts.query?.inventory === inventory && !one.path.includes('{'));
}

/**
 * Return the operation that lists what a variable of a path names: its path is what stands before the variable.
 * @param {Operation[]} operations
 * @param {Operation} one
 * @param {string} variable
 */
export function listingFor(operations, one, variable) {
  const before = one.path.slice(0, one.path.indexOf(`/{${variable}}`));
  return operations.find((other) => other.method === 'GET' && other.api === one.api && other.path === before);
}

/**
 * Return the names that a query can test: its own fields, and those of the inventories that a step leads to.
 * @param {Operation[]} operations
 * @param {Operation} query
 * @returns {string[]}
 */
export function testable(operations, query) {
  const own = fieldNames(query);
  const steps = Object.entries(query.facts.query?.paths ?? {}).flatMap(([step, inventory]) => {
    const target = queryFor(operations, inventory.replace(/Inventory$/, 'VO'));
    return (target === undefined ? ['uuid', 'name'] : fieldNames(target)).map((name) => `${step}.${name}`);
  });
  return [...own, ...steps];
}

/**
 * Return the fields that a query can test.
 * @param {Operation} query
 */
export function fieldNames(query) {
  return (query.facts.query?.fields ?? []).map(({ name }) => name);
}
