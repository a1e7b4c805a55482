// Copying, and showing what the page does as a curl command.

import { curlOf } from './curl.js';
import { openDialog } from './dialog.js';
import { h } from './dom.js';
import { state } from './state.js';

/** @typedef {import('./types.js').Call} Call */

const SHOWN_MS = 1500;

/** Put a text on the clipboard. @param {string} text */
export async function copy(text) {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const area = h('textarea', { value: text, class: 'outside' }); // the clipboard is for localhost and https alone
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

/**
 * Return a button that copies a text, and says so.
 * @param {() => string} text
 * @param {string} [label]
 */
export function copyButton(text, label = 'Copy') {
  const button = h('button', { class: 'small', type: 'button', onclick: act }, label);
  async function act() {
    await copy(text());
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = label), SHOWN_MS);
  }
  return button;
}

/** Show calls as curl commands in a dialog. @param {Call[]} calls */
export function showCurl(calls) {
  const text = curlText(calls);
  openDialog('The same with curl', [h('pre', { class: 'code', tabindex: '0' }, text), copyButton(() => text)], { wide: true });
}

/** Return calls as the lines of a script for a shell. @param {Call[]} calls */
export function curlText(calls) {
  const tokenNeeded = state.about?.tokenNeeded ?? false;
  const lines = calls.map((call) => curlOf(call, tokenNeeded));
  if (calls.some((call) => call.api === 'zstack')) {
    lines.unshift(state.about?.mayChange === false ? logIn() : begin(tokenNeeded));
  }
  return lines.join('\n');
}

/** Return what begins a session without a password. @param {boolean} tokenNeeded */
function begin(tokenNeeded) {
  const call = curlOf({ method: 'POST', path: '/lab/v1/sessions', api: 'lab', body: { account: 'admin' } }, tokenNeeded);
  return `SESSION=$(${call} | sed 's/.*"sessionUuid":"\\([0-9a-f]*\\)".*/\\1/')`;
}

/** Return what begins a session with a password: ZStack takes its SHA-512. */
function logIn() {
  const hash = '$(printf %s "$PASSWORD" | sha512sum | cut -d" " -f1)';
  const body = `'{"logInByAccount":{"accountName":"admin","password":"'${hash}'"}}'`;
  const url = `${location.origin}/zstack/v1/accounts/login`;
  return `SESSION=$(curl -s -X PUT ${url} -H 'Content-Type: application/json' -d ${body} | grep -o '"uuid":"[0-9a-f]*' | head -1 | cut -d'"' -f4)`;
}

/** Return a button that shows calls as curl. @param {() => Call | Call[]} calls */
export function curlButton(calls) {
  const act = () => showCurl([calls()].flat());
  return h('button', { class: 'small plain', type: 'button', onclick: act, title: 'Show as a curl command' }, 'curl');
}
