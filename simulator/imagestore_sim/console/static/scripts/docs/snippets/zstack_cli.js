/** A call as a command of zstack-cli (clients 1.5). */

import { parseCondition } from '../conditions.js';
import { isQuery } from '../operations.js';
import { Secret } from '../requests.js';
import { quoted } from './curl.js';
import { literal } from './python.js';

/** @typedef {import("./common.js").Request} Request */
/** @typedef {import("./common.js").Target} Target */
/** @typedef {import("../conditions.js").Condition} Condition */

/** The APIs whose password zstack-cli hashes itself. */
const HASHED_BY_ITSELF = /^API(LogInByAccount|LogInByUser|CreateAccount|CreateUser|UpdateAccount|UpdateUser)Msg$/;
const WORDS = /** @type {Record<string, string>} */ ({
  '?=': 'in',
  '!?=': 'not in',
  '~=': 'like',
  '!~=': 'not like',
  'is null': 'is null',
  'not null': 'is not null',
});

/**
 * @param {Request} request
 * @param {Target} target
 */
export function zstackCli(request, target) {
  const { operation } = request;
  const name = operation.facts.api?.replace(/^API|Msg$/g, '');
  if (name === undefined) return "# zstack-cli speaks ZStack's messages alone: this call is none of them.\n";
  const { hostname, port } = new URL(target.origin);
  const command = `zstack-cli -H ${hostname} -p ${port || '80'}`;
  const login = `${command} LogInByAccount accountName=admin password="$ZSTACK_PASSWORD"`;
  const words = [name, ...argumentsOf(request)];
  const needsLogin = operation.authenticated;
  return `${needsLogin ? `${login}  # once: it keeps the session\n` : ''}${command} ${words.join(' ')}\n`;
}

/** @param {Request} request @returns {string[]} */
function argumentsOf(request) {
  if (isQuery(request.operation)) return queryArguments(request);
  return Object.entries(fieldsOf(request)).map(([name, value]) => `${name}=${argument(request, value)}`);
}

/** @param {Request} request @returns {Record<string, unknown>} */
function fieldsOf({ operation, path, query, body }) {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  const parts = operation.path.split(/(\{\w+\})/).filter((part) => part !== '');
  const variables = parts.flatMap((part, index) => {
    const name = part.slice(1, -1);
    const value = path[index];
    return names.includes(name) && part !== value
      ? [[name, value instanceof Secret ? value : decodeURIComponent(String(value))]]
      : [];
  });
  const outer = /** @type {Record<string, any>} */ (body ?? {});
  const { [operation.bodyKey]: inner, ...beside } = outer;
  const repeated = /** @type {Record<string, unknown>} */ ({});
  for (const [name, value] of query) {
    const before = repeated[name];
    repeated[name] = before === undefined ? value : [before, value].flat();
  }
  return { ...Object.fromEntries(variables), ...repeated, ...inner, ...beside };
}

/** @param {Request} request @param {unknown} value */
function argument({ operation }, value) {
  if (value instanceof Secret) {
    const hash = value.hashed && !HASHED_BY_ITSELF.test(operation.facts.api ?? '');
    return hash ? `"$(printf %s "$${value.variable}" | sha512sum | cut -c 1-128)"` : `"$${value.variable}"`;
  }
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return word(value.map(inList).join(','));
  if (value !== null && typeof value === 'object') return word(literal(value).replace(/\s*\n\s*/g, ' '));
  return word(String(value));
}

/** @param {string} text */
function inList(text) {
  return text.replace(/[\\",]/g, '\\$&');
}

/** @param {string} text */
function word(text) {
  return /^[\w.,:/@%+-]+$/.test(text) ? text : quoted(text);
}

/** @param {Request} request @returns {string[]} */
function queryArguments({ operation, path, query }) {
  const uuid = operation.path.endsWith('}') ? [word(`uuid=${decodeURIComponent(String(path.at(-1)))}`)] : [];
  return [...uuid, ...query.flatMap(([name, value]) => queryArgument(name, String(value)))];
}

/** @param {string} name @param {string} value @returns {string[]} */
function queryArgument(name, value) {
  if (name === 'sort') {
    const direction = value.startsWith('-') ? 'desc' : 'asc';
    return [`sortBy=${word(value.replace(/^[+-]+/, ''))}`, `sortDirection=${direction}`];
  }
  if (name !== 'q') return [word(`${name}=${value}`)];
  const condition = parseCondition(value);
  return condition === null ? [word(value)] : [conditionArgument(condition)];
}

/** @param {Condition} condition */
function conditionArgument(condition) {
  const { name, token, value } = condition;
  if (token === 'is null' || token === 'not null') return quoted(`${name}${token === 'is null' ? '=' : '!='}null`);
  if (isMisread(condition)) {
    const whole = { name, op: WORDS[token] ?? token, value };
    return quoted(`conditions=[${literal(whole).replace(/\s*\n\s*/g, ' ')}]`);
  }
  return word(`${name}${token}${value}`);
}

/**
 * Return whether zstack-cli would make another condition of the short form: it splits at "=", takes `null` for no value,
 * and puts % around a pattern without wildcards.
 * @param {Condition} condition
 */
function isMisread({ token, value }) {
  if (token === '>' || token === '<') return true;
  if (token === '~=' || token === '!~=') return !/[%_]/.test(value);
  return (token === '=' || token === '!=') && value === 'null';
}
