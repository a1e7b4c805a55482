// The fleet: every backup storage in a table, filtered in ZStack's own syntax.

import { zstack, zstackCall } from '../lib/api.js';
import { curlButton } from '../lib/copy.js';
import { h, replace, setText } from '../lib/dom.js';
import { count } from '../lib/format.js';
import { Problem } from '../lib/http.js';
import { go, link, route, setQuery } from '../lib/router.js';
import { currentLogin } from '../lib/session.js';
import { followProbes, mayAsk, onChange, state } from '../lib/state.js';
import { useStyles } from '../lib/styles.js';
import { emptyFleet } from './fleet-empty.js';
import { fleetFilter } from './fleet-filter.js';
import { fleetTable, sorted } from './fleet-table.js';

/** @typedef {import('../lib/types.js').BackupStorage} BackupStorage */
/** @typedef {import('../lib/types.js').MountedView} MountedView */
/** @typedef {import('../lib/types.js').Route} Route */

const AGAIN_MS = 1000; // between two orders of what changes all the time
const PAGE = 10_000;
const UNASKED = 1000; // storages that ZStack answers without a limit
const SHARE = 20; // a query that takes a while is repeated after that many times as long
const STEADY = new Set(['name', 'uuid', 'createDate', 'type']); // fields that no event changes

/** @param {HTMLElement} parent @returns {MountedView} */
export function mount(parent) {
  void useStyles('fleet');
  parent.classList.add('fleet');
  const shown = h('span', { class: 'soft', role: 'status' });
  const url = h('code');
  const curl = curlButton(call);
  const more = h('span', { class: 'soft', hidden: true }, 'without a limit, ZStack answers the first 1,000');
  const request = h('div', { class: 'row request', hidden: true }, url, curl, more);
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  const filter = fleetFilter((conditions) => setQuery({ q: conditions }));
  const table = fleetTable({
    hrefOf: (storage) => link(['storages', storage.uuid], kept),
    onOpen: (storage) => go(['storages', storage.uuid], kept),
    onSort: (order) => setQuery({ sort: order }),
  });
  const clear = h('button', { class: 'small', onclick: () => setQuery({ q: null }) }, 'Show all');
  const nothing = h('div', { class: 'fleet-nothing row', hidden: true }, 'No storage matches these conditions.', clear);
  const empty = h('div', { class: 'body', hidden: true });
  parent.append(
    h('div', { class: 'head' }, h('h1', null, 'Fleet'), shown, filter.element),
    h('div', { class: 'about' }, request, problem, nothing),
    table.element,
    empty,
  );

  /** @type {string[] | null} the uuids that match, in ZStack's order, by name without another; null without conditions */
  let matching = null;
  let conditions = /** @type {string[]} */ ([]);
  /** @type {import('../lib/router.js').Query} what stays in the URL when details open */
  let kept = {};
  let sort = '';
  let wait = 0;
  let asked = 0;
  let dirty = false;

  /** The query that the table shows. */
  function call() {
    return zstackCall('GET', '/backup-storage', { query: { q: conditions, sort: sort === '' ? undefined : sort } });
  }

  /** @param {Route} now */
  function update(now) {
    const next = now.query.getAll('q');
    const nextSort = now.query.get('sort') ?? '';
    filter.show(next);
    if (String(next) === String(conditions) && nextSort === sort && asked > 0) return;
    conditions = next;
    sort = nextSort;
    kept = { q: conditions, sort };
    table.refresh(null);
    table.showSort(sort);
    const all = conditions.length === 0 && sort === '';
    request.hidden = all;
    setText(url, `GET ${decodeURIComponent(call().path)}`);
    void read();
  }

  /** Ask which storages match, and show them. */
  async function read() {
    if (conditions.length > 0 && currentLogin() === null) return; // a login reads everything
    asked += 1;
    const number = asked;
    const begun = performance.now();
    try {
      const found = conditions.length === 0 ? null : await query();
      if (number !== asked) return;
      matching = found;
      problem.hidden = true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (number !== asked) return;
      matching = [];
      setText(problem, error.text);
      problem.hidden = false;
    }
    show();
    wait = Math.max(AGAIN_MS, SHARE * (performance.now() - begun));
  }

  async function query() {
    const found = /** @type {string[]} */ ([]);
    for (;;) {
      const page = { limit: PAGE, start: found.length, fields: 'uuid' };
      const asking = { q: conditions, sort: sort === '' ? '+name' : sort, ...page };
      const { inventories } = await zstack('GET', '/backup-storage', { query: asking });
      for (const { uuid } of inventories) found.push(uuid);
      if (inventories.length < PAGE) return found;
    }
  }

  function show() {
    const list = matching === null ? sorted([...state.storages.values()], sort) : known(matching);
    const total = state.storages.size;
    more.hidden = list.length <= UNASKED;
    setText(shown, list.length === total ? count(total) : `${count(list.length)} of ${count(total)}`);
    const none = total === 0 && (state.storagesLoaded || state.storagesProblem !== null);
    nothing.hidden = none || list.length > 0 || conditions.length === 0 || !problem.hidden;
    table.element.hidden = none;
    if (empty.hidden === none) {
      empty.hidden = !none;
      replace(empty, none && emptyFleet());
    }
    table.show(list);
  }

  /** Order again, soon but not all the time. */
  function later() {
    if (dirty) return;
    dirty = true;
    setTimeout(() => {
      dirty = false;
      if (!ended && mayAsk()) void read();
    }, wait);
  }

  const ends = [
    onChange((change) => {
      if (change.all || change.membership) void read();
      else if (change.storages.size > 0 && (matching !== null || !STEADY.has(sort.replace(/^[-+]/, '') || 'name'))) later();
      if (change.storages.size > 0) table.refresh(change.storages);
      if (change.probes.size > 0) table.refresh(change.probes);
      if (change.hosts) table.refresh(null);
    }),
    followProbes(),
  ];
  let ended = false;
  update(route());
  return {
    update,
    unmount() {
      ended = true;
      for (const end of ends) end();
      table.unmount();
      parent.classList.remove('fleet');
    },
  };
}

/** @param {string[]} uuids @returns {BackupStorage[]} */
function known(uuids) {
  const found = [];
  for (const uuid of uuids) {
    const storage = state.storages.get(uuid);
    if (storage !== undefined) found.push(storage);
  }
  return found;
}
