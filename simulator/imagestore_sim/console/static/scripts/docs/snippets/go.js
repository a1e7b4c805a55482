/** A call as a program in Go, with its standard library alone. */

import { Secret } from '../requests.js';
import { authorization, bodyType, usesHash } from './common.js';

/** @typedef {import("./common.js").Request} Request */
/** @typedef {import("./common.js").Target} Target */

/**
 * @param {Request} request
 * @param {Target} target
 */
export function go(request, target) {
  const { synchronous } = request.operation;
  const parts = [
    'package main\n',
    imports(request),
    `const server = ${text(target.origin)}\n`,
    main(request),
    call(request, target),
    synchronous ? '' : FOLLOW,
    usesHash(request) ? HASH : '',
    SHOW,
  ];
  return parts.filter((part) => part !== '').join('\n');
}

/** @param {Request} request */
function imports(request) {
  const { body, operation, query } = request;
  const hashes = usesHash(request);
  const needed = [
    ['bytes', body !== undefined],
    ['crypto/sha512', hashes],
    ['encoding/hex', hashes],
    ['encoding/json', body !== undefined || !operation.synchronous],
    ['fmt', true],
    ['io', true],
    ['net/http', true],
    ['net/url', query.length > 0],
    ['os', true],
    ['strings', request.text !== ''],
    ['time', !operation.synchronous],
  ];
  const lines = needed.flatMap(([name, needs]) => (needs ? [`\t"${name}"\n`] : []));
  return `import (\n${lines.join('')})\n`;
}

/** @param {Request} request */
function main(request) {
  const lines = [];
  let address = ['server', ...joined(request.path).map((part) => literal(part))].join('+');
  if (request.query.length > 0) {
    lines.push('query := url.Values{}');
    lines.push(...request.query.map(([name, value]) => `query.Add(${text(name)}, ${literal(value)})`));
    address += '+"?"+query.Encode()';
  }
  const data = dataOf(request, lines);
  const made = `call("${request.method}", ${address}, ${data})`;
  lines.push(request.operation.synchronous ? `show(${made})` : `show(follow(${made}))`);
  return `func main() {\n${lines.map((line) => `\t${line}\n`).join('')}}\n`;
}

/** @param {Request} request @param {string[]} lines */
function dataOf({ body, text: given }, lines) {
  if (body === undefined) return given === '' ? 'nil' : `strings.NewReader(${text(given)})`;
  lines.push(`body, err := json.Marshal(${literal(body, '\t')})`, 'check(err)');
  return 'bytes.NewReader(body)';
}

/** @param {(string | Secret)[]} path @returns {(string | Secret)[]} */
function joined(path) {
  return path.reduce((parts, part) => {
    const last = parts.at(-1);
    if (typeof part === 'string' && typeof last === 'string') return [...parts.slice(0, -1), last + part];
    return [...parts, part];
  }, /** @type {(string | Secret)[]} */ ([]));
}

/** @param {Request} request @param {Target} target */
function call(request, target) {
  const key = authorization(request, target);
  const type = bodyType(request);
  const headers = [
    key === null ? '' : `\trequest.Header.Set("Authorization", "${key.scheme} "+os.Getenv("${key.variable}"))\n`,
    type === '' ? '' : `\trequest.Header.Set("Content-Type", ${text(type)})\n`,
    ...request.headers.map(([name, value]) => `\trequest.Header.Set(${text(name)}, ${text(value)})\n`),
  ];
  return `func call(method, address string, body io.Reader) *http.Response {
	request, err := http.NewRequest(method, address, body)
	check(err)
${headers.join('')}	answer, err := http.DefaultClient.Do(request)
	check(err)
	return answer
}
`;
}

const FOLLOW = `// follow polls the job of a call that was answered 202, until the answer is not 202.
func follow(answer *http.Response) *http.Response {
	if answer.StatusCode != http.StatusAccepted {
		return answer
	}
	var job struct{ Location string }
	check(json.NewDecoder(answer.Body).Decode(&job))
	for answer.StatusCode == http.StatusAccepted {
		answer.Body.Close()
		time.Sleep(time.Second)
		answer = call("GET", job.Location, nil)
	}
	return answer
}
`;

const HASH = `// hashed returns the SHA-512 of a password, which clients send in its place.
func hashed(password string) string {
	sum := sha512.Sum512([]byte(password))
	return hex.EncodeToString(sum[:])
}
`;

const SHOW = `func show(answer *http.Response) {
	defer answer.Body.Close()
	fmt.Println(answer.Status)
	_, err := io.Copy(os.Stdout, answer.Body)
	check(err)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`;

/** @param {string} value */
function text(value) {
  return JSON.stringify(value);
}

/**
 * Return a value as Go writes it.
 * @param {unknown} value
 * @param {string} [tabs]  before its first line
 * @returns {string}
 */
export function literal(value, tabs = '') {
  const inner = `${tabs}\t`;
  if (value instanceof Secret)
    return value.hashed ? `hashed(os.Getenv("${value.variable}"))` : `os.Getenv("${value.variable}")`;
  if (value === null || value === undefined) return 'nil';
  if (typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[]any{${value.map((one) => literal(one, tabs)).join(', ')}}`;
  const pairs = Object.entries(value);
  const widest = Math.max(0, ...pairs.filter(([, one]) => isShort(one)).map(([name]) => text(name).length));
  const lines = pairs.map(([name, one]) => {
    const gap = isShort(one) ? ' '.repeat(widest - text(name).length + 1) : ' ';
    return `${inner}${text(name)}:${gap}${literal(one, inner)},\n`;
  });
  return pairs.length === 0 ? 'map[string]any{}' : `map[string]any{\n${lines.join('')}${tabs}}`;
}

/** @param {unknown} value */
function isShort(value) {
  return value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Secret;
}
