// The management nodes of a cluster: whose heart beats, who answers this page, who owns how much, who joined and left.

import { labCall } from '../lib/api.js';
import { curlButton } from '../lib/copy.js';
import { h, replace, set, setText } from '../lib/dom.js';
import { ago, bracketed, count, duration, percent, plural, time } from '../lib/format.js';
import { answerers, answersOf, cluster, isSilent, leftNodes, nameOf, onNodes, portOf, watchNodes } from '../lib/nodes.js';
import { onChange, state } from '../lib/state.js';
import { useStyles } from '../lib/styles.js';
import { part } from './part.js';

/** @typedef {import('../lib/types.js').ManagementNode} ManagementNode */
/** @typedef {import('../lib/types.js').NodeChange} NodeChange */
/** @typedef {import('../lib/types.js').Nodes} Nodes */
/** @typedef {{element: HTMLElement, show: (one: ManagementNode | NodeChange, known: Nodes) => void}} Card */

/** The states of a node: class, sign and word. */
const RUNNING = /** @type {const} */ (['running', '●', 'Running']);
const JOINING = /** @type {const} */ (['late', '▲', 'Joining']);
const SILENT = /** @type {const} */ (['late', '▲', 'Silent']);
const LEFT = /** @type {const} */ (['left', '✕', 'Left']);

/** @param {HTMLElement} parent @returns {import('../lib/types.js').MountedView} */
export function mount(parent) {
  void useStyles('nodes');
  const summary = h('span', { class: 'soft' });
  const problem = h('p', { class: 'problem', role: 'status', hidden: true });
  const unowned = h('p', { class: 'node-note', role: 'status', hidden: true });
  const alone = h('div', { hidden: true });
  const cards = h('ul', { class: 'node-cards', 'aria-label': 'Management nodes' });
  const lives = part('Joins and leaves');
  const body = h('div', { class: 'body nodes' }, problem, unowned, alone, cards, lives.element);
  parent.append(h('div', { class: 'head' }, h('h1', null, 'Management nodes'), curlButton(() => labCall('GET', '/nodes')), summary), body);
  /** @type {Map<string, Card>} */
  const shown = new Map();
  lives.element.hidden = true;

  function show() {
    showProblem();
    const { known } = cluster;
    alone.hidden = known !== null || state.about?.sharesStore !== false;
    if (!alone.hidden && alone.childElementCount === 0) replace(alone, aloneText());
    if (known === null) return;
    setText(summary, summaryOf(known));
    unowned.hidden = known.unowned === 0;
    setText(unowned, `▲ ${plural(known.unowned, 'storage')} ${known.unowned === 1 ? 'has' : 'have'} no owner yet among these nodes.`);
    showCards(known);
    lives.element.hidden = false;
    lives.show([known.changes, known.nodes.map((one) => nameOf(one.uuid))], () => changesTable(known.changes));
  }

  function showProblem() {
    problem.hidden = cluster.problem === null;
    if (cluster.problem === null) return;
    const why = cluster.problem.status === 0 ? 'No answer.' : `No answer: ${cluster.problem.text}.`;
    const since = cluster.known === null ? '' : ` What follows was so ${ago(0, Math.max(1, (performance.now() - cluster.answered) / 1000))}.`;
    setText(problem, `✕ ${why}${since}`);
  }

  /** @param {Nodes} known */
  function showCards(known) {
    const all = inOrder([...known.nodes, ...leftNodes()]);
    for (const one of all) {
      const card = shown.get(one.uuid) ?? nodeCard();
      shown.set(one.uuid, card);
      card.show(one, known);
    }
    const wanted = all.map(({ uuid }) => /** @type {Card} */ (shown.get(uuid)).element);
    if (wanted.length !== cards.childElementCount || wanted.some((one, at) => one !== cards.children[at])) cards.replaceChildren(...wanted);
    for (const uuid of [...shown.keys()]) if (!all.some((one) => one.uuid === uuid)) shown.delete(uuid);
  }

  const leaves = [watchNodes(), onNodes(show), onChange((change) => change.node && show())];
  show();
  return { unmount: () => leaves.forEach((leave) => leave()) };
}

/** Return nodes by name, so that one that leaves and comes back keeps its place. @template {ManagementNode | NodeChange} T @param {T[]} nodes */
function inOrder(nodes) {
  const collator = new Intl.Collator(undefined, { numeric: true });
  const key = (/** @type {T} */ one) => `${nameOf(one.uuid, one.hostName)} ${one.uuid}`;
  return nodes.sort((one, other) => collator.compare(key(one), key(other)));
}

/** @param {Nodes} known */
function summaryOf({ nodes, mode, beatsEvery, deadAfter }) {
  return `${plural(nodes.length, 'node')} · mode ${mode}: a heartbeat every ${duration(beatsEvery ?? 0)}, taken for dead after ${duration(deadAfter ?? 0)} without`;
}

/** Return the card of one node. What is in it changes in place: a text that is marked stays marked. @returns {Card} */
function nodeCard() {
  const sign = h('span', { class: 'node-sign', 'aria-hidden': 'true' });
  const name = h('span');
  const port = h('span', { class: 'soft' });
  const chip = h('span', { class: 'chip', title: 'Which node gave the latest answers to this page' });
  const word = h('span', { class: 'node-state' });
  const since = h('span');
  const uuid = h('code');
  const heart = meter('heart');
  const storages = meter();
  const element = h(
    'li',
    { class: 'card node-card' },
    h('div', { class: 'node-head' }, h('h2', null, sign, name, port), chip),
    h('p', null, word, since),
    h('dl', null, h('dt', null, 'Heartbeat'), h('dd', null, heart.element), h('dt', null, 'Storages'), h('dd', null, storages.element), h('dt', null, 'UUID'), h('dd', null, uuid)),
  );

  /** @param {ManagementNode | NodeChange} one @param {Nodes} known */
  function show(one, known) {
    const [kind, mark, text] = 'lifeCycle' in one ? LEFT : one.state === 'JOINING' ? JOINING : isSilent(one) ? SILENT : RUNNING;
    const at = portOf(one.uuid);
    set(element, { class: ['card', 'node-card', kind] });
    setText(sign, mark);
    setText(name, at === null ? one.hostName : bracketed(one.hostName));
    setText(port, at === null ? '' : `:${at}`);
    setText(word, text);
    setText(uuid, one.uuid);
    showAnswers(one.uuid);
    if ('lifeCycle' in one) showLeft(one, known);
    else showMember(one, known);
  }

  /** @param {string} one */
  function showAnswers(one) {
    const who = answerers();
    const isNow = cluster.problem === null;
    chip.hidden = !who.includes(one);
    set(chip, { class: ['chip', who.length === 1 && isNow ? 'here' : 'soft'] });
    const alone = isNow ? 'answers this page' : 'answered this page';
    setText(chip, chip.hidden ? '' : who.length === 1 ? alone : `${answersOf(one)} of the last ${cluster.answers.length} answers`);
  }

  /** @param {ManagementNode} one @param {Nodes} known */
  function showMember(one, { time: now, deadAfter, nodes, unowned }) {
    setText(since, `, ${isSilent(one) ? 'joined at' : 'beats since'} ${time(one.joinDate)} (${duration(Math.max(1, Math.round(now - one.joinDate)))})`);
    heart.show(one.silentFor / (deadAfter ?? 1), `${one.silentFor < 10 ? `${one.silentFor.toFixed(1)} s` : duration(one.silentFor)} ago`);
    const all = nodes.reduce((sum, { storages: some }) => sum + some, unowned);
    storages.show(all > 0 ? one.storages / all : 0, `${count(one.storages)} of ${count(all)} (${percent(one.storages, all)})`);
  }

  /** @param {NodeChange} one @param {Nodes} known */
  function showLeft(one, { time: now }) {
    setText(since, ` at ${time(one.time)} (${ago(one.time, now)})`);
    heart.show(null, one.silentFor === null ? 'none since' : `the last one ${silence(one.silentFor)} before that`);
    storages.show(null, 'none any more');
  }

  return { element, show };
}

/** @param {number} seconds */
function silence(seconds) {
  return seconds < 1 ? 'less than 1 s' : duration(seconds);
}

/** Return a bar with words behind it; a share of null has no bar. @param {string} [name]  a class */
function meter(name) {
  const fill = h('span', { class: 'fill' });
  const bar = h('span', { class: 'bar', 'aria-hidden': 'true' }, fill);
  const words = h('span');
  /** @param {number | null} share @param {string} text */
  function show(share, text) {
    bar.hidden = share === null;
    set(fill, { style: { transform: `scaleX(${Math.min(1, Math.max(0, share ?? 0))})` } });
    setText(words, text);
  }
  return { element: h('span', { class: ['node-meter', name] }, bar, words), show };
}

/** @param {NodeChange[]} changes */
function changesTable(changes) {
  if (changes.length === 0) return h('p', { class: 'soft' }, 'None is stored: the events begin again after a reset.');
  const head = h('tr', null, ['When', 'Node', 'What'].map((title) => h('th', { scope: 'col' }, title)));
  const rows = changes.map((one) =>
    h('tr', null, h('td', null, time(one.time)), h('td', { title: one.uuid }, nameOf(one.uuid, one.hostName)), h('td', null, changeText(one))),
  );
  return h('table', null, h('thead', null, head), h('tbody', null, rows));
}

/** @param {NodeChange} change */
function changeText({ lifeCycle, silentFor }) {
  if (lifeCycle === 'NodeJoin') return [h('span', { class: 'node-state running' }, '● joined')];
  const before = silentFor !== null && h('span', { class: 'soft' }, ` ${silence(silentFor)} after its last heartbeat`);
  return [h('span', { class: 'node-state left' }, '✕ left'), before];
}

function aloneText() {
  return h(
    'div',
    { class: 'empty' },
    h('h2', null, 'This node is alone'),
    h('p', null, 'It has its database to itself. Nodes that share a MariaDB (', h('code', { class: 'whole' }, 'serve --database mariadb://…'), ') show here with their heartbeats, and who joins and leaves.'),
  );
}
