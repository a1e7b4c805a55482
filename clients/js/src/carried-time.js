import { realNow, realSleep, realTurn } from './real-time.js';
import { LabError } from './errors.js';
import { milliseconds } from './units.js';

/** @typedef {import('./units.js').Duration} Duration */

const QUIET_TURNS = 3; // turns of the event loop without a request, after which the client waits for its timers
const LONGEST_WAIT = 60_000; // milliseconds of the machine

/**
 * The time of a test, carried to the lab: each request has the header X-Lab-Time, and the lab's clock catches up
 * with it before it answers.
 */
export class CarriedTime {
  #base;
  #begin;
  #now;
  #token;
  #url;
  #underWay = 0;

  /**
   * @param {string} url of the lab: requests to other places get no header
   * @param {number} base seconds since the lab began, at which the test's time begins
   * @param {() => number} now milliseconds of the test's time
   * @param {Record<string, string>} token
   */
  constructor(url, base, now, token) {
    this.#url = url;
    this.#base = base;
    this.#now = now;
    this.#begin = now();
    this.#token = token;
  }

  /** @returns {Record<string, string>} the headers for a request that is sent now, for any HTTP client */
  headers = () => {
    const elapsed = this.#base + Math.max(0, this.#now() - this.#begin) / 1_000;
    return { 'X-Lab-Time': elapsed.toFixed(6), ...this.#token };
  };

  /**
   * The global `fetch`, with the headers on requests to the lab.
   * @type {typeof globalThis.fetch}
   */
  fetch = async (input, init) => {
    const request = new Request(input, init);
    if (new URL(request.url).origin !== new URL(this.#url).origin) return globalThis.fetch(request);
    for (const [name, value] of Object.entries(this.headers())) request.headers.set(name, value);
    this.#underWay += 1;
    try {
      const response = await globalThis.fetch(request);
      void this.#untilRead(response.clone());
      return response;
    } catch (error) {
      this.#underWay -= 1;
      throw error;
    }
  };

  /**
   * Let time pass in the test and the lab: `tick` moves the fake timers by `every`, over and over, and after each
   * the requests that `fetch` has begun meanwhile are waited for.
   * @param {Duration} duration
   * @param {(milliseconds: number) => unknown} tick `vi.advanceTimersByTimeAsync` or `(ms) => mock.timers.tick(ms)`
   * @param {Duration} [every] the shortest time that the client waits for; by default a second
   * @returns {Promise<void>}
   */
  async pass(duration, tick, every = '1s') {
    const step = milliseconds(every);
    if (!(step > 0)) throw new LabError(`every: ${JSON.stringify(every)} is not more than 0`);
    await this.#settle();
    for (let left = milliseconds(duration); left > 0; left -= step) {
      await tick(Math.min(step, left));
      await this.#settle();
    }
  }

  async #settle() {
    const begin = realNow();
    for (let quiet = 0; quiet < QUIET_TURNS; quiet = this.#underWay ? 0 : quiet + 1) {
      if (realNow() - begin > LONGEST_WAIT) throw new LabError('a request had no answer within 60 s');
      await (this.#underWay ? realSleep(0) : realTurn());
    }
  }

  /** @param {Response} response of which a stream of events is not read to its end */
  async #untilRead(response) {
    try {
      if (response.headers.get('content-type')?.startsWith('text/event-stream')) await response.body?.cancel();
      else await response.arrayBuffer();
    } catch {
      // A body that is cut off fails at the one who reads the response itself.
    } finally {
      this.#underWay -= 1;
    }
  }
}
