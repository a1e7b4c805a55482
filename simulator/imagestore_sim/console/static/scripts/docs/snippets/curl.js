/** A call as a command of curl, for a POSIX shell. */

import { Secret } from '../requests.js';
import { authorization, bodyType, jsonWith } from './common.js';

/** @typedef {import("./common.js").Request} Request */
/** @typedef {import("./common.js").Target} Target */

/**
 * @param {Request} request
 * @param {Target} target
 */
export function curl(request, target) {
  const command = `curl ${parts(request, target).join(' \\\n  ')}`;
  return request.operation.synchronous ? `${command}\n` : followed(command);
}

/** @param {Request} request @param {Target} target @returns {string[]} */
function parts(request, target) {
  const key = authorization(request, target);
  const type = bodyType(request);
  const given = [
    `${flags(request)} ${address(request, target)}`,
    key === null ? '' : `-H "Authorization: ${key.scheme} $${key.variable}"`,
    type === '' ? '' : `-H ${quoted(`Content-Type: ${type}`)}`,
    ...request.headers.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(hasData(request) ? [] : request.query.map(([name, value]) => `--data-urlencode ${pair(name, value)}`)),
    body(request),
  ];
  return given.filter((part) => part !== '');
}

/** @param {Request} request */
function flags(request) {
  const { method, query, operation } = request;
  const streams = Object.values(operation.responses).some(({ content }) => content?.['text/event-stream']);
  return `-sS${streams ? 'N' : ''}${query.length > 0 && !hasData(request) ? 'G' : ''} -X ${method}`;
}

/** Return whether a request has a body: then curl's option for data in the URL is not free. @param {Request} request */
function hasData({ body: given, text }) {
  return given !== undefined || text !== '';
}

/** @param {Request} request @param {Target} target */
function address(request, { origin }) {
  const parts = hasData(request) ? [...request.path, ...request.query.flatMap(inUrl)] : request.path;
  const text = parts.map((part) => (part instanceof Secret ? `'"${expansion(part)}"'` : escaped(part))).join('');
  return `'${escaped(origin)}${text}'`;
}

/** @param {[string, string | Secret]} pair @param {number} index @returns {(string | Secret)[]} */
function inUrl([name, value], index) {
  const shown = value instanceof Secret ? value : encodeURIComponent(value);
  return [`${index === 0 ? '?' : '&'}${encodeURIComponent(name)}=`, shown];
}

/** @param {string} name @param {string | Secret} value */
function pair(name, value) {
  return value instanceof Secret ? `"${name}=${expansion(value)}"` : quoted(`${name}=${value}`);
}

/** @param {Request} request */
function body({ body: given, text }) {
  if (given === undefined) return text === '' ? '' : `--data-raw ${quoted(text)}`;
  const shown = /** @type {string[]} */ ([]);
  const json = jsonWith(given, (secret) => `\u0001${shown.push(`'"${expansion(secret)}"'`) - 1}\u0001`);
  const shell = escaped(json).replace(/\u0001(\d+)\u0001/g, (_, index) => shown[Number(index)] ?? '');
  return `--data-raw '${shell}'`;
}

/** @param {Secret} secret */
function expansion({ variable, hashed }) {
  return hashed ? `$(printf %s "$${variable}" | sha512sum | cut -c 1-128)` : `$${variable}`;
}

/** @param {string} text */
export function quoted(text) {
  return `'${escaped(text)}'`;
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll("'", `'\\''`);
}

/** @param {string} command */
function followed(command) {
  return `# Answered 202 with the location of a job, which is polled until its answer is not 202.
answer=$(${command})
job=$(printf %s "$answer" | sed -n 's/.*"location": *"\\([^"]*\\)".*/\\1/p')
while [ -n "$job" ] && answer=$(curl -sS -w ' %{http_code}' "$job") && [ "\${answer##* }" = 202 ]; do
  sleep 1
done
printf '%s\\n' "$answer"
`;
}
