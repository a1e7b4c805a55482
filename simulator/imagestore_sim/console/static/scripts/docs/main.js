// The API explorer: the list of operations, and the page of the one that the URL names.

import { h, replace } from '../lib/dom.js';
import { Problem, send } from '../lib/http.js';
import { loginMenu } from '../lib/login.js';
import { currentLogin, logInAsAdmin } from '../lib/session.js';
import { refreshNode, state } from '../lib/state.js';
import { themeButton } from '../lib/theme.js';
import { placeText, readPlace } from './location.js';
import { navigation } from './navigation.js';
import { operationAt, operationsOf } from './operations.js';
import { operationPage } from './page.js';
import { tryIt } from './try-it.js';
import { welcome } from './welcome.js';

/** @typedef {import('./operations.js').Operation} Operation */
/** @typedef {import('./operations.js').ApiName} ApiName */

const DOCUMENTS = /** @type {[ApiName, string][]} */ ([
  ['zstack', '/openapi.json?unfolded'],
  ['lab', '/lab/v1/openapi.json'],
]);
const KEEP_MS = 200;
const TITLE = 'API explorer · imagestore-sim';
const bar = /** @type {HTMLElement} */ (document.getElementById('bar'));
const side = /** @type {HTMLElement} */ (document.getElementById('navigation'));
const main = /** @type {HTMLElement} */ (document.getElementById('main'));

const toggle = h(
  'button',
  { class: 'toggle', 'aria-expanded': 'false', 'aria-controls': 'navigation', onclick: fold },
  'APIs',
);
bar.append(toggle, h('strong', { class: 'wide-only' }, 'API explorer'), h('a', { href: '/' }, 'Console'));
bar.append(h('div', { class: 'bar-end row' }, themeButton(), loginMenu()));
main.append(h('p', { class: 'empty soft', role: 'status' }, 'Reading the documents of both APIs …'));

const [operations] = await Promise.all([readOperations(), begin()]);
const list = navigation(side, operations);
/** @type {string | null} */
let shown = null;
let keeping = 0; // browsers bear no more than a few changes of the URL a second
addEventListener('hashchange', show);
addEventListener('keydown', shortcuts);
show();

/** Read what the node is, and log in where that needs no password. */
async function begin() {
  await refreshNode();
  if (!state.about?.mayChange || currentLogin() !== null || state.refused !== null) return;
  try {
    await logInAsAdmin();
  } catch (error) {
    if (!(error instanceof Problem)) throw error; // Try it out says that no one is logged in
  }
}

/** @returns {Promise<Operation[]>} */
async function readOperations() {
  const found = await Promise.all(
    DOCUMENTS.map(async ([api, path]) => operationsOf(api, await send({ method: 'GET', path, api: 'node' }))),
  );
  return found.flat();
}

function show() {
  const { api, id, values } = readPlace(location.hash);
  const operation = operationAt(operations, api, id);
  if (location.hash === shown) return;
  clearTimeout(keeping);
  shown = location.hash;
  open(false);
  list.show(api, operation?.id ?? '');
  if (operation === undefined) {
    document.title = TITLE;
    replace(main, welcome(operations, id));
  } else {
    document.title = `${operation.operationId} · ${TITLE}`;
    replace(main, operationPage(operation, tryIt(operations, operation, values, keep)));
  }
  main.scrollTop = 0;

  /** @param {import('./requests.js').Values} now @param {import('./operations.js').Input[]} inputs */
  function keep(now, inputs) {
    clearTimeout(keeping);
    const next = placeText(api, operation?.id ?? id, now, inputs);
    keeping = setTimeout(() => {
      shown = next;
      history.replaceState(null, '', next);
    }, KEEP_MS);
  }
}

function fold() {
  open(toggle.getAttribute('aria-expanded') !== 'true');
}

/** Show the list, or hide it, where there is no room for both. @param {boolean} isOpen */
function open(isOpen) {
  toggle.setAttribute('aria-expanded', String(isOpen));
  side.classList.toggle('open', isOpen);
  if (isOpen) list.focus();
}

/** @param {KeyboardEvent} event */
function shortcuts(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.closest('input, textarea, select, dialog') !== null) return;
  event.preventDefault();
  if (toggle.checkVisibility()) open(true);
  list.focus();
}
