// The command that does in a terminal what the page has done. It holds no password, session or token.

/** @typedef {import('./types.js').Call} Call */

const SECRET = /password|secret|private|token/i;
const SESSION_PATH = /\/sessions\/[0-9a-f]{32}/;
const PLAIN_WORD = /^[A-Za-z0-9_./:@%+,=-]+$/;

/**
 * Return a call as a curl command. Sessions and tokens are variables of the shell, passwords a placeholder.
 * @param {Call} call
 * @param {boolean} [tokenNeeded]  whether the lab's API needs its token
 */
export function curlOf(call, tokenNeeded = false) {
  const words = ['curl', '-s'];
  const hasBody = call.body !== undefined && call.body !== null;
  if (call.method !== (hasBody ? 'POST' : 'GET')) words.push('-X', call.method);
  if (call.api === 'zstack') words.push('-H', '"Authorization: OAuth $SESSION"');
  if (call.api === 'lab' && tokenNeeded) words.push('-H', '"Authorization: Bearer $IMAGESTORE_SIM_LAB_TOKEN"');
  words.push(quoted(`${location.origin}${withoutSecrets(call.path)}`));
  if (hasBody && typeof call.body === 'string') words.push('-H', "'Content-Type: application/yaml'", '--data-binary', '@FILE');
  else if (hasBody) words.push('-H', "'Content-Type: application/json'", '-d', quoted(JSON.stringify(masked(call.body))));
  return words.join(' ');
}

/** Return a value with each secret in it replaced by its name. @param {unknown} value @returns {unknown} */
export function masked(value) {
  if (Array.isArray(value)) return value.map(masked);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, isSecret(name, one) ? name.toUpperCase() : masked(one)]),
  );
}

/** @param {string} name @param {unknown} value */
function isSecret(name, value) {
  return SECRET.test(name) && typeof value === 'string' && value !== '';
}

/** @param {string} path */
function withoutSecrets(path) {
  const [whole, query] = path.split('?', 2);
  const plain = whole.replace(SESSION_PATH, '/sessions/SESSION');
  if (query === undefined) return plain;
  const pairs = query.split('&').map((pair) => {
    const name = pair.split('=', 1)[0] ?? '';
    return SECRET.test(name) ? `${name}=${name.toUpperCase()}` : pair;
  });
  return `${plain}?${pairs.join('&')}`;
}

/** Quote a word for a shell, if that is needed. @param {string} text */
export function quoted(text) {
  return PLAIN_WORD.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
