// The login in the bar, and the dialogs that log in.

import { Problem } from './api.js';
import { openDialog } from './dialog.js';
import { h, newId, svg } from './dom.js';
import { menuButton } from './menu.js';
import { currentLogin, logInAsAdmin, logInByAccount, logInByKey, logOut, onLogin, setToken } from './session.js';
import { startState, state } from './state.js';

const PERSON = 'M8 8a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zm-6.5 7a6.5 6 0 0 1 13 0z';

/** Return a button that shows who is logged in, with a menu to change that. */
export function loginMenu() {
  const name = h('span');
  const show = () => {
    const login = currentLogin();
    name.textContent = login === null ? 'Not logged in' : login.name;
  };
  onLogin(show);
  show();
  return menuButton([svg('svg', { viewBox: '0 0 16 16', class: 'icon', 'aria-hidden': 'true' }, svg('path', { fill: 'currentColor', d: PERSON })), name], items, { class: 'plain' });
}

/** @returns {import('./menu.js').Item[]} */
function items() {
  const asAdmin = { label: 'Log in as admin, without a password', action: () => void admin() };
  const refused = state.about?.mayChange === false ? 'Only with --lab-api' : undefined;
  return [
    refused === undefined ? asAdmin : { ...asAdmin, disabled: refused, label: `${asAdmin.label} (${refused.toLowerCase()})` },
    { label: 'Log in by account …', action: askLogin },
    { label: 'Use an access key …', action: askKey },
    ...(currentLogin() === null ? [] : [{ label: 'Log out', action: () => void logOut() }]),
  ];
}

async function admin() {
  try {
    await logInAsAdmin();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { toast } = await import('./toast.js');
    toast('bad', error.text);
  }
}

/** Ask for name and password of an account, and log in. */
export function askLogin() {
  const name = field('Account', { value: 'admin', autocomplete: 'username' });
  const password = field('Password', { type: 'password', autocomplete: 'current-password' });
  form('Log in by account', [name.row, password.row], 'Log in', async () => {
    await logInByAccount(name.input.value, password.input.value);
  });
}

/** Ask for an access key, and sign with it. */
export function askKey() {
  const id = field('Access key ID', { autocomplete: 'off' });
  const secret = field('Secret', { type: 'password', autocomplete: 'off' });
  form('Use an access key', [id.row, secret.row], 'Use it', async () => logInByKey(id.input.value.trim(), secret.input.value));
}

/** Ask for the token of the lab's API, and begin again with it. */
export function askToken() {
  const token = field('Token', { type: 'password', autocomplete: 'off' });
  form('The token of the lab’s API', [token.row], 'Use it', async () => {
    setToken(token.input.value.trim());
    await startState();
    if (state.refused !== null) throw state.refused;
  });
}

/**
 * @param {string} title
 * @param {HTMLElement[]} rows
 * @param {string} yes
 * @param {() => Promise<void>} work
 */
function form(title, rows, yes, work) {
  const problem = h('p', { class: 'problem', role: 'alert' });
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    problem.textContent = '';
    try {
      await work();
      dialog.close();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.textContent = error.text;
    }
  };
  const button = h('button', { class: 'primary' }, yes);
  const dialog = openDialog(title, [h('form', { onsubmit: send }, rows, problem, h('div', { class: 'buttons' }, button))]);
  dialog.element.querySelector('input')?.focus();
}

/** @param {string} label @param {import('./dom.js').Attributes} attributes */
function field(label, attributes) {
  const id = newId('field');
  const input = h('input', { id, ...attributes });
  return { input, row: h('div', { class: 'field' }, h('label', { for: id }, label), input) };
}
