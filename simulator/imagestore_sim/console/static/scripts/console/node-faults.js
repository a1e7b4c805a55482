// The faults of the management plane: those that are set, those that were healed, and the kinds to set one of.

import { perform } from '../lib/action.js';
import { lab, labCall, Problem } from '../lib/api.js';
import { curlButton } from '../lib/copy.js';
import { h, replace } from '../lib/dom.js';
import { onEvents } from '../lib/events.js';
import { count, plural } from '../lib/format.js';
import { link, onRoute, route } from '../lib/router.js';
import { onChange, state } from '../lib/state.js';
import { useStyles } from '../lib/styles.js';
import { faultKinds, kindsKnown, parametersText } from './break-it.js';
import { countdown } from './countdown.js';
import { faultForm } from './fault-form.js';
import { marked } from './marked.js';
import { ofNode } from './of-node.js';
import { part } from './part.js';

/** @typedef {import('../lib/types.js').MountedView} MountedView */
/** @typedef {import('./fault-form.js').Kind} Kind */

/**
 * @typedef {object} NodeFault  a fault of the management plane that is set, or was
 * @property {string} id
 * @property {string} kind
 * @property {Record<string, any>} parameters
 * @property {number} matches
 * @property {number} hits
 * @property {number | null} left
 * @property {number | null} secondsLeft
 * @property {number | null} healsAt
 * @property {string | null} healedBy
 */

const PATH = '/node/faults';
const POLL_MS = 2000;
const SETTLE_MS = 150;
const LAYERS = /** @type {const} */ (['connection', 'answer', 'job', 'identity', 'node', 'hooks']);
const SIGNS = { hand: '✓ by hand', time: '⏱︎ by time', count: '# by count', reset: '↺ by a reset' };

/** @param {HTMLElement} parent @returns {MountedView} */
export function mount(parent) {
  void useStyles('drawer');
  void useStyles('faults');
  const healAll = h('button', { onclick: () => void heal(PATH, 'All faults are healed') }, 'Heal all');
  const active = part('Set now', { end: h('span', { class: 'row' }, healAll, curlButton(() => labCall('GET', PATH))) });
  const kinds = part('Set one');
  const past = part('Healed');
  const node = ofNode('Faults');
  const problem = h('div', { role: 'status' });
  parent.append(
    h('div', { class: 'head' }, h('h1', null, 'Management-plane faults'), h('span', { class: 'soft' }, 'What goes wrong between a client and the node: late, lost and wrong answers, jobs, sessions, web hooks.'), node.element),
    h('div', { class: 'body node-faults' }, problem, active.element, kinds.element, past.element),
  );

  let timer = 0;
  let ended = false;
  let mayChange = state.about?.mayChange ?? false;

  async function read() {
    clearTimeout(timer);
    try {
      const { faults, healed } = await lab('GET', PATH);
      if (!ended) show(faults, healed);
      replace(problem);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      replace(problem, h('p', { class: 'problem' }, `✕ ${error.text}`));
    }
    if (!ended) plan(POLL_MS);
  }

  /** @param {number} pause */
  function plan(pause) {
    clearTimeout(timer);
    timer = globalThis.setTimeout(() => (document.hidden ? plan(POLL_MS) : void read()), pause);
  }

  /** @param {NodeFault[]} faults @param {NodeFault[]} healed */
  function show(faults, healed) {
    healAll.hidden = !mayChange || faults.length === 0;
    const known = (/** @type {NodeFault} */ { id, hits, matches, left, healsAt }) => [id, hits, matches, left, Math.round(healsAt ?? 0)];
    active.show([faults.map(known), mayChange, kindsKnown()], () => activeTable(faults, mayChange, heal));
    past.show([healed.map((one) => [one.id, one.hits]), kindsKnown()], () => healedTable(healed));
  }

  /** @param {string} path @param {string} text */
  async function heal(path, text) {
    await perform(text, () => lab('DELETE', path));
    void read();
  }

  const chooser = kindChooser(() => void read());
  kinds.show('kinds', () => chooser.element);
  const leaves = [
    node.end,
    onEvents(({ events, afresh }) => (afresh || events.some((one) => one.path.startsWith('/management-node/fault/'))) && plan(SETTLE_MS)),
    onRoute(() => chooser.show()),
    onChange((change) => {
      if (!change.node || mayChange === (state.about?.mayChange ?? false)) return;
      mayChange = state.about?.mayChange ?? false;
      chooser.show();
      plan(SETTLE_MS);
    }),
  ];
  void read();
  return {
    unmount() {
      ended = true;
      clearTimeout(timer);
      for (const leave of leaves) leave();
    },
  };
}

/** @param {NodeFault[]} faults @param {boolean} mayChange @param {(path: string, text: string) => Promise<void>} heal */
function activeTable(faults, mayChange, heal) {
  if (faults.length === 0) return h('p', { class: 'soft' }, '✓ None is set: the node answers as ZStack does. Choose a kind below, and the next request that it is meant for meets it.');
  return table(
    ['Fault', 'Meets', 'Hits', 'Left', ''],
    faults.map((one) => [
      [h('span', { class: 'chip fault' }, h('span', { 'aria-hidden': 'true' }, '⚡︎'), h('strong', null, one.kind)), ' ', h('span', { class: 'soft' }, parametersText('nodeFaults', one.kind, one.parameters))],
      whenText(one.parameters.when),
      hitsCell(one),
      leftCell(one),
      mayChange && h('button', { class: 'small', 'aria-label': `Heal ${one.id}`, onclick: () => void heal(`${PATH}/${one.id}`, `${one.id} is healed after ${plural(one.hits, 'hit')}`) }, 'Heal'),
    ]),
  );
}

/** @param {NodeFault[]} healed */
function healedTable(healed) {
  if (healed.length === 0) return h('p', { class: 'soft' }, 'None was healed yet. Those that were stay here with their hits.');
  return table(
    ['Fault', 'Met', 'Hits', 'Healed'],
    healed.toReversed().map((one) => [
      [h('strong', null, one.kind), ' ', h('span', { class: 'soft' }, parametersText('nodeFaults', one.kind, one.parameters))],
      whenText(one.parameters.when),
      hitsCell(one),
      SIGNS[/** @type {keyof typeof SIGNS} */ (one.healedBy ?? 'hand')],
    ]),
  );
}

/** @param {string[]} titles @param {import('../lib/dom.js').Child[][]} rows */
function table(titles, rows) {
  const head = h('tr', null, titles.map((one) => (one === '' ? h('td') : h('th', { scope: 'col' }, one))));
  const body = rows.map((cells) => h('tr', null, cells.map((one) => h('td', null, one))));
  return h('div', { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': 'Faults of the management plane' }, h('table', null, h('thead', null, head), h('tbody', null, body)));
}

/** @param {NodeFault} fault */
function hitsCell({ id, hits, matches }) {
  if (matches === 0) return h('span', { class: 'soft' }, 'no request yet');
  const of = matches > hits ? ` of ${count(matches)} that match` : '';
  const text = [h('span', { class: 'hits' }, count(hits)), of];
  return hits === 0 ? text : [text, ' ', h('a', { href: link(['requests'], { fault: id }), 'aria-label': `Requests that met ${id}` }, 'requests')];
}

/** @param {NodeFault} fault */
function leftCell({ left, healsAt }) {
  const hits = left !== null && plural(left, 'hit');
  if (healsAt === null) return hits || h('span', { class: 'soft' }, 'until it is healed');
  return [hits, hits && ', ', countdown(healsAt)];
}

/** Return which requests a fault meets, in words. @param {Record<string, unknown> | undefined} when */
function whenText(when) {
  const given = Object.entries(when ?? {});
  if (given.length === 0) return h('span', { class: 'soft' }, 'every request of its kind');
  return given.map(([name, value], index) => [index > 0 && ', ', `${name} `, h('code', null, String(value))]);
}

/** Return the kinds by layer, and the form of the one that the URL names. @param {() => void} done */
function kindChooser(done) {
  const filter = h('input', { type: 'search', placeholder: 'Filter kinds', 'aria-label': 'Filter kinds', oninput: () => list() });
  const names = h('div');
  const about = h('div', { class: 'about-kind' });
  const element = h('div', { class: 'node-kinds' }, h('nav', { class: 'kind-list', 'aria-label': 'Kinds of fault' }, filter, names), about);
  /** @type {Kind[]} */
  let kinds = [];
  let shown = '';
  void load();

  async function load() {
    try {
      kinds = (await faultKinds()).nodeFaults;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return replace(element, h('p', { class: 'problem' }, error.text));
    }
    show();
  }

  function list() {
    const wanted = filter.value.trim().toLowerCase();
    const chosen = route().query.get('kind');
    const fits = (/** @type {Kind} */ one) => `${one.kind} ${one.layer} ${one.description}`.toLowerCase().includes(wanted);
    const groups = LAYERS.map((layer) => ({ layer, some: kinds.filter((one) => one.layer === layer && fits(one)) }));
    replace(
      names,
      groups.map(({ layer, some }) => some.length > 0 && [h('h4', null, layer), h('ul', null, some.map((one) => h('li', null, h('a', { href: link(['node-faults'], { kind: one.kind }), 'aria-current': one.kind === chosen ? 'true' : null, title: one.description }, one.kind))))]),
      groups.every(({ some }) => some.length === 0) && h('p', { class: 'soft' }, 'No kind fits.'),
    );
  }

  function show() {
    list();
    const kind = kinds.find((one) => one.kind === route().query.get('kind'));
    const mayChange = state.about?.mayChange ?? false;
    const key = `${kind?.kind} ${mayChange}`;
    if (key === shown) return;
    shown = key;
    if (kind === undefined) return replace(about, h('p', { class: 'soft' }, 'Choose a kind. Each says what it does, which requests it can meet, and how it heals.'));
    const form = faultForm(kind, {
      verb: `Set ${kind.kind}`,
      refused: mayChange ? undefined : 'This page may not set faults: start the node with --lab-api.',
      said: (answer) => `${answer.id} is set`,
      call: (body) => labCall('POST', PATH, body),
      send: (body) => lab('POST', PATH, body),
      done,
    });
    const byHand = element.contains(document.activeElement);
    replace(about, h('h4', { tabindex: '-1' }, kind.kind), h('p', null, marked(kind.description)), h('p', { class: 'soft' }, 'It meets ', marked(kind.meets ?? ''), '. When it heals: ', marked(kind.heals)), form);
    if (byHand) about.querySelector('h4')?.focus();
  }

  return { element, show };
}
