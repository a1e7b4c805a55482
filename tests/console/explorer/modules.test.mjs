// The parts of the explorer that need no page.

import assert from 'node:assert/strict';
import test from 'node:test';

import { script } from './scripts.mjs';

const { sign, signedHeaders } = await script('lib/access-key.js');
const { complaintAbout, conditionText, OFFERED } = await script('docs/conditions.js');
const { exampleOf } = await script('docs/examples.js');
const { exampleValues } = await script('docs/example-values.js');
const { placeText, readPlace } = await script('docs/location.js');
const { inputsOf, listingFor, operationAt, operationsOf, queryFor, testable, variants } = await script('docs/operations.js');
const { complaints, converted, requestOf, Secret } = await script('docs/requests.js');
const { members, rules, typeName } = await script('docs/schemas.js');
const { indexOf, search } = await script('docs/search.js');

const schemas = {
  Date: { type: 'string' },
  Error: { type: 'object', properties: { code: { type: 'string' }, cause: { $ref: '#/components/schemas/Error' } }, required: ['code'] },
  Zone: {
    type: 'object',
    properties: { uuid: { type: 'string' }, size: { type: 'integer', format: 'int64' }, made: { $ref: '#/components/schemas/Date' } },
  },
  Fault: {
    oneOf: [
      { title: 'fill', type: 'object', properties: { kind: { const: 'fill' }, to: { type: 'string' } }, required: ['kind'] },
      { title: 'cut', type: 'object', properties: { kind: { const: 'cut' }, name: { type: 'string' } }, required: ['kind', 'name'] },
    ],
  },
};
const body = (schema) => ({ content: { 'application/json': { schema } } });
const zstack = operationsOf('zstack', {
  info: {},
  components: { schemas, parameters: { limit: { name: 'limit', in: 'query', schema: { type: 'integer' } } } },
  paths: {
    '/zstack/v1/zones': {
      get: {
        operationId: 'QueryZone',
        summary: 'Query zones',
        parameters: [{ name: 'q', in: 'query', schema: { type: 'array', items: { type: 'string' } } }, { $ref: '#/components/parameters/limit' }],
        'x-zstack': {
          api: 'APIQueryZoneMsg',
          query: { inventory: 'ZoneInventory', fields: [{ name: 'uuid' }], paths: { parent: 'ZoneInventory', host: 'HostInventory' } },
        },
      },
    },
    '/zstack/v1/zones/{uuid}/actions#login': {
      put: {
        operationId: 'LogInByAccount',
        parameters: [
          { name: 'uuid', in: 'path', required: true, schema: { type: 'string' }, 'x-resource': 'ZoneVO' },
          { name: 'X-Job-UUID', in: 'header', schema: { type: 'string' } },
        ],
        requestBody: body({
          type: 'object',
          properties: {
            login: {
              type: 'object',
              required: ['password'],
              properties: { uuid: { type: 'string' }, password: { type: 'string' }, port: { type: 'integer' }, tags: { type: 'array', items: { type: 'string' } } },
            },
            systemTags: { type: 'array', items: { type: 'string' } },
          },
        }),
        'x-zstack': { api: 'APILogInByAccountMsg', bodyKey: 'login', authenticated: false, synchronous: true },
      },
    },
  },
});
const lab = operationsOf('lab', {
  info: {},
  components: { schemas },
  paths: {
    '/lab/v1/hosts': { get: { operationId: 'getHosts' } },
    '/lab/v1/hosts/{name}/faults': {
      post: { operationId: 'postFault', parameters: [{ name: 'name', in: 'path', required: true, schema: { type: 'string' } }], requestBody: body({ $ref: '#/components/schemas/Fault' }) },
    },
  },
});
const [query, login] = zstack;
const [, fault] = lab;

test('a request is signed as the vendor has published it', async () => {
  const text = 'GET\nFri, 06 Aug 2021 17:58:34 PRC\n/v1/vm-instances';
  assert.equal(await sign('8heumeFTvIeZxkTGfEYvVi9qVVPd9ffQNDALSPPb', text), 'hPToRHeHdV49D4u20G8OlE0yJho=');
  const headers = await signedHeaders({ accessKeyId: 'id', secret: 's' }, 'GET', '/v1/zones', new Date(0));
  assert.equal(headers['X-Date'], 'Thu, 01 Jan 1970 00:00:00 UTC');
  assert.match(headers.Authorization, /^ZStack id:[\w+/]+=$/);
});

test('all twelve operators are offered', () => {
  assert.equal(OFFERED.length, 12);
  assert.equal(conditionText({ name: 'a', token: 'is null', value: 'x' }), 'a is null');
});

test('a condition that ZStack would read as another is reported', () => {
  assert.equal(complaintAbout({ name: 'name', token: '~=', value: '%a%' }), '');
  assert.match(complaintAbout({ name: 'name', token: '=', value: 'a>=b' }), /would read this as name=a >= b/);
  assert.match(complaintAbout({ name: 'name', token: '>', value: '=5' }), /would read this as/);
  assert.equal(complaintAbout({ name: '', token: '=', value: 'b' }), 'choose a field');
});

test('types are named as ZStack names them', () => {
  const name = (schema) => typeName(schema, schemas);
  assert.equal(name({ type: 'integer', format: 'int32' }), 'Integer');
  assert.equal(name({ type: 'integer' }), 'Long');
  assert.equal(name({ $ref: '#/components/schemas/Date' }), 'Timestamp');
  assert.equal(name({ type: 'array', items: { $ref: '#/components/schemas/Zone' } }), 'List<Zone>');
  assert.equal(name({ anyOf: [{ type: ['string', 'number'] }, { type: 'null' }] }), 'String or Double');
});

test('rules are put in words', () => {
  assert.deepEqual(rules({ minLength: 1, maxLength: 255 }), ['at least 1 character', 'at most 255 characters']);
  assert.deepEqual(rules({ enum: ['a', 'b'], default: 'a' }), ['one of a, b', 'default a']);
  assert.deepEqual(rules({ minimum: 1, maximum: 5, 'x-resource': 'ZoneVO' }), ['1 to 5', 'an existing Zone']);
});

test('a type within itself neither ends the tree nor an example', () => {
  const [code, cause] = members({ $ref: '#/components/schemas/Error' }, schemas);
  assert.equal(code.required, true);
  assert.equal(members(cause.inner, schemas)[1].type, 'Error');
  assert.ok(JSON.stringify(exampleOf({ $ref: '#/components/schemas/Error' }, schemas)).length < 500);
});

test('the inputs of a command are the members of its key, less those in the path', () => {
  const inputs = inputsOf(login);
  assert.deepEqual(inputs.map(({ name, place }) => `${place} ${name}`), [
    'path uuid', 'body password', 'body port', 'body tags', 'beside systemTags', 'header X-Job-UUID',
  ]);
  assert.deepEqual([inputs[1].secret, inputs[1].hashed, inputs[0].resource], ['PASSWORD', true, 'ZoneVO']);
});

test('an example has a password where one is needed', () => {
  const filled = exampleValues(login, inputsOf(login), {});
  assert.equal(filled.password, 'password');
  assert.equal(exampleValues(login, inputsOf(login), { password: 'mine' }).password, 'mine');
});

test('an operation is found by its message and by the name that is shown', () => {
  assert.equal(operationAt([...lab, ...zstack], 'zstack', 'QueryZone'), query);
  assert.equal(operationAt([...lab, ...zstack], 'zstack', query.id), query);
  assert.equal(operationAt([...lab, ...zstack], 'lab', 'QueryZone'), undefined);
});

test('a body of several kinds has the inputs of the chosen one', () => {
  assert.deepEqual(variants(fault), ['fill', 'cut']);
  assert.deepEqual(inputsOf(fault, 'fill').map(({ key }) => key), ['name', 'kind', 'to']);
  assert.deepEqual(inputsOf(fault, 'cut').map(({ key }) => key), ['name', 'kind', 'body.name']);
});

test('what a request names is listed by another', () => {
  assert.equal(queryFor(zstack, 'ZoneVO'), query);
  assert.equal(queryFor(zstack, 'HostVO'), undefined);
  assert.equal(listingFor(lab, fault, 'name').operationId, 'getHosts');
  assert.deepEqual(testable(zstack, query), ['uuid', 'parent.uuid', 'host.uuid', 'host.name']);
});

test('values are sent with their types', () => {
  assert.equal(converted({ type: 'integer' }, '22'), 22);
  assert.equal(converted({ type: ['string', 'integer'] }, '55%'), '55%');
  assert.equal(converted({ type: 'boolean' }, 'true'), true);
  assert.equal(converted({ type: 'string' }, '22'), '22');
  assert.deepEqual(converted({ type: 'object' }, '{"a": 1}'), { a: 1 });
  assert.deepEqual(converted({ type: 'array', items: { type: 'integer' } }, ['1', '2']), [1, 2]);
});

test('a request holds secrets only where it is really sent', () => {
  const inputs = inputsOf(login);
  const values = { uuid: 'a/b', password: 'pw', port: '22', 'X-Job-UUID': 'f' };
  const sent = requestOf(login, inputs, values, { secrets: true });
  assert.deepEqual(sent.body, { login: { password: 'pw', port: 22 } });
  assert.deepEqual([sent.path.join(''), sent.headers], ['/zstack/v1/zones/a%2Fb/actions', [['X-Job-UUID', 'f']]]);
  const shown = requestOf(login, inputs, values, { secrets: false });
  assert.deepEqual(shown.body.login.password, new Secret('PASSWORD', true));
});

test('what cannot be sent is reported before', () => {
  const inputs = inputsOf(login);
  const found = complaints(inputs, { uuid: 'u', port: 'x' });
  assert.deepEqual(found.map(({ input, text }) => `${input.name} ${text}`), ['password is required', 'port must be a whole number']);
});

test('every state has a URL, and no secret is in it', () => {
  const inputs = inputsOf(login);
  const values = { uuid: 'u', password: 'pw', tags: ['a&b', 'c'] };
  const text = placeText('zstack', 'APILogInByAccountMsg', values, inputs);
  assert.equal(text, '#/zstack/APILogInByAccountMsg?uuid=u&tags=a%26b&tags=c');
  assert.deepEqual(readPlace(text), { api: 'zstack', id: 'APILogInByAccountMsg', values: { uuid: 'u', tags: ['a&b', 'c'] } });
  assert.deepEqual(readPlace('#/lab/x%'), { api: 'lab', id: 'x%', values: {} });
});

test('the search finds names before paths, and fields last', () => {
  const entries = indexOf([...zstack, ...lab]);
  const found = (text) => search(entries, text).map(({ operationId }) => operationId);
  assert.deepEqual(found('queryz'), ['QueryZone']);
  assert.deepEqual(found('ZONE'), ['QueryZone', 'LogInByAccount']);
  assert.deepEqual(found('password'), ['LogInByAccount']);
  assert.deepEqual(found('hosts post'), ['postFault']);
  assert.deepEqual(found('nothing'), []);
});
