import { HostFault } from './faults.js';

/** @typedef {import('./connection.js').Connection} Connection */
/** @typedef {import('./units.js').Size} Size */
/**
 * @typedef {object} HostFacts
 * @property {string} name
 * @property {boolean} listening
 * @property {string | null} address where its sshd listens
 * @property {number | null} size of its disk, in bytes; null, here and below, while it does not answer
 * @property {number | null} used in bytes
 * @property {number | null} available in bytes
 * @property {boolean | null} readOnly
 * @property {{id: string, kind: string}[]} faults
 */

/** A simulated ImageStore host. */
export class Host {
  #connection;

  /**
   * @param {Connection} connection
   * @param {string} name
   */
  constructor(connection, name) {
    this.#connection = connection;
    this.name = name;
  }

  /** @returns {Promise<HostFacts>} what it is now */
  facts() {
    return this.#call('GET', '');
  }

  /**
   * Put a fault on the host, such as `break('blackhole', {for: '1m'})`. `GET /lab/v1/faults` has all kinds.
   * @param {string} kind
   * @param {Record<string, unknown>} [parameters]
   * @returns {Promise<HostFault>}
   */
  async break(kind, parameters = {}) {
    const { id } = await this.#call('POST', '/faults', { kind, ...parameters });
    return new HostFault(this.#connection, this.name, id);
  }

  /** End all its faults. @returns {Promise<void>} */
  async heal() {
    await this.#call('POST', '/heal', {});
  }

  /** Shut it down: nothing answers at its address. @returns {Promise<void>} */
  async stop() {
    await this.#call('POST', '/stop');
  }

  /** @returns {Promise<void>} */
  async start() {
    await this.#call('POST', '/start');
  }

  /**
   * Change its disk until the lab is reset; what is undefined stays. It is no fault: `heal` does not undo it, as it does
   * for the fault `resize`.
   * @param {Size} [total]
   * @param {Size} [used] or a share: `'55%'`
   * @returns {Promise<HostFacts>}
   */
  resize(total, used) {
    return this.#call('PATCH', '', { size: total, used }); // JSON leaves out what is undefined
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   */
  #call(method, path, body) {
    return this.#connection.lab(method, `/hosts/${encodeURIComponent(this.name)}${path}`, body);
  }
}
