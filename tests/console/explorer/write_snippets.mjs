// Print the snippets of calls, and the request that the page itself would make.
//
// Standard input: {origin, documents: {zstack, lab}, secrets: {VARIABLE: value}, calls: [{api, id, values}]}; without
// `calls`, every operation with a value for each of its inputs. Output: a list of {api, id, synchronous, request, snippets}.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { script } from './scripts.mjs';

const { inputsOf, operationsOf, variants } = await script('docs/operations.js');
const { BODY_KEY, requestOf } = await script('docs/requests.js');
const { listsScalars, types } = await script('docs/schemas.js');
const { SNIPPETS } = await script('docs/snippets/index.js');

const TEXT = `it's "a" \\ $HOME & 100% + é=;#`;
const given = JSON.parse(readFileSync(0, 'utf8'));
const operations = Object.entries(given.documents).flatMap(([api, document]) => operationsOf(api, document));
const calls = given.calls ?? operations.map(({ api, id }) => ({ api, id }));
process.stdout.write(JSON.stringify(calls.map(written)));

function written({ api, id, values }) {
  const operation = operations.find((one) => one.api === api && one.id === id);
  const kind = values?.kind ?? variants(operation)[0] ?? '';
  const inputs = inputsOf(operation, kind);
  const filled = values ?? { ...Object.fromEntries(inputs.map((input) => [input.key, valueFor(input)])), [BODY_KEY]: `text: "${TEXT}"` };
  const target = { origin: given.origin, needsToken: given.needsToken ?? true };
  const shown = requestOf(operation, inputs, filled, { secrets: false });
  const secrets = Object.fromEntries(inputs.filter(({ secret }) => secret !== '').map((input) => [input.key, secretOf(input)]));
  const known = Object.fromEntries(Object.entries(secrets).filter(([key]) => filled[key] !== undefined));
  const { method, path, query, headers, body, text } = requestOf(operation, inputs, { ...filled, ...known }, { secrets: true });
  return {
    api,
    id,
    operationId: operation.operationId,
    message: operation.facts.api ?? null,
    synchronous: operation.synchronous,
    authenticated: operation.authenticated,
    request: { method, path: path.join(''), query, headers, body: body ?? null, text },
    variables: Object.fromEntries(inputs.filter(({ secret }) => secret !== '').map(({ secret }) => [secret, valueOf(secret)])),
    snippets: Object.fromEntries(SNIPPETS.map(({ name, write }) => [name, write(shown, target)])),
  };
}

function valueOf(secret) {
  return given.secrets[secret] ?? `${secret.toLowerCase()} of a test`;
}

function secretOf({ secret, hashed }) {
  const value = valueOf(secret);
  return hashed ? createHash('sha512').update(value).digest('hex') : value;
}

function valueFor(input) {
  const { schema, name } = input;
  const [type] = types(schema);
  if (name === 'q') return ["name~=it's %", 'availableCapacity>=5', 'size>5', 'state?=a,b', 'name~=plain', 'url=null', 'x is null'];
  if (name === 'sort') return '-name';
  if (name === 'fields') return 'uuid,name';
  if (schema.enum !== undefined) return String(schema.enum[0]);
  if (listsScalars(schema)) return types(schema.items ?? {})[0] === 'integer' ? ['1', '2'] : [TEXT, 'b,c'];
  if (type === 'object') return JSON.stringify({ key: TEXT, nested: { list: [1, true, null] } });
  if (type === 'array') return JSON.stringify([{ key: TEXT }]);
  if (type === undefined) return '{"any": 1}';
  if (input.place === 'header') return 'value of a header';
  return { integer: '5', number: '1.5', boolean: 'true' }[type] ?? TEXT;
}
