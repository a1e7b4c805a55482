/** A call as a program in Java: with ZStack's SDK, or for the lab's API with the JDK alone. */

import { isQuery } from '../operations.js';
import { Secret } from '../requests.js';
import { plain, types } from '../schemas.js';
import { SESSION, authorization, bodyType, indented, jsonWith, secretsOf, usesHash } from './common.js';

/** @typedef {import("./common.js").Request} Request */
/** @typedef {import("./common.js").Target} Target */
/** @typedef {import("../schemas.js").Schema} Schema */

/**
 * @param {Request} request
 * @param {Target} target
 */
export function java(request, target) {
  return request.operation.facts.api !== undefined ? withSdk(request, target) : withJdk(request, target);
}

/** @param {Request} request @param {Target} target */
function withSdk(request, target) {
  const { operation } = request;
  const action = `${operation.facts.api?.replace(/^API|Msg$/g, '')}Action`;
  const fields = fieldsOf(request);
  const { hostname, port } = new URL(target.origin);
  const lines = [
    `ZSClient.configure(new ZSConfig.Builder().setHostname("${hostname}").setPort(${port || '80'}).setContextPath("zstack").build());`,
    `${action} action = new ${action}();`,
    ...fields.map(([name, value]) => `action.${name} = ${value};`),
    ...(operation.authenticated ? [`action.sessionId = System.getenv("${SESSION}");`] : []),
    `${action}.Result result = action.call().throwExceptionIfError();`,
    'System.out.println(new GsonBuilder().setPrettyPrinting().create().toJson(result.value));',
  ];
  const values = fields.map(([, value]) => value).join('\n');
  const imports = [
    ...(values.includes('List.of(') ? ['java.util.List'] : []),
    ...(values.includes('Map.of(') ? ['java.util.Map'] : []),
  ];
  const classes = [
    'com.google.gson.GsonBuilder',
    `${packageOf(request)}.${action}`,
    'org.zstack.sdk.ZSClient',
    'org.zstack.sdk.ZSConfig',
  ];
  return program(request, [imports, classes.sort()], lines);
}

/** The packages of messages whose actions are not in `org.zstack.sdk` itself, with those of the actions (SDK 5.2.0). */
const PACKAGES = /** @type {[string, string][]} */ ([
  ['org.zstack.header.identity.role.api', 'org.zstack.sdk.identity.role.api'],
  ['org.zstack.header.storage.database.backup', 'org.zstack.sdk.databasebackup'],
  ['org.zstack.header.storage.volume.backup', 'org.zstack.heder.storage.volume.backup'],
  ['org.zstack.zwatch', 'org.zstack.sdk.zwatch'],
  ['org.zstack.sns', 'org.zstack.sdk.sns'],
  ['org.zstack.ticket', 'org.zstack.sdk.ticket'],
  ['org.zstack.iam2', 'org.zstack.sdk.iam2'],
]);

/** @param {Request} request */
function packageOf({ operation }) {
  const own = operation.facts.javaClass?.replace(/\.\w+$/, '') ?? '';
  const [known, action] = PACKAGES.find(([name]) => own === name || own.startsWith(`${name}.`)) ?? [
    own,
    'org.zstack.sdk',
  ];
  return `${action}${own.slice(known.length)}`;
}

/** @param {Request} request @param {string[][]} imports @param {string[]} lines */
function program(request, imports, lines) {
  const hashes = usesHash(request);
  const own = hashes
    ? ['java.math.BigInteger', 'java.nio.charset.StandardCharsets', 'java.security.MessageDigest']
    : [];
  const groups = [[...own, ...(imports[0] ?? [])].sort(), ...imports.slice(1)];
  const head = groups
    .filter((group) => group.length > 0)
    .map((group) => group.map((name) => `import ${name};\n`).join(''));
  return `${head.join('\n')}
public class Call {
    public static void main(String[] arguments) throws Exception {
${indented(lines.join('\n'), '        ')}
    }
${hashes ? HASH : ''}}
`;
}

const HASH = `
    /** Return the SHA-512 of a password, which clients send in its place. */
    private static String hashed(String password) throws Exception {
        byte[] digest = MessageDigest.getInstance("SHA-512").digest(password.getBytes(StandardCharsets.UTF_8));
        return String.format("%0128x", new BigInteger(1, digest));
    }
`;

/** @param {Request} request @returns {[string, string][]} */
function fieldsOf(request) {
  const { operation, query, body } = request;
  if (isQuery(operation)) return queryFields(request);
  const schemas = bodySchemas(request);
  const outer = /** @type {Record<string, any>} */ (body ?? {});
  const { [operation.bodyKey]: inner = {}, ...beside } = outer;
  const own = Object.entries({ ...inner, ...beside }).map(([name, value]) => [name, literal(value, schemas[name])]);
  return [...pathFields(request), ...pairFields(query, operation), .../** @type {[string, string][]} */ (own)];
}

/** @param {Request} request @returns {Record<string, Schema>} */
function bodySchemas({ operation }) {
  const whole = plain(operation.bodySchema ?? {}, operation.schemas);
  const inner = plain(whole.properties?.[operation.bodyKey] ?? {}, operation.schemas);
  const found = Object.entries({ ...whole.properties, ...inner.properties });
  return Object.fromEntries(found.map(([name, schema]) => [name, plain(schema, operation.schemas)]));
}

/** @param {Request} request @returns {[string, string][]} */
function pathFields({ operation, path }) {
  const parts = operation.path.split(/(\{\w+\})/).filter((part) => part !== '');
  return parts.flatMap((part, index) => {
    const value = path[index];
    if (!part.startsWith('{') || value === undefined || value === part) return [];
    const shown = value instanceof Secret ? value : decodeURIComponent(value);
    return [/** @type {[string, string]} */ ([part.slice(1, -1), literal(shown)])];
  });
}

/** @param {[string, string | Secret][]} query @param {import("../operations.js").Operation} operation @returns {[string, string][]} */
function pairFields(query, operation) {
  const names = [...new Set(query.map(([name]) => name))];
  return names.map((name) => {
    const values = query.filter(([other]) => other === name).map(([, value]) => value);
    const parameter = operation.parameters.find((one) => one.name === name);
    const schema = plain(parameter?.schema ?? { type: 'string' }, operation.schemas);
    const type = types(schema)[0] ?? 'string';
    if (type === 'array') return [name, literal(values)];
    const value = values[0] ?? '';
    const typed = type !== 'string' && typeof value === 'string' ? JSON.parse(value) : value;
    return [name, literal(typed, schema)];
  });
}

/** @param {Request} request @returns {[string, string][]} */
function queryFields({ operation, path, query }) {
  const all = (/** @type {string} */ name) =>
    query.filter(([other]) => other === name).map(([, value]) => String(value));
  const one = operation.path.endsWith('}') ? [`uuid=${decodeURIComponent(String(path.at(-1)))}`] : [];
  const conditions = [...one, ...all('q')];
  const fields = /** @type {[string, string][]} */ ([]);
  if (conditions.length > 0) fields.push(['conditions', literal(conditions)]);
  for (const name of ['limit', 'start', 'count', 'replyWithCount'])
    for (const value of all(name)) fields.push([name, value]);
  for (const value of all('sort')) {
    fields.push(['sortBy', literal(value.replace(/^[+-]+/, ''))]);
    fields.push(['sortDirection', literal(value.startsWith('-') ? 'desc' : 'asc')]);
  }
  for (const value of all('fields')) fields.push(['fields', literal(value.split(','))]);
  for (const value of all('filterName')) fields.push(['filterName', literal(value)]);
  return fields;
}

/**
 * Return a value as Java writes it.
 * @param {unknown} value
 * @param {Schema} [schema]  which tells a Long from an Integer
 * @returns {string}
 */
export function literal(value, schema = {}) {
  if (value instanceof Secret) {
    const text = `System.getenv("${value.variable}")`;
    return value.hashed ? `hashed(${text})` : text;
  }
  if (typeof value === 'number') return isLong(value, schema) ? `${value}L` : String(value);
  if (value === null || value === undefined || typeof value === 'boolean') return String(value ?? null);
  if (typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `List.of(${value.map((one) => literal(one)).join(', ')})`;
  const pairs = Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}, ${literal(one)}`);
  return `Map.of(${pairs.join(', ')})`;
}

/** @param {number} value @param {Schema} schema */
function isLong(value, schema) {
  return Number.isInteger(value) && (schema.format === 'int64' || Math.abs(value) > 2 ** 31 - 1);
}

/** @param {Request} request @param {Target} target */
function withJdk(request, target) {
  const { path, query, method } = request;
  const values = query.map(([name, value]) => `"${name}=" + encoded(${literal(value)})`);
  const parts = path.map((part) => literal(part));
  const separators = values.map((value, index) => `"${index === 0 ? '?' : '&'}" + ${value}`);
  const address = [JSON.stringify(target.origin), ...parts, ...separators].join(' + ').replaceAll(`" + "`, '');
  const key = authorization(request, target);
  const type = bodyType(request);
  const lines = [
    ...bodyLines(request),
    `HttpRequest request = HttpRequest.newBuilder(URI.create(${address}))`,
    ...(key === null ? [] : [`    .header("Authorization", "${key.scheme} " + System.getenv("${key.variable}"))`]),
    ...(type === '' ? [] : [`    .header("Content-Type", ${JSON.stringify(type)})`]),
    ...request.headers.map(([name, value]) => `    .header(${literal(name)}, ${literal(value)})`),
    `    .method("${method}", HttpRequest.BodyPublishers.${type === '' ? 'noBody()' : 'ofString(body)'})`,
    '    .build();',
    'HttpResponse<Stream<String>> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofLines());',
    'System.out.println(answer.statusCode());',
    'answer.body().forEach(System.out::println);',
  ];
  const imports = [
    'java.net.URI',
    'java.net.http.HttpClient',
    'java.net.http.HttpRequest',
    'java.net.http.HttpResponse',
    'java.util.stream.Stream',
  ];
  const encodes = query.length > 0;
  const encoders = ['java.net.URLEncoder', 'java.nio.charset.StandardCharsets'];
  const text = program(request, [[...imports, ...(encodes ? encoders : [])].sort()], lines);
  return encodes ? text.replace(/\}\n$/, `${ENCODED}}\n`) : text;
}

const ENCODED = `
    private static String encoded(String value) {
        return URLEncoder.encode(value, StandardCharsets.UTF_8);
    }
`;

/** @param {Request} request @returns {string[]} */
function bodyLines(request) {
  if (bodyType(request) === '') return [];
  const mark = (/** @type {Secret} */ { variable }) => `\${${variable}}`;
  const text = request.body === undefined ? request.text : jsonWith(request.body, mark);
  const block = text.replaceAll('\\', '\\\\').replaceAll('"""', '\\"""');
  const secrets = secretsOf(request).map((secret) => `.replace("${mark(secret)}", ${literal(secret)})`);
  return ['String body = """', indented(block, '    '), `    """${secrets.join('')};`];
}
