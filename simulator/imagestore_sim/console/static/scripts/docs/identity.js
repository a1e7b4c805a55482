// Who makes a call: the headers for it, and the bar that says so, with the ways to be someone else.

import { h, replace } from '../lib/dom.js';
import { Problem } from '../lib/http.js';
import { askKey, askLogin, askToken } from '../lib/login.js';
import { currentLogin, headersFor, labHeaders, logInAsAdmin, onLogin } from '../lib/session.js';
import { state } from '../lib/state.js';
import { toast } from '../lib/toast.js';

/** @typedef {import('./operations.js').Operation} Operation */
/** @typedef {Pick<Operation, 'api' | 'authenticated' | 'method'>} Called */

/** @type {(() => void) | null} */
let forget = null; // only one operation is shown at a time

/**
 * Return the headers that let a call be made.
 * @param {Called} operation
 * @param {string} path  from the root of the node
 * @returns {Promise<Record<string, string>>}
 */
export async function callerHeaders(operation, path) {
  if (operation.api === 'lab') return labHeaders();
  return operation.authenticated ? headersFor(operation.method, path) : {};
}

/** Return a bar that says who calls an operation. @param {Operation} operation */
export function identityBar(operation) {
  const bar = h('div', { class: 'identity row' });
  forget?.();
  forget = onLogin(show);
  show();
  return bar;

  function show() {
    replace(bar, operation.api === 'lab' ? labParts() : operation.authenticated ? parts() : soft('Needs no session.'));
  }
}

/** @param {...import('../lib/dom.js').Child} children */
function soft(...children) {
  return h('span', { class: 'soft' }, children);
}

function labParts() {
  if (state.about?.mayChange === false) {
    const option = h('code', null, '--lab-api');
    return soft('This node changes nothing by the lab’s API. Start it with ', option, ' to allow that.');
  }
  if (!state.about?.tokenNeeded && state.refused === null) return soft('Needs no session.');
  return [h('span', null, 'The lab’s API needs its token.'), button('Give the token …', askToken)];
}

function parts() {
  const login = currentLogin();
  const refused = state.about?.mayChange === false;
  const admin = button('As admin', () => void asAdmin());
  admin.disabled = refused;
  admin.hidden = login?.kind === 'admin';
  const how = login?.kind === 'key' ? ', signed with the access key' : '';
  return [
    h('span', null, login === null ? 'No one is logged in.' : ['As ', h('strong', null, login.name), how]),
    admin,
    button('Log in …', askLogin),
    button('Access key …', askKey),
    refused && soft('As admin without a password: only with ', h('code', null, '--lab-api')),
  ];
}

/** @param {string} text @param {() => void} act */
function button(text, act) {
  return h('button', { type: 'button', class: 'small', onclick: act }, text);
}

async function asAdmin() {
  try {
    await logInAsAdmin();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    toast('bad', error.text);
  }
}
