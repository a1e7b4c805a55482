// The bar: what the node is, and what is done to all of it.

import { perform } from '../lib/action.js';
import { lab } from '../lib/api.js';
import { confirm } from '../lib/dialog.js';
import { h, replace, set, setText } from '../lib/dom.js';
import { onStream, streamState } from '../lib/events.js';
import { count, plural } from '../lib/format.js';
import { loginMenu } from '../lib/login.js';
import { answererText, cluster, hasSeveral, isSilent, leftNodes, nameOf, onNodes } from '../lib/nodes.js';
import { link } from '../lib/router.js';
import { onChange, state } from '../lib/state.js';
import { SIGNS } from '../lib/status.js';
import { themeButton } from '../lib/theme.js';
import { mountClock } from './clock.js';

const STATUSES = /** @type {const} */ (['Connected', 'Connecting', 'Disconnected']);
const PAUSE_MS = 250; // between two counts of all storages

/** Fill the bar. @param {HTMLElement} bar */
export function mountBar(bar) {
  const node = h('span', { class: 'node row' });
  const clock = h('div', { class: 'clock row', role: 'group', 'aria-label': 'Clock of the lab', hidden: true });
  bar.append(node, nodes(), clock, counts(), actions(), h('div', { class: 'bar-end row' }, stream(), themeButton(), loginMenu()));
  mountClock(clock);
  onChange((change) => change.node && showNode(node));
}

/** @param {HTMLElement} node */
function showNode(node) {
  const { about, readiness } = state;
  if (about === null) return;
  const [kind, sign, text] = readinessOf(readiness);
  const chip = h('span', { class: ['chip', kind] }, h('span', { 'aria-hidden': 'true' }, sign), text);
  const key = `${about.version} ${text}`;
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  const version = h('span', { class: 'soft', title: `Answers as ZStack ${about.zstack}; seed ${about.seed}` }, about.version);
  replace(node, version, chip);
}

/** @param {typeof state.readiness} readiness @returns {[string, string, string]} */
function readinessOf(readiness) {
  if (readiness === null) return ['bad', '✕', 'No answer'];
  if (readiness.ready) return ['good', '●', 'Ready'];
  if (readiness.waitingFor.length > 0) return ['wait', '▲', `Starting: ${readiness.waitingFor.join(', ')}`];
  return ['bad', '✕', readiness.problems.join('; ')];
}

/** How many nodes share the store, who of them answers, and whether one is in trouble; nothing of a node alone. */
function nodes() {
  const [sign, text, trouble, who] = [h('span', { 'aria-hidden': 'true' }), h('b'), h('span', { class: 'chip' }), h('span', { class: 'soft who' })];
  const element = h('a', { class: 'count nodes-count', href: link(['nodes']), hidden: true }, sign, text, trouble, who);
  onNodes(() => {
    const { known } = cluster;
    element.hidden = known === null || !hasSeveral();
    if (known === null) return;
    const [gone, silent] = [leftNodes(), known.nodes.filter(isSilent)];
    setText(sign, '⬡');
    setText(text, plural(known.nodes.length, 'node'));
    trouble.hidden = gone.length + silent.length === 0;
    set(trouble, { class: ['chip', gone.length > 0 ? 'bad' : 'wait'] });
    setText(trouble, gone.length > 0 ? `✕ ${count(gone.length)} left` : `▲ ${count(silent.length)} silent`);
    setText(who, answererText());
    const words = [...silent.map((one) => `${nameOf(one.uuid)} is silent`), ...gone.map((one) => `${nameOf(one.uuid, one.hostName)} has left`)];
    set(element, { title: [answererText(), ...words].join('; ') });
  });
  return element;
}

/** The numbers of storages by status, of hosts and of faults. */
function counts() {
  const byStatus = STATUSES.map((status) => {
    const number = h('b', null, '0');
    const sign = h('span', { class: ['status', status], 'aria-hidden': 'true' }, SIGNS[status]);
    const words = h('span', { class: 'outside' }, ` ${status}`);
    const href = link(['storages'], { q: `status=${status}` });
    return { status, number, element: h('a', { class: 'count', href, title: `${status}: show only these` }, sign, number, words) };
  });
  const rest = h('span', { class: 'soft' });
  const whole = h('div', { class: 'counts row', role: 'group', 'aria-label': 'Storages by status' }, byStatus.map((one) => one.element), rest);
  let waiting = false;
  const show = () => {
    waiting = false;
    /** @type {Record<string, number>} */
    const found = {};
    for (const { status } of state.storages.values()) found[status] = (found[status] ?? 0) + 1;
    for (const { status, number, element } of byStatus) {
      setText(number, state.storagesLoaded ? count(found[status] ?? 0) : '?');
      element.classList.toggle('none', found[status] === undefined);
    }
    setText(rest, summary());
  };
  onChange(() => {
    if (waiting) return;
    waiting = true;
    setTimeout(show, PAUSE_MS);
  });
  return whole;
}

function summary() {
  const faults = plural(faultCount(), 'fault');
  return state.about?.hasHosts ? `${plural(state.hosts.size, 'host')}, ${faults}` : state.about === null ? '' : faults;
}

/** Return how many faults are set, on hosts and on the management plane. */
function faultCount() {
  let faults = state.nodeFaults.length;
  for (const host of state.hosts.values()) faults += host.faults.length;
  return faults;
}

/** What changes the whole lab. */
function actions() {
  const heal = h('button', { class: 'small', onclick: healAll, disabled: true }, 'Heal all');
  const reset = h('button', { class: 'small danger', onclick: askReset }, 'Reset …');
  const whole = h('div', { class: 'row', hidden: true }, heal, reset);
  onChange((change) => {
    if (!change.node && !change.hosts) return;
    whole.hidden = !state.about?.mayChange;
    set(heal, { disabled: faultCount() === 0 });
  });
  return whole;
}

async function healAll() {
  await perform('All faults are healed', () => lab('POST', '/heal', {}));
}

async function askReset() {
  const lost = state.about?.hasHosts ? 'Hosts, storages, faults, clock, events and requests' : 'Records, faults, clock, events and requests';
  if (!(await confirm('Reset the lab?', `${lost} go back to what they were at the start. What was added since is gone.`, 'Reset'))) return;
  await perform('The lab is as it was at its start', () => lab('POST', '/reset?wait=true', {}));
}

/** Whether events arrive. */
function stream() {
  const chip = h('span', { class: 'chip stream', role: 'status' });
  const show = () => {
    const now = streamState();
    const live = now === 'live';
    set(chip, { class: ['chip stream', live ? 'good' : 'wait'], title: 'The stream of events that this page follows' });
    replace(chip, h('span', { 'aria-hidden': 'true' }, live ? '●' : '▲'), h('span', { class: 'text' }, live ? 'Live' : now === 'refused' ? 'No events' : 'Reconnecting'));
  };
  onStream(show);
  show();
  return chip;
}
