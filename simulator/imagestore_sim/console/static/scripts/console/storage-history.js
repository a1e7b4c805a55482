// Follows the history of one storage: read again when an event tells of it, and every few seconds beside that.

import { lab, Problem } from '../lib/api.js';
import { onEvents } from '../lib/events.js';
import { labTime, onChange } from '../lib/state.js';

/**
 * @typedef {object} Probe  times in seconds since the epoch, phases in milliseconds
 * @property {number} time
 * @property {boolean} succeeded
 * @property {string | null} mode
 * @property {string | null} reason
 * @property {string | null} message
 * @property {string | null} advice
 * @property {string | null} method
 * @property {number | null} total
 * @property {number | null} available
 * @property {number | null} freeInodes
 * @property {boolean | null} readOnly
 * @property {Record<string, number>} phases
 */

/** @typedef {{id: string, kind: string, parameters: Record<string, unknown>, since: number, until: number | null, healsAt: number | null}} FaultWindow */

/**
 * @typedef {object} History
 * @property {string} storageUuid
 * @property {string} name
 * @property {string} type
 * @property {string} hostname
 * @property {string} status
 * @property {boolean} tracked
 * @property {number} at
 * @property {number} since
 * @property {number} until
 * @property {{status: string, since: number, until: number | null, correlation: string | null}[]} statuses
 * @property {{time: number, total: number, available: number}[]} capacities
 * @property {Probe[]} probes
 * @property {FaultWindow[] | null} faults
 * @property {{since: number, until: number | null}[]} stops
 * @property {boolean} complete
 */

/** @typedef {{since: number | null, until: number | null}} Asked  null: as it goes on */

const POLL_MS = 2000;
const SETTLE_MS = 120;
const POINTS = 600;

/**
 * Follow a storage; `asked` says which time is seen, `show` gets its history or why there is none.
 * @param {string} uuid
 * @param {() => Asked} asked
 * @param {(history: History | null, problem: Problem | null) => void} show
 */
export function followHistory(uuid, asked, show) {
  let timer = 0;
  let reading = false;
  let again = false;
  let ended = false;

  async function read() {
    if (reading) {
      again = true;
      return;
    }
    clearTimeout(timer);
    reading = true;
    try {
      const history = await lab('GET', `/storages/${encodeURIComponent(uuid)}/history?${query(asked())}`);
      if (!ended) show(history, null);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!ended) show(null, error);
    } finally {
      reading = false;
    }
    if (!ended) plan(again ? SETTLE_MS : POLL_MS);
    again = false;
  }

  /** @param {number} pause */
  function plan(pause) {
    clearTimeout(timer);
    timer = globalThis.setTimeout(() => (document.hidden ? plan(POLL_MS) : void read()), pause);
  }

  const leaves = [
    onEvents((batch) => (batch.afresh || batch.events.some((one) => one.resourceUuid === uuid)) && plan(SETTLE_MS)),
    onChange((change) => (change.all || change.storages.has(uuid)) && plan(SETTLE_MS)),
  ];
  void read();
  return {
    /** Read it at once, as after an action. */
    read: () => void read(),
    end: () => {
      ended = true;
      clearTimeout(timer);
      for (const leave of leaves) leave();
    },
  };
}

/** @param {Asked} asked */
function query({ since, until }) {
  const query = new URLSearchParams({ points: String(POINTS) });
  if (since !== null) query.set('since', String(Math.max(0, since)));
  if (until !== null) query.set('until', String(Math.max(0, until)));
  return query.toString();
}

/** Return the last so many seconds of the lab's time. @param {number} seconds @returns {Asked} */
export function latest(seconds) {
  return { since: labTime() - seconds, until: null };
}
