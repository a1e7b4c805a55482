// A backup storage in the drawer: what it is, what it has been through, and what can be done to it.

import { labCall } from '../lib/api.js';
import { curlButton } from '../lib/copy.js';
import { h, replace, setText } from '../lib/dom.js';
import { duration, time } from '../lib/format.js';
import { link, route, setQuery } from '../lib/router.js';
import { onLogin } from '../lib/session.js';
import { labTime, mayAsk, onChange, refreshHosts, state } from '../lib/state.js';
import { statusSign } from '../lib/status.js';
import { useStyles } from '../lib/styles.js';
import { breakIt, kindsKnown } from './break-it.js';
import { faultChips } from './host-faults.js';
import { part } from './part.js';
import { storageActions } from './storage-actions.js';
import { hostPart, imagesPart, readRecord, recordPart } from './storage-facts.js';
import { followHistory, latest } from './storage-history.js';
import { lanesPicture, RANGES } from './storage-lanes.js';
import { probesPart } from './storage-probe.js';
import { VIEWS } from './views.js';

/** @typedef {import('../lib/types.js').MountedView} MountedView */
/** @typedef {import('../lib/types.js').ViewContext} ViewContext */
/** @typedef {import('./storage-history.js').History} History */

const DEFAULT_RANGE = 300;
const SHORTEST_LIVE = 30;
const RECORD_MS = 6000;

/** @param {HTMLElement} parent @param {ViewContext} context @returns {MountedView} */
export function mount(parent, context) {
  const uuid = context.route.parts[1] ?? '';
  void useStyles('drawer');
  void useStyles('faults');
  /** @type {History | null} */
  let history = null;
  /** @type {import('../lib/types.js').BackupStorage | null} */
  let storage = state.storages.get(uuid) ?? null;
  let gone = false;
  let ended = false;
  let host = '';

  const name = h('h3', { class: 'storage-name' });
  const status = h('span', { class: 'row' });
  const lead = h('div', { class: 'lead' }, h('div', { class: 'row' }, name, status), h('p', { class: 'soft' }));
  const actions = storageActions(subject, { done, open: (kind) => breaking?.open(kind), deleted: context.close });
  const message = h('div', { role: 'status' });

  const picture = lanesPicture(zoomed);
  const ranges = h('div', { class: 'row ranges', role: 'group', 'aria-label': 'Time that is seen' });
  const elsewhere = h('p', { class: 'row soft' }, linksOf(uuid));
  const lanes = part('History', { end: ranges });
  const words = h('details', null, h('summary', null, 'In words'), h('div', { class: 'words', tabindex: '0', role: 'group', 'aria-label': 'History in words' }));
  lanes.body.append(picture.element, words, elsewhere);
  const faults = part('Faults', { end: curlButton(() => labCall('GET', `/hosts/${history?.hostname ?? ''}`)) });
  const probes = part('Last probe');
  const breaks = part('Break it');
  const hosts = part('Its host');
  const record = part('Record');
  const images = part('Images', { end: h('button', { class: 'small plain', onclick: () => void readImages() }, 'Refresh') });
  /** @type {ReturnType<typeof breakIt> | null} */
  let breaking = null;

  const content = h('div', { class: 'storage' }, lead, actions.element, message, lanes.element, faults.element, breaks.element, probes.element, hosts.element, record.element, images.element);
  parent.append(content);
  name.textContent = storage?.name ?? '';

  const following = followHistory(uuid, asked, took);
  const leaves = [
    onChange((change) => (change.all || change.hosts || change.node || change.storages.has(uuid)) && history !== null && show()),
    onLogin(readAll),
  ];
  readAll();
  const reading = setInterval(() => {
    if (!document.hidden && !gone && mayAsk()) void rereadRecord();
  }, RECORD_MS);
  showRanges();

  /** @returns {import('./storage-actions.js').Subject} */
  function subject() {
    const hostname = history?.hostname ?? '';
    return {
      uuid,
      name: history?.name ?? uuid,
      hostname,
      tracked: history?.tracked ?? false,
      storage,
      host: state.hosts.get(hostname) ?? null,
      mayChange: state.about?.mayChange ?? false,
    };
  }

  /** @returns {import('./storage-lanes.js').Span | null} what the URL says is seen; null: the last seconds */
  function fixed() {
    const [since, until] = ['since', 'until'].map((one) => Number(route().query.get(one)));
    return since && until && until > since ? { since, until } : null;
  }

  function range() {
    const seconds = Number(route().query.get('range'));
    return RANGES.some((one) => one.seconds === seconds) ? seconds : DEFAULT_RANGE;
  }

  /** @returns {import('./storage-history.js').Asked} */
  function asked() {
    if (route().query.get('range') === 'all' && fixed() === null) return { since: 0, until: null };
    return fixed() ?? latest(range());
  }

  /** @param {import('./storage-lanes.js').Span | null} span */
  function zoomed(span) {
    setQuery(span === null ? { since: null, until: null } : { since: span.since.toFixed(1), until: span.until.toFixed(1) }, { replace: true });
  }

  /** @param {History | null} found @param {import('../lib/api.js').Problem | null} problem */
  function took(found, problem) {
    if (found === null) return lost(problem?.status ?? 0, problem?.text ?? '');
    if (message.childElementCount > 0) replace(message);
    gone = false;
    history = found;
    content.classList.remove('gone');
    show();
  }

  /** Say that the storage is gone, or that nothing is known of it now. @param {number} status @param {string} text */
  function lost(status, text) {
    if (status !== 404) return replace(message, h('p', { class: 'problem' }, `✕ ${text}`));
    if (gone) return;
    gone = true;
    content.classList.add('gone');
    const was = history !== null ? `${history.name} is gone: it was deleted, or the records of the node were replaced.` : 'There is no backup storage with this uuid.';
    const back = h('a', { class: 'button', href: link(['storages']) }, 'Back to the fleet');
    replace(message, h('div', { class: 'card' }, h('p', null, h('strong', null, '✕ '), was, ' If it comes back, so does this.'), back));
  }

  function done() {
    following.read();
    void refreshHosts();
    void rereadRecord();
  }

  function readAll() {
    void rereadRecord();
    void readImages();
  }

  async function rereadRecord() {
    const found = await readRecord(uuid);
    if (ended) return;
    storage = found ?? state.storages.get(uuid) ?? null;
    show();
  }

  async function readImages() {
    const found = await imagesPart(uuid);
    images.show(Math.random(), () => found);
  }

  function show() {
    if (history === null) return;
    const now = labTime();
    const { host: its, mayChange } = subject();
    setText(name, history.name);
    const spell = history.statuses.at(-1);
    replace(status, statusSign(history.status), storage?.state === 'Disabled' && h('span', { class: 'chip wait' }, '⏸︎ Disabled'));
    setText(lead.lastElementChild ?? lead, since(spell, now));
    actions.show();
    picture.draw(history, fixed() ?? liveSpan(history));
    if (words.open) replace(words.lastElementChild ?? words, inWords(history));
    showFaults(mayChange);
    showBreaks();
    const last = history.probes.at(-1)?.time ?? 0;
    const { probes: all } = history;
    probes.show([last, Math.round((now - last) / 5)], () => probesPart(all, now));
    hosts.element.hidden = its === null;
    if (its !== null) hosts.show(its, () => hostPart(its));
    record.show([storage], () => (storage === null ? h('p', { class: 'soft' }, 'Log in to see its record in ZStack’s API.') : recordPart(storage)));
  }

  /** @param {boolean} mayChange */
  function showFaults(mayChange) {
    if (history === null) return;
    const { faults: all, hostname } = history;
    const present = (all ?? []).filter((one) => one.until === null);
    faults.element.hidden = all === null;
    faults.show([present.map(({ id, kind, since }) => [id, kind, since]), mayChange, kindsKnown()], () => faultChips(hostname, present, { mayChange, done }));
  }

  function showBreaks() {
    if (history === null || host === history.hostname) return;
    const { hostname, faults: all } = history;
    if (hostname === '') return breaks.show('none', () => h('p', { class: 'soft' }, 'A storage of this type has no host.'));
    if (all === null) return breaks.show('real', realHost);
    host = hostname;
    const made = breakIt({
      hostname,
      url: storage?.url ?? '/Cloud_bs',
      refused: state.about?.mayChange === false ? 'This page may not break hosts: start the node with --lab-api.' : undefined,
      chosen: route().query.get('kind') ?? '',
      choose: (kind) => setQuery({ kind: kind === '' ? null : kind }, { replace: true }),
      done,
    });
    breaking = made;
    breaks.show(hostname, () => made.element);
  }

  function showRanges() {
    const seen = fixed() !== null ? '' : (route().query.get('range') ?? String(DEFAULT_RANGE));
    const choose = (/** @type {string} */ value) => () => setQuery({ range: value === String(DEFAULT_RANGE) ? null : value, since: null, until: null }, { replace: true });
    const choices = [...RANGES.map((one) => ({ value: String(one.seconds), label: one.label })), { value: 'all', label: 'All' }];
    const curl = curlButton(() => labCall('GET', `/storages/${uuid}/history`));
    replace(
      ranges,
      choices.map(({ value, label }) => h('button', { class: 'small', 'aria-pressed': String(value === seen), onclick: choose(value) }, label)),
      h('button', { class: 'small', 'aria-label': 'Zoom in', onclick: () => picture.zoom(1 / 1.5) }, '+'),
      h('button', { class: 'small', 'aria-label': 'Zoom out', onclick: () => picture.zoom(1.5) }, '−'),
      curl,
    );
  }

  words.addEventListener('toggle', () => history !== null && replace(words.lastElementChild ?? words, inWords(history)));
  return {
    update() {
      showRanges();
      following.read();
    },
    unmount() {
      ended = true;
      clearInterval(reading);
      following.end();
      picture.end();
      for (const leave of leaves) leave();
    },
  };
}

/** @param {History['statuses'][number] | undefined} spell @param {number} now */
function since(spell, now) {
  return spell === undefined ? '' : `${spell.status} for ${duration(Math.max(0, now - spell.since))}, since ${time(spell.since)}`;
}

/** Return links to what other views tell of a storage. @param {string} uuid */
function linksOf(uuid) {
  const known = (/** @type {string} */ path) => VIEWS.some((view) => view.path === path);
  return [
    known('requests') && h('a', { href: link(['requests'], { q: uuid }) }, 'Requests that name it'),
    known('timeline') && h('a', { href: link(['timeline'], { name: state.storages.get(uuid)?.name }) }, 'On the timeline'),
  ];
}

/** Return the time up to now: a storage that is new has only a part of what was asked for. @param {History} history @returns {import('./storage-lanes.js').Span} */
function liveSpan({ since, until }) {
  return { since: Math.min(since, until - SHORTEST_LIVE), until };
}

/** What is said where the host is none of the lab's. */
function realHost() {
  return h('p', { class: 'soft' }, 'Its host is not one of this lab, so the page cannot break it. Hosts of ', h('code', null, 'imagestore-sim lab'), ' can be broken here, containers by their profile ', h('code', null, 'chaos'), '.');
}

/** Return the history as tables. @param {History} history */
function inWords(history) {
  const head = (/** @type {string[]} */ titles) => h('thead', null, h('tr', null, titles.map((one) => h('th', { scope: 'col' }, one))));
  const statuses = history.statuses.toReversed().slice(0, 50);
  const windows = (history.faults ?? []).toReversed().slice(0, 50);
  return [
    h('table', null, head(['Status', 'From', 'For']), h('tbody', null, statuses.map((one) => h('tr', null, h('td', null, statusSign(one.status)), h('td', null, time(one.since)), h('td', null, one.until === null ? 'until now' : duration(one.until - one.since)))))),
    windows.length > 0 && h('table', null, head(['Fault', 'From', 'To']), h('tbody', null, windows.map((one) => h('tr', null, h('td', null, `⚡︎ ${one.kind}`), h('td', null, time(one.since)), h('td', null, one.until === null ? 'still there' : time(one.until)))))),
    !history.complete && h('p', { class: 'soft' }, 'Older changes are no longer stored, or were left out.'),
  ];
}
