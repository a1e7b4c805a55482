// The requests to ZStack's API, live: each row opens its details. Filters of the node, and a text that the page looks for.

import { perform } from '../lib/action.js';
import { lab, Problem } from '../lib/api.js';
import { confirm } from '../lib/dialog.js';
import { h, replace, setText, untilSeen } from '../lib/dom.js';
import { count, milliseconds, plural, time } from '../lib/format.js';
import { link, route, setQuery } from '../lib/router.js';
import { state } from '../lib/state.js';
import { useStyles } from '../lib/styles.js';
import { ofNode } from './of-node.js';
import { outcome } from './request-drawer.js';
import { shortApi } from './request-snippets.js';

/** @typedef {import('./request-snippets.js').ShownRequest} ShownRequest */

const KEPT = 500;
const WAIT_SECONDS = 20;
const PAUSE_MS = 250; // between two answers, so that a flood of requests costs four drawings a second
const LOST_MS = 2000;
const ANSWER_MS = 2000 * WAIT_SECONDS; // then the node stands still, or is cut off
const FILTERS = /** @type {const} */ (['api', 'path', 'client', 'error', 'fault', 'job']);
const HINTS = { api: 'API: Add*', path: 'Path: */images*', client: 'Client: Go-*', error: 'Error: SYS.*', fault: 'Fault: *', job: 'Job' };
const STATUSES = [['', 'any answer'], ['2xx', '2xx'], ['4xx', '4xx'], ['5xx', '5xx'], ['0', 'no answer']];
const METHODS = [['', 'any method'], ['GET', 'GET'], ['POST', 'POST'], ['PUT', 'PUT'], ['DELETE', 'DELETE']];
const NAMES = [...FILTERS, 'status', 'method', 'q'];

/** @param {HTMLElement} parent @returns {import('../lib/types.js').MountedView} */
export function mount(parent) {
  void useStyles('requests');
  /** @type {ShownRequest[]} the latest first */
  let rows = [];
  let last = 0;
  let dropped = 0;
  let following = true;
  /** @type {AbortController | null} */
  let running = null;
  let asked = '';

  const query = () => route().query;
  const text = h('input', { type: 'search', class: 'text', placeholder: 'Any text: a name, a uuid, a header', 'aria-label': 'Requests that contain', value: query().get('q') ?? '', oninput: () => setQuery({ q: text.value.trim() }, { replace: true }) });
  const inputs = FILTERS.map((name) =>
    h('input', { type: 'search', placeholder: HINTS[name], 'aria-label': `Filter by ${name}`, value: query().get(name) ?? '', data: { name }, onchange: (/** @type {Event} */ event) => setQuery({ [name]: /** @type {HTMLInputElement} */ (event.target).value.trim() }, { replace: true }) }),
  );
  const status = choice('status', 'Answer', STATUSES);
  const method = choice('method', 'Method', METHODS);
  const isWide = matchMedia('(min-width: 761px)').matches;
  const more = h('details', { open: isWide || FILTERS.some((name) => query().has(name)) }, h('summary', null, 'More filters'), h('div', { class: 'row' }, inputs));
  const live = h('button', { class: 'small', 'aria-pressed': 'true', onclick: toggle }, 'Live');
  const own = h('button', { class: 'small', 'aria-pressed': String(query().has('own')), title: 'Also the queries and polls with which this page stays up to date', onclick: () => setQuery({ own: query().has('own') ? null : '1' }, { replace: true }) }, 'Own queries');
  const forget = h('button', { class: 'small danger', onclick: clear }, 'Forget all …');
  const summary = h('span', { class: 'soft', role: 'status' });
  const node = ofNode('Requests');
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  const body = h('tbody');
  const titles = ['#', 'When', 'Method', 'Answer', 'API', 'Path', 'Took', 'Client'];
  const table = h(
    'table',
    { class: 'requests', 'aria-label': 'Requests' },
    h('thead', null, h('tr', null, titles.map((one) => h('th', { scope: 'col', class: one.toLowerCase() }, one)))),
    body,
  );
  const empty = h('div', { class: 'empty', hidden: true });
  parent.append(
    h('div', { class: 'head' }, h('h1', null, 'Requests'), live, own, summary, node.element, h('span', { class: 'grow' }), forget),
    h('div', { class: 'head filters' }, text, status, method, more),
    h('div', { class: 'body' }, problem, h('div', { class: 'table-holder', tabindex: '0', role: 'group', 'aria-label': 'Table of requests' }, table), empty),
  );
  body.addEventListener('click', (event) => {
    const row = /** @type {Element} */ (event.target).closest('tr');
    if (row !== null && !(event.target instanceof HTMLAnchorElement)) row.querySelector('a')?.click();
  });

  /** @param {string} name @param {string} label @param {string[][]} options */
  function choice(name, label, options) {
    const chosen = query().get(name) ?? '';
    const select = h('select', { 'aria-label': label, onchange: () => setQuery({ [name]: select.value }, { replace: true }) }, options.map(([value, shown]) => h('option', { value, selected: value === chosen }, shown)));
    return select;
  }

  // What is asked

  function begin() {
    running?.abort();
    running = new AbortController();
    void follow(running.signal);
  }

  /** @param {AbortSignal} signal */
  async function follow(signal) {
    while (!signal.aborted) {
      try {
        await untilSeen(); // a browser opens six connections to a node, for all its tabs
        if (signal.aborted) return;
        const found = await lab('GET', `/requests/next?${question()}`, undefined, { signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]) });
        problem.hidden = true;
        if (found.last < last) rows = []; // the lab was reset
        take(found);
        await pause(PAUSE_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Problem || error instanceof TypeError)) throw error;
        setText(problem, error instanceof Problem && error.status > 0 ? error.text : 'The node does not answer; this page asks again.');
        problem.hidden = false;
        if (error instanceof Problem && error.status >= 400 && error.status < 500) return;
        await pause(LOST_MS, signal);
      }
    }
  }

  function question() {
    const asking = new URLSearchParams({ since: String(last), within: `${rows.length === 0 && last === 0 ? 1 : WAIT_SECONDS}s`, limit: String(KEPT) });
    for (const name of NAMES) {
      const value = query().get(name);
      if (name !== 'q' && value) asking.set(name, value);
    }
    return asking;
  }

  /** @param {{requests: ShownRequest[], last: number, dropped: number}} found */
  function take(found) {
    last = found.last;
    dropped = found.dropped;
    rows = [...found.requests.reverse(), ...rows].slice(0, KEPT);
    draw();
  }

  // What is drawn

  function draw() {
    const wanted = text.value.trim().toLowerCase();
    const withOwn = query().has('own') || query().has('job');
    own.setAttribute('aria-pressed', String(query().has('own')));
    const shown = rows.filter((one) => (withOwn || !isQuiet(one)) && (wanted === '' || textOf(one).includes(wanted)));
    const known = new Map([...body.rows].map((row) => [row.dataset['number'], row]));
    replace(body, shown.map((one) => known.get(String(one.number)) ?? rowOf(one)));
    mark();
    const failed = shown.filter((one) => one.status >= 400 || one.status === 0).length;
    const gone = dropped > 0 ? `; ${count(dropped)} older ones are no longer kept` : '';
    setText(summary, `${plural(shown.length, 'request')}${failed > 0 ? `, ${count(failed)} failed` : ''}${gone}`);
    table.hidden = shown.length === 0;
    empty.hidden = shown.length > 0;
    if (shown.length === 0) replace(empty, nothing());
  }

  function nothing() {
    if (NAMES.some((name) => query().get(name))) {
      return [h('h2', null, 'No request is like that'), h('p', null, 'Those that come from now on, and are, show here at once.'), h('button', { onclick: all }, 'Show all requests')];
    }
    return [
      h('h2', null, 'No client has called yet'),
      h('p', null, 'Every call of ZStack’s API shows here as it is answered, with its job, and with the events and probes that it caused. Point a client at this node, or try:'),
      h('pre', { class: 'code', tabindex: '0' }, `curl -s ${location.origin}/zstack/v1/zones`),
    ];
  }

  function all() {
    setQuery(Object.fromEntries(NAMES.map((name) => [name, null])), { replace: true });
  }

  /** Mark the row whose details are open. */
  function mark() {
    const open = route().parts[1];
    for (const row of body.rows) {
      const isOpen = row.dataset['number'] === open;
      row.classList.toggle('open', isOpen);
      row.querySelector('a')?.setAttribute('aria-current', String(isOpen));
    }
  }

  /** @param {ShownRequest} one */
  function rowOf(one) {
    const href = link(['requests', String(one.number)], Object.fromEntries(query()));
    return h(
      'tr',
      { data: { number: one.number } },
      h('td', null, h('a', { href, 'aria-label': `Request ${one.number}` }, String(one.number))),
      h('td', null, time(one.time)),
      h('td', null, one.method),
      h('td', null, outcome(one), one.faults.length > 0 && h('span', { class: 'chip fault', title: one.faults.join(', ') }, '◆ fault')),
      h('td', { class: 'api', title: one.api }, shortApi(one.api)),
      h('td', { class: 'path' }, h('code', { title: one.path }, one.path)),
      h('td', { class: 'took' }, milliseconds(one.milliseconds)),
      h('td', { class: 'client', title: one.headers['user-agent'] ?? '' }, (one.headers['user-agent'] ?? one.client).split(' ')[0]),
    );
  }

  // What is done

  function toggle() {
    following = !following;
    live.setAttribute('aria-pressed', String(following));
    if (following) begin();
    else running?.abort();
  }

  async function clear() {
    if (!(await confirm('Forget all requests?', 'Tests that look for earlier requests no longer find them. Numbers go on.', 'Forget all'))) return;
    if ((await perform('All requests are forgotten', () => lab('DELETE', '/requests'))) === null) return;
    rows = [];
    draw();
  }

  function filtered() {
    return NAMES.filter((name) => name !== 'q').map((name) => query().get(name) ?? '').join('\n');
  }

  forget.disabled = state.about !== null && !state.about.mayChange;
  asked = filtered();
  begin();
  draw();
  empty.hidden = true;

  return {
    update() {
      const now = filtered();
      for (const one of inputs) if (document.activeElement !== one) one.value = query().get(one.dataset['name'] ?? '') ?? '';
      if (document.activeElement !== text) text.value = query().get('q') ?? '';
      status.value = query().get('status') ?? '';
      method.value = query().get('method') ?? '';
      if (now === asked) return draw();
      [asked, rows, last] = [now, [], 0];
      replace(body);
      if (following) begin();
    },
    unmount() {
      running?.abort();
      node.end();
    },
  };
}

/** Return whether a request is one that this page makes to stay up to date. @param {ShownRequest} one */
function isQuiet(one) {
  return one.headers['x-requested-with'] === 'imagestore-sim' && one.method === 'GET' && one.status < 400 && one.faults.length === 0;
}

/** @param {ShownRequest} one */
function textOf(one) {
  const headers = Object.entries(one.headers).map(([name, value]) => `${name}: ${value}`);
  return [one.path, one.body, one.api, one.job, one.account, one.error, one.client, ...one.faults, ...headers].join('\n').toLowerCase();
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
