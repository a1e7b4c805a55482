// Who the page is: a session of ZStack's API or an access key, and the token of the lab's API.
// Session and token live as long as the tab, the secret of an access key as long as the page.

import { signedHeaders } from './access-key.js';
import { requireCryptography, sha512 } from './digest.js';
import { Problem, send } from './http.js';
import { Listeners } from './listeners.js';

/**
 * @typedef {object} Login
 * @property {'account' | 'admin' | 'key'} kind  with a password, without one by the lab's API, or by an access key
 * @property {string} name  of the account; the id of an access key
 * @property {string} uuid  of the session; empty with an access key
 */

const LOGIN = 'imagestore-sim login';
const TOKEN = 'imagestore-sim token';

/** @type {Listeners<Login | null>} */
const listeners = new Listeners();
/** @type {Login | null} */
let login = stored(LOGIN);
/** @type {string} */
let token = stored(TOKEN) ?? '';
let secret = '';
/** @type {Promise<void> | null} */
let renewing = null;
let now = () => new Date();

/** Return who is logged in, null if no one is. */
export function currentLogin() {
  return login;
}

/** Hear of each login and its end; return what ends it. @param {(login: Login | null) => void} listener */
export function onLogin(listener) {
  return listeners.add(listener);
}

/** Log in with a password. Throw Problem. @param {string} name @param {string} password */
export async function logInByAccount(name, password) {
  const parameters = { accountName: name, password: await sha512(password) };
  const body = { logInByAccount: parameters };
  const answer = await send({ method: 'PUT', path: '/zstack/v1/accounts/login', api: 'node', body });
  setLogin({ kind: 'account', name, uuid: answer.inventory.uuid });
}

/** Log in without a password, as the lab's API allows it. Throw Problem. @param {string} [account] */
export async function logInAsAdmin(account = 'admin') {
  const call = { method: 'POST', path: '/lab/v1/sessions', api: /** @type {const} */ ('lab'), body: { account } };
  const answer = await send(call, { headers: labHeaders() });
  setLogin({ kind: 'admin', name: account, uuid: answer.sessionUuid });
}

/** Sign each call with an access key from now on. @param {string} accessKeyId @param {string} accessKeySecret */
export function logInByKey(accessKeyId, accessKeySecret) {
  requireCryptography();
  secret = accessKeySecret;
  setLogin({ kind: 'key', name: accessKeyId, uuid: '' });
}

/** Begin another session after a reset, which ends all of them, if that needs no password. */
export async function renewLogin() {
  if (login?.kind !== 'admin') return;
  renewing ??= logInAsAdmin(login.name);
  try {
    await renewing;
  } finally {
    renewing = null;
  }
}

/** End the session. */
export async function logOut() {
  const ended = login;
  setLogin(null);
  secret = '';
  if (ended === null || ended.kind === 'key') return;
  const call = { method: 'DELETE', path: `/zstack/v1/accounts/sessions/${ended.uuid}`, api: /** @type {const} */ ('node') };
  await send(call).catch((problem) => {
    if (!(problem instanceof Problem)) throw problem;
  });
}

/** Forget a session that has ended. */
export function forgetLogin() {
  setLogin(null);
}

/**
 * Return the headers that say to ZStack's API who calls. `path` begins with `/zstack/v1`, with or without a query string.
 * @param {string} method
 * @param {string} path
 * @returns {Promise<Record<string, string>>}
 */
export async function headersFor(method, path) {
  await renewing?.catch(() => {}); // who began it hears of a failure
  if (login === null) return {};
  if (login.kind !== 'key') return { Authorization: `OAuth ${login.uuid}` };
  const signed = path.replace(/^\/zstack/, '').replace(/\?.*/, '');
  return signedHeaders({ accessKeyId: login.name, secret }, method, signed, now());
}

/** Take the date of signed calls from the lab's clock. @param {() => Date} clock */
export function useClock(clock) {
  now = clock;
}

/** Return the headers for the lab's API. @returns {Record<string, string>} */
export function labHeaders() {
  return token === '' ? {} : { Authorization: `Bearer ${token}` };
}

/** Keep the token of the lab's API for this tab. @param {string} text */
export function setToken(text) {
  token = text;
  sessionStorage.setItem(TOKEN, JSON.stringify(text));
}

/** @param {Login | null} next */
function setLogin(next) {
  login = next;
  if (next === null) sessionStorage.removeItem(LOGIN);
  else if (next.kind !== 'key') sessionStorage.setItem(LOGIN, JSON.stringify(next));
  listeners.tell(next);
}

/** @param {string} key */
function stored(key) {
  const text = sessionStorage.getItem(key);
  return text === null ? null : JSON.parse(text);
}
