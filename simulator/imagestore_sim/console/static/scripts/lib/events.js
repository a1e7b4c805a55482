// The stream of events of the lab, once for the whole page. Events come in batches, one a frame.

import { on, untilSeen } from './dom.js';
import { PAGE, Problem } from './http.js';
import { Listeners } from './listeners.js';
import { labHeaders } from './session.js';

/** @typedef {import('./types.js').LabEvent} LabEvent */

/**
 * @typedef {object} Batch
 * @property {LabEvent[]} events  in their order
 * @property {boolean} afresh  whether something is missing before them (a reset, a gap): read everything again
 * @property {boolean} reset  whether the lab was reset, or its records replaced: events begin at 1 again
 */

/** @typedef {'connecting' | 'live' | 'lost' | 'refused'} StreamState */

const PATH = '/lab/v1/events';
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;
const MOST_WAITING = 20_000;
const HIDDEN_PAUSE = 1000;
const HIDDEN_MS = 30_000; // then another tab may have the connection: a browser opens six to a node, for all its tabs
const SILENT_MS = 40_000; // the node sends something every 15 s: one that stands still, or is cut off, does not

/** @type {Listeners<Batch>} */
const batches = new Listeners();
/** @type {Listeners<StreamState>} */
const states = new Listeners();
/** @type {StreamState} */
let state = 'connecting';
let lastId = 0;
/** @type {LabEvent[]} */
let waiting = [];
let afresh = false;
let reset = false;
let scheduled = false;
/** @type {AbortController | null} */
let running = null;

/** Hear of events from now on; return what ends it. @param {(batch: Batch) => void} listener */
export function onEvents(listener) {
  return batches.add(listener);
}

/** Hear of the state of the stream; return what ends it. @param {(state: StreamState) => void} listener */
export function onStream(listener) {
  return states.add(listener);
}

/** Return whether events arrive. */
export function streamState() {
  return state;
}

/** Follow the stream, and come back to it whenever it is lost. A second call begins it again, as with another token. */
export function startEvents() {
  running?.abort();
  running = new AbortController();
  void follow(running.signal);
}

/** @param {AbortSignal} signal */
async function follow(signal) {
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    const begun = performance.now();
    try {
      await readOnce(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem) return setState('refused');
      if (!(error instanceof TypeError) && !(error instanceof DOMException)) throw error;
    }
    if (document.hidden) await untilSeen();
    setState('lost');
    pause = performance.now() - begun > LONGEST_PAUSE ? FIRST_PAUSE : Math.min(LONGEST_PAUSE, pause * 2);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** @param {AbortSignal} signal */
async function readOnce(signal) {
  const silence = new AbortController();
  let timer = 0;
  const heard = () => {
    clearTimeout(timer);
    timer = globalThis.setTimeout(() => silence.abort(), SILENT_MS);
  };
  let hidden = 0;
  const rest = () => {
    clearTimeout(hidden);
    if (document.hidden) hidden = globalThis.setTimeout(() => silence.abort(), HIDDEN_MS);
  };
  heard();
  rest();
  const end = on(document, 'visibilitychange', rest);
  try {
    await readStream(AbortSignal.any([signal, silence.signal]), heard);
  } finally {
    clearTimeout(timer);
    clearTimeout(hidden);
    end();
  }
}

/** @param {AbortSignal} signal @param {() => void} heard  called when something has come */
async function readStream(signal, heard) {
  const headers = { ...PAGE, ...labHeaders(), ...(lastId > 0 ? { 'Last-Event-ID': String(lastId) } : {}) };
  const response = await fetch(PATH, { headers, signal, cache: 'no-store' });
  if (response.status >= 500) return; // the node is starting, or a proxy has none to pass it on to
  if (!response.ok || response.body === null) throw new Problem(response.status, 'the stream of events is refused');
  if (state !== 'live' && lastId === 0) note({ afresh: true });
  setState('live');
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    heard();
    if (done) return;
    const messages = (rest + value).split('\n\n');
    rest = messages.pop() ?? '';
    for (const message of messages) take(message);
  }
}

/** Take one message of the stream. @param {string} message */
function take(message) {
  let name = 'message';
  let data = '';
  for (const line of message.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice(7);
    else if (line.startsWith('data: ')) data += line.slice(6);
  }
  if (data === '') return;
  if (name === 'message') takeEvent(JSON.parse(data));
  else if (name === 'reset') {
    lastId = 0;
    waiting = [];
    note({ afresh: true, reset: true });
  } else note({ afresh: true });
}

/** @param {LabEvent} event */
function takeEvent(event) {
  lastId = event.id;
  if (waiting.length >= MOST_WAITING) {
    waiting = [];
    afresh = true;
  }
  waiting.push(event);
  schedule();
}

/** @param {{afresh?: boolean, reset?: boolean}} what */
function note(what) {
  afresh ||= what.afresh ?? false;
  reset ||= what.reset ?? false;
  schedule();
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(deliver, HIDDEN_PAUSE);
  else requestAnimationFrame(deliver);
}

function deliver() {
  const batch = { events: waiting, afresh, reset };
  [waiting, afresh, reset, scheduled] = [[], false, false, false];
  batches.tell(batch);
}

/** @param {StreamState} next */
function setState(next) {
  if (state === next) return;
  state = next;
  states.tell(next);
}
