/** @typedef {import('./connection.js').Connection} Connection */
/** @typedef {import('./units.js').Duration} Duration */
/**
 * @typedef {object} ClockReading
 * @property {number} time seconds since the epoch
 * @property {number} elapsed seconds since the lab began
 * @property {boolean} paused
 * @property {number | null} speed null: it jumps to what is due
 * @property {boolean} settled whether nothing was under way any more
 */

/** The lab's clock. Each call returns what it reads afterwards. */
export class Clock {
  #connection;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#connection = connection;
  }

  /** @returns {Promise<ClockReading>} */
  now() {
    return this.#connection.lab('GET', '/clock');
  }

  /** @returns {Promise<ClockReading>} */
  pause() {
    return this.#connection.lab('PUT', '/clock', { paused: true });
  }

  /** @returns {Promise<ClockReading>} */
  resume() {
    return this.#connection.lab('PUT', '/clock', { paused: false });
  }

  /**
   * Let time pass at once, with all that falls due in it; at most 31 days.
   * @param {Duration} duration
   * @returns {Promise<ClockReading>}
   */
  step(duration) {
    return this.#connection.lab('POST', '/clock/step', { seconds: duration });
  }

  /**
   * Go on to a later time.
   * @param {Date | string} time a string has an offset: `2024-01-01T08:00:00Z`
   * @returns {Promise<ClockReading>}
   */
  set(time) {
    return this.#connection.lab('PUT', '/clock', { time: time instanceof Date ? time.toISOString() : time });
  }

  /**
   * @param {number} factor of the machine's speed
   * @returns {Promise<ClockReading>}
   */
  speed(factor) {
    return this.#connection.lab('PUT', '/clock', { speed: factor });
  }
}
