// What the node is now: its storages, hosts, clock and faults. Queries fill it, events keep it, polls refresh the rest.

import { lab, zstack } from './api.js';
import { onEvents, startEvents } from './events.js';
import { exchange, onCall, Problem } from './http.js';
import { Listeners } from './listeners.js';
import { currentLogin, onLogin, renewLogin, useClock } from './session.js';

/** @typedef {import('./types.js').BackupStorage} BackupStorage */
/** @typedef {import('./types.js').Host} Host */
/** @typedef {import('./types.js').About} About */
/** @typedef {import('./types.js').Clock} Clock */
/** @typedef {import('./types.js').LabEvent} LabEvent */

/**
 * @typedef {object} Probe  the latest that is known of a probe of a storage
 * @property {number} time  seconds since the epoch
 * @property {boolean} succeeded
 * @property {string | null} reason  why it failed, in one word; null: it did not
 * @property {string | null} message
 * @property {string | null} method  how the capacity was measured
 * @property {Record<string, number>} phases  milliseconds, by name
 */

/**
 * @typedef {object} Change  what has changed; listeners look at what they show
 * @property {boolean} all  anything may be another: storages were read again
 * @property {Set<string>} storages  uuids of those that changed, came or went
 * @property {boolean} membership  whether storages came or went
 * @property {boolean} hosts
 * @property {Set<string>} probes  uuids of storages that were probed
 * @property {boolean} node  about, clock, readiness or faults of the management plane
 */

const PAGE = 2000;
const HOSTS_MS = 2000;
const NODE_MS = 2000;
const STORAGES_MS = 15_000; // what no event tells, such as another name
const PROBES_MS = 1000;
const ANSWER_MS = 8000; // a node that stands still takes a request, and never answers
const READ_MS = 60_000; // the same, where much is read
const MOST_AT_ONCE = 200;
const REFUSALS = [401, 403, 421]; // statuses that stay until something else is done
const LONGEST_PAUSE_MS = 120_000;
const LOAD_SHARE = 40; // a poll that takes a while is repeated after that many times as long

let probedUntil = 0;
/** @type {Promise<void> | null} */
let reading = null;
let again = false;
/** @type {Listeners<Change>} */
const listeners = new Listeners();
let following = false;
let streaming = false;

export const state = {
  /** @type {Map<string, BackupStorage>} */
  storages: new Map(),
  /** @type {Map<string, Probe>} by the uuid of a storage */
  probes: new Map(),
  /** @type {Map<string, Host>} */
  hosts: new Map(),
  /** @type {any[]} faults that are set on the management plane */
  nodeFaults: [],
  /** @type {About | null} */
  about: null,
  /** @type {Clock | null} */
  clock: null,
  /** The machine's time, in ms, at which the clock was asked. */
  clockAsked: 0,
  /** @type {{ready: boolean, waitingFor: string[], problems: string[]} | null} null: it does not answer */
  readiness: null,
  /** @type {Problem | null} why the lab's API cannot be read, such as a token that is missing */
  refused: null,
  /** @type {Problem | null} why storages cannot be read */
  storagesProblem: null,
  storagesLoaded: false,
};

/** Hear of changes; return what ends it. @param {(change: Change) => void} listener */
export function onChange(listener) {
  return listeners.add(listener);
}

/** Return the time of the lab's clock now, in seconds since the epoch. */
export function labTime() {
  if (state.clock === null) return Date.now() / 1000;
  const passed = state.clock.paused ? 0 : ((performance.now() - state.clockAsked) / 1000) * (state.clock.speed ?? 0);
  return state.clock.time + passed;
}

/** Read what the node is, and follow it from now on. A second call begins again, as with another token. */
export async function startState() {
  follow();
  streaming = false;
  await refreshNode();
  await Promise.all([refreshStorages(), refreshHosts()]);
}

/** Return whether the page may query ZStack's API by itself: a fault of the management plane is for other clients. */
export function mayAsk() {
  return state.nodeFaults.length === 0;
}

/** Read all storages. While they are read, one more call reads them once more. */
export async function refreshStorages() {
  if (currentLogin() === null) return;
  if (reading !== null) {
    again = true;
    return reading;
  }
  reading = readStorages().finally(() => {
    reading = null;
  });
  await reading;
  if (!again) return;
  again = false;
  await refreshStorages();
}

async function readStorages() {
  try {
    const { result, late } = await duringEvents(allStorages);
    state.storages = new Map(result.map((one) => [one.uuid, one]));
    late.forEach(takeEvent);
    state.storagesProblem = null;
    state.storagesLoaded = true;
  } catch (error) {
    state.storagesProblem = asProblem(error);
  }
  tell({ all: true, membership: true });
}

/** Read all hosts; an action does it after each change of one. */
export async function refreshHosts() {
  if (!state.about?.hasHosts || state.refused !== null) return;
  try {
    const answer = await lab('GET', '/hosts', undefined, { signal: AbortSignal.timeout(READ_MS) });
    state.hosts = new Map(answer.hosts.map((/** @type {Host} */ host) => [host.name, host]));
  } catch (error) {
    asProblem(error);
    return;
  }
  tell({ hosts: true });
}

/** Follow the latest probe of every storage while someone looks; return what ends it. */
export function followProbes() {
  let ended = false;
  const next = async () => {
    if (ended) return;
    const begun = performance.now();
    const failed = !document.hidden && state.about !== null && state.refused === null && !(await refreshProbes());
    setTimeout(next, failed ? PROBES_MS : pauseAfter(begun, PROBES_MS)); // a node of a cluster that is away is no load
  };
  void next();
  return () => {
    ended = true;
  };
}

/** Return whether they could be read. */
async function refreshProbes() {
  try {
    const { at, probes, silentNodes } = await lab('GET', `/probes${probedUntil > 0 ? `?since=${probedUntil}` : ''}`, undefined, { signal: AbortSignal.timeout(READ_MS) });
    if (silentNodes.length === 0) probedUntil = at; // else some of this time are still to come
    if (probes.length === 0) return true;
    for (const { storageUuid, ...probe } of probes) state.probes.set(storageUuid, probe);
    tell({ probes: new Set(probes.map((/** @type {any} */ one) => one.storageUuid)) });
    return true;
  } catch (error) {
    asProblem(error);
    return false;
  }
}

/** Read what the node is and allows, its clock, and its faults; storages too, if only a fault kept them from us. */
export async function refreshNode() {
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    state.about = await lab('GET', '/about', undefined, { signal });
    state.refused = null;
    if (following && !streaming) {
      streaming = true;
      startEvents();
    }
    const adjustable = state.about?.clockAdjustable ?? false;
    const [clock, faults, readiness] = await Promise.all([
      adjustable ? lab('GET', '/clock', undefined, { signal }) : null,
      lab('GET', '/node/faults', undefined, { signal }),
      readReadiness(signal),
    ]);
    state.nodeFaults = faults.faults;
    state.readiness = readiness;
    setClock(clock);
    if (state.storagesProblem !== null && state.nodeFaults.length === 0) void refreshStorages();
  } catch (error) {
    const problem = asProblem(error);
    if (problem.status === 0) state.readiness = null;
    else state.refused = problem;
    tell({ node: true });
  }
}

/** Take the state of the clock from an answer of `/lab/v1/clock`. @param {Clock | null} clock */
export function setClock(clock) {
  state.clock = clock;
  state.clockAsked = performance.now();
  tell({ node: true });
}

/** Read whether the node is ready. Throw Problem for an answer that is none of a node, but of a proxy. @param {AbortSignal} signal */
async function readReadiness(signal) {
  const { response, body } = await exchange({ method: 'GET', path: '/readyz', api: 'node' }, { signal });
  if (typeof body?.ready !== 'boolean') throw new Problem(response.status, `HTTP status ${response.status}`);
  return body;
}

/** @returns {Promise<BackupStorage[]>} */
async function allStorages() {
  /** @type {BackupStorage[]} */
  const found = [];
  for (;;) {
    const query = { limit: PAGE, start: found.length, sort: '+uuid' };
    const { inventories } = await zstack('GET', '/backup-storage', { query, signal: AbortSignal.timeout(READ_MS) });
    found.push(...inventories);
    if (inventories.length < PAGE) return found;
  }
}

/**
 * Return the result of a read, and the events that came while it ran: what was read may be from before them.
 * @template T
 * @param {() => Promise<T>} read
 */
async function duringEvents(read) {
  /** @type {LabEvent[]} */
  const late = [];
  const end = onEvents(({ events, reset }) => {
    if (reset) late.length = 0;
    late.push(...events);
  });
  try {
    return { result: await read(), late };
  } finally {
    end();
  }
}

/** Read some storages, and forget those that are gone. @param {Set<string>} uuids */
async function refreshSome(uuids) {
  if (currentLogin() === null) return;
  const list = [...uuids];
  const query = { q: `uuid?=${list.join(',')}` };
  try {
    const { result, late } = await duringEvents(() => zstack('GET', '/backup-storage', { query, signal: AbortSignal.timeout(READ_MS) }));
    for (const uuid of list) state.storages.delete(uuid);
    for (const one of result.inventories) state.storages.set(one.uuid, one);
    late.forEach(takeEvent);
  } catch (error) {
    state.storagesProblem = asProblem(error);
  }
  tell({ storages: uuids, membership: true });
}

/** Read everything again, as after a reset. */
export async function refreshAll() {
  await renewLogin().catch(asProblem);
  await Promise.all([refreshStorages(), refreshHosts(), refreshNode()]);
}

function forgetProbes() {
  state.probes.clear();
  probedUntil = 0;
}

/** @param {import('./events.js').Batch} batch */
function takeEvents({ events, afresh, reset }) {
  if (afresh) {
    if (reset) forgetProbes();
    void refreshAll();
  }
  const probed = new Set(/** @type {string[]} */ ([]));
  const changed = new Set(/** @type {string[]} */ ([]));
  const unknown = new Set(/** @type {string[]} */ ([]));
  let replaced = false; // by a snapshot: no event tells which came and went
  for (const event of events) {
    if (!event.path.startsWith('/backup-storage/')) continue;
    if (event.path.endsWith('/added') || event.path.endsWith('/deleted')) unknown.add(event.resourceUuid);
    else if (takeEvent(event)) changed.add(event.resourceUuid);
    else if (state.storagesLoaded && !unknown.has(event.resourceUuid)) replaced = true;
    if (event.path.endsWith('/probe/failure')) probed.add(event.resourceUuid);
  }
  if (!afresh && (replaced || unknown.size > MOST_AT_ONCE)) void refreshStorages();
  else if (!afresh && unknown.size > 0) void refreshSome(unknown);
  if (changed.size > 0 || probed.size > 0) tell({ storages: changed, probes: probed });
}

/** Change a storage as an event says; return whether it is known. @param {LabEvent} event */
function takeEvent({ path, resourceUuid, content, time }) {
  const storage = state.storages.get(resourceUuid);
  if (path === '/backup-storage/probe/failure') {
    state.probes.set(resourceUuid, {
      time,
      succeeded: false,
      reason: content.reason,
      message: content.message,
      method: null,
      phases: content.phases ?? {},
    });
  }
  if (storage === undefined) return false;
  if (path === '/backup-storage/status/change') storage.status = content.newStatus;
  else if (path === '/backup-storage/capacity/change') {
    storage.totalCapacity = content.totalCapacity;
    storage.availableCapacity = content.availableCapacity;
  }
  return true;
}

/** @param {Partial<Change>} change */
function tell(change) {
  listeners.tell({ all: false, storages: new Set(), probes: new Set(), membership: false, hosts: false, node: false, ...change });
}

/** Return a failed call; anything else is a mistake of this program. @param {unknown} error */
function asProblem(error) {
  if (error instanceof Problem) return error;
  if (error instanceof TypeError) return new Problem(0, 'the node does not answer; has it stopped?');
  throw error;
}

/** Return how long to wait after a poll that began then: longer if it took a while. @param {number} begun @param {number} least @param {number} [most] */
function pauseAfter(begun, least, most = LONGEST_PAUSE_MS) {
  return Math.min(most, Math.max(least, LOAD_SHARE * (performance.now() - begun)));
}

/** Repeat a poll while the page is seen. @param {() => Promise<void>} poll @param {number} pause @param {number} [longest] */
function repeat(poll, pause, longest) {
  const next = async () => {
    const begun = performance.now();
    try {
      if (!document.hidden) await poll();
    } finally {
      setTimeout(next, pauseAfter(begun, pause, longest));
    }
  };
  setTimeout(next, pause);
}

useClock(() => new Date(labTime() * 1000));

/** Hear of events and calls, and poll the rest. A page that never calls `startState` sends nothing by itself. */
function follow() {
  if (following) return;
  following = true;
  onEvents(takeEvents);
  onLogin((login) => login !== null && void refreshStorages());
  onCall(({ method, path }) => {
    if (method === 'GET') return;
    if (path.startsWith('/zstack/v1/backup-storage') && state.storages.size <= MOST_AT_ONCE) void refreshStorages();
    if (/^\/lab\/v1\/(reset|snapshot)/.test(path)) void refreshAll();
    if (path.startsWith('/lab/v1/hosts') || path.startsWith('/lab/v1/heal')) void refreshHosts();
    if (path.startsWith('/lab/v1/node') || path.startsWith('/lab/v1/heal') || path.startsWith('/lab/v1/clock')) void refreshNode();
  });
  repeat(refreshHosts, HOSTS_MS);
  repeat(async () => {
    if (state.refused === null || !REFUSALS.includes(state.refused.status)) await refreshNode();
  }, NODE_MS, 2 * NODE_MS);
  repeat(async () => {
    if (mayAsk()) await refreshStorages();
  }, STORAGES_MS);
}
