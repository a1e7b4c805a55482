/** A call as a program in Python, with its standard library alone. */

import { Secret } from '../requests.js';
import { authorization, bodyType, secretsOf, usesHash } from './common.js';

/** @typedef {import("./common.js").Request} Request */
/** @typedef {import("./common.js").Target} Target */

/**
 * @param {Request} request
 * @param {Target} target
 */
export function python(request, target) {
  const parts = [
    imports(request, target),
    `URL = ${literal(target.origin)}`,
    `HEADERS = {${headers(request, target).join(', ')}}`,
    '',
    CALL,
    '',
    [...statements(request), ...ending(request)].join('\n'),
  ];
  return `${parts.join('\n')}\n`;
}

/** @param {Request} request @param {Target} target */
function imports(request, target) {
  const needed = [
    ['hashlib', usesHash(request)],
    ['json', true],
    ['os', authorization(request, target) !== null || secretsOf(request).length > 0],
    ['sys', request.operation.synchronous],
    ['time', !request.operation.synchronous],
    ['urllib.error', true],
    ['urllib.parse', request.query.length > 0],
    ['urllib.request', true],
  ];
  return `${needed.flatMap(([name, needs]) => (needs ? [`import ${name}\n`] : [])).join('')}`;
}

/** @param {Request} request @param {Target} target */
function headers(request, target) {
  const key = authorization(request, target);
  const type = bodyType(request);
  const authorized = key === null ? [] : [`"Authorization": "${key.scheme} " + os.environ["${key.variable}"]`];
  const typed = type === '' ? [] : [`"Content-Type": ${literal(type)}`];
  return [...authorized, ...typed, ...request.headers.map(([name, value]) => `${literal(name)}: ${literal(value)}`)];
}

const CALL = `
def call(method, url, data=None):
    """Send a request, and return the answer, whatever its status."""
    request = urllib.request.Request(url, data, HEADERS, method=method)
    try:
        return urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        return error

`.trimEnd();

/** @param {Request} request @returns {string[]} */
function statements(request) {
  const lines = [];
  let url = `URL + ${pathOf(request)}`;
  if (request.query.length > 0) {
    const pairs = request.query.map(([name, value]) => `    (${literal(name)}, ${literal(value)}),\n`);
    lines.push(`query = [\n${pairs.join('')}]`);
    url += ` + "?" + urllib.parse.urlencode(query)`;
  }
  if (request.body !== undefined) lines.push(`body = ${literal(request.body)}`);
  const data = request.body === undefined ? textOf(request) : 'json.dumps(body).encode()';
  lines.push(`answer = call("${request.method}", ${url}${data === '' ? '' : `, ${data}`})`);
  return lines;
}

/** @param {Request} request */
function textOf({ text }) {
  return text === '' ? '' : `${literal(text)}.encode()`;
}

/** @param {Request} request */
function pathOf({ path }) {
  const parts = /** @type {(string | Secret)[]} */ ([]);
  for (const part of path) {
    const last = parts.at(-1);
    if (typeof part === 'string' && typeof last === 'string') parts[parts.length - 1] = last + part;
    else parts.push(part);
  }
  return parts.map((part) => literal(part)).join(' + ');
}

/** @param {Request} request @returns {string[]} */
function ending({ operation }) {
  if (operation.synchronous) {
    return ['print(answer.status)', 'for line in answer:', '    print(line.decode(), end="", flush=True)'];
  }
  return [
    'result = json.load(answer) if answer.status in (200, 202, 503) else answer.read().decode()',
    'if answer.status == 202:',
    '    location = result["location"]  # of a job, which is polled until its answer is not 202',
    '    while answer.status == 202:',
    '        time.sleep(1)',
    '        answer = call("GET", location)',
    '    result = json.load(answer)',
    'print(answer.status, json.dumps(result, indent=2, ensure_ascii=False))',
  ];
}

/**
 * Return a value as Python writes it.
 * @param {unknown} value
 * @param {string} [blanks]  before its first line
 * @returns {string}
 */
export function literal(value, blanks = '') {
  const inner = `${blanks}    `;
  if (value instanceof Secret) return variable(value);
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((one) => literal(one, blanks)).join(', ')}]`;
  const pairs = Object.entries(value).map(
    ([name, one]) => `${inner}${JSON.stringify(name)}: ${literal(one, inner)},\n`,
  );
  return pairs.length === 0 ? '{}' : `{\n${pairs.join('')}${blanks}}`;
}

/** @param {Secret} secret */
function variable({ variable: name, hashed }) {
  const text = `os.environ["${name}"]`;
  return hashed ? `hashlib.sha512(${text}.encode()).hexdigest()` : text;
}
