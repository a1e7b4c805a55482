// The management nodes that share the store, as the one that answers sees them. Who joins and leaves is said as it happens.

import { lab } from './api.js';
import { onEvents } from './events.js';
import { hostAndPort, plural, shortUuid } from './format.js';
import { Problem } from './http.js';
import { Listeners } from './listeners.js';
import { onChange, state } from './state.js';
import { toast } from './toast.js';

/** @typedef {import('./types.js').LabEvent} LabEvent */
/** @typedef {import('./types.js').ManagementNode} ManagementNode */
/** @typedef {import('./types.js').NodeChange} NodeChange */
/** @typedef {import('./types.js').Nodes} Nodes */

const POLL_MS = 2000;
const WATCHED_MS = 1000;
const SETTLE_MS = 100; // an event comes before the node that sends it has followed it
const ANSWER_MS = 4000; // a node that stands still takes a request, and never answers
const ANSWERS = 8;
const LEFT_SECONDS = 3600; // for which a node that has left is told of
const LATE_BEATS = 2;
const LIFECYCLE = '/managementnode/lifecycle';

export const cluster = {
  /** @type {Nodes | null} null: nothing is known, as of a node that shares its store with no other */
  known: null,
  /** The machine's time, in ms, of the last answer. */
  answered: 0,
  /** @type {string[]} who gave the latest answers, the last one first: behind a proxy that may be several */
  answers: [],
  /** @type {Problem | null} why the last question had no answer */
  problem: null,
};

/** @type {Listeners<void>} */
const listeners = new Listeners();
/** @type {Map<string, {host: string, port: number | null}>} by uuid: all that this page has heard of */
const addresses = new Map();
/** Events that are said after the next answer, which knows the addresses of nodes that have joined. @type {LabEvent[]} */
const unsaid = [];
let watchers = 0;
let timer = 0;
let following = false;
let asking = false;

/** Hear of each answer, and of each that does not come; return what ends it. @param {() => void} listener */
export function onNodes(listener) {
  return listeners.add(listener);
}

/** Follow the nodes as soon as the node that answers says that it shares its store. */
export function followNodes() {
  onChange((change) => {
    if (!change.node || following || !state.about?.sharesStore) return;
    following = true;
    onEvents(({ events, afresh }) => {
      const changes = events.filter((one) => one.path === LIFECYCLE);
      unsaid.push(...changes);
      if (afresh || changes.length > 0) plan(SETTLE_MS);
    });
    document.addEventListener('visibilitychange', () => document.hidden || plan(0));
    void ask();
  });
}

/** Ask more often while someone looks; return what ends that. */
export function watchNodes() {
  watchers += 1;
  if (following) plan(0);
  return () => {
    watchers -= 1;
  };
}

async function ask() {
  if (asking) return plan(SETTLE_MS);
  asking = true;
  try {
    const found = /** @type {Nodes} */ (await lab('GET', '/nodes', undefined, { signal: AbortSignal.timeout(ANSWER_MS) }));
    for (const { uuid, hostName, port } of found.nodes) addresses.set(uuid, { host: hostName, port });
    cluster.known = found;
    cluster.answered = performance.now();
    const here = new Set(found.nodes.map((one) => one.uuid));
    cluster.answers = [found.answeredBy, ...cluster.answers.filter((one) => here.has(one))].slice(0, ANSWERS);
    cluster.problem = null;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    cluster.problem = error;
  } finally {
    asking = false;
    plan(watchers > 0 ? WATCHED_MS : POLL_MS);
  }
  for (const one of unsaid.splice(0)) say(one.resourceUuid, one.content);
  listeners.tell();
}

/** @param {number} pause */
function plan(pause) {
  clearTimeout(timer);
  timer = globalThis.setTimeout(() => (document.hidden ? plan(POLL_MS) : void ask()), pause);
}

/** Say who has joined or left. @param {string} uuid @param {Record<string, any>} content */
function say(uuid, content) {
  const name = nameOf(uuid, content['inventory']?.hostName ?? '');
  if (content['lifeCycle'] === 'NodeLeft') toast('bad', `Management node ${name} has left`);
  else toast('good', `Management node ${name} has joined`);
}

/** Return how people call a node: by its host, with the port where several have the same. @param {string} uuid @param {string} [host] */
export function nameOf(uuid, host = '') {
  const known = addresses.get(uuid);
  const name = known?.host ?? host;
  const isOnly = [...addresses].every(([other, one]) => other === uuid || one.host !== name);
  if (isOnly && name !== '') return name;
  return known?.port ? hostAndPort(name, known.port) : `${name} (${shortUuid(uuid)})`.trim();
}

/**
 * Return the nodes that have left in the last hour and not come back. Those that no member has been there with are left
 * out: a node that is stopped, and started at another address, has not lost one.
 * @returns {NodeChange[]}
 */
export function leftNodes() {
  const { known } = cluster;
  if (known === null) return [];
  const latest = new Map(known.changes.toReversed().map((one) => [one.uuid, one]));
  const here = new Set(known.nodes.map((one) => one.uuid));
  const isRecent = (/** @type {NodeChange} */ one) => known.time - one.time < LEFT_SECONDS;
  const isMissed = (/** @type {NodeChange} */ one) => known.nodes.some(({ uuid }) => wasThere(known.changes, uuid, one.id));
  return [...latest.values()].filter((one) => one.lifeCycle === 'NodeLeft' && !here.has(one.uuid) && isRecent(one) && isMissed(one));
}

/** Return whether a member was one as an event happened. @param {NodeChange[]} changes  the latest first @param {string} uuid @param {number} event */
function wasThere(changes, uuid, event) {
  const own = changes.filter((one) => one.uuid === uuid);
  const before = own.find((one) => one.id < event);
  return before === undefined ? own.length === 0 : before.lifeCycle === 'NodeJoin'; // without any, it joined before them all
}

/** Return whether the heart of a member stands still. @param {ManagementNode} node */
export function isSilent(node) {
  const every = cluster.known?.beatsEvery ?? null;
  return every !== null && node.state === 'RUNNING' && node.silentFor > LATE_BEATS * every;
}

/** Return the uuids of the nodes that answer this page: several if they change and change back, as behind a proxy. */
export function answerers() {
  const { answers } = cluster;
  const changes = answers.filter((one, at) => at > 0 && one !== answers[at - 1]).length;
  return [...new Set(changes > 1 ? answers : answers.slice(0, 1))];
}

/** Return how many of the latest answers a node gave. @param {string} uuid */
export function answersOf(uuid) {
  return cluster.answers.filter((one) => one === uuid).length;
}

/** Return the port of a node, null if this page has not heard of it. @param {string} uuid */
export function portOf(uuid) {
  return addresses.get(uuid)?.port ?? null;
}

/** Return whether other nodes share the store now, or did a while ago. */
export function hasSeveral() {
  return (cluster.known?.nodes.length ?? 0) + leftNodes().length > 1;
}

/** Return who answers this page, in words; empty as long as nothing is known. */
export function answererText() {
  const [first, ...others] = answerers();
  if (first === undefined) return '';
  return others.length > 0 ? `${plural(others.length + 1, 'node')} answer by turns` : `${nameOf(first)} answers`;
}
