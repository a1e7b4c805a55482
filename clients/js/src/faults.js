/** @typedef {import('./connection.js').Connection} Connection */

/** A fault on a host. */
export class HostFault {
  #connection;

  /**
   * @param {Connection} connection
   * @param {string} host
   * @param {string} id
   */
  constructor(connection, host, id) {
    this.#connection = connection;
    this.host = host;
    this.id = id;
  }

  /** End this fault; others on the host stay. @returns {Promise<void>} */
  async heal() {
    await this.#connection.lab('DELETE', `/hosts/${encodeURIComponent(this.host)}/faults/${this.id}`);
  }
}

/** A fault of the management plane. */
export class NodeFault {
  #connection;

  /**
   * @param {Connection} connection
   * @param {string} id
   */
  constructor(connection, id) {
    this.#connection = connection;
    this.id = id;
  }

  /** @returns {Promise<number>} how many requests it has met, also after it was healed */
  async hits() {
    return (await this.#connection.lab('GET', `/node/faults/${this.id}`)).hits;
  }

  /** End this fault. @returns {Promise<void>} */
  async heal() {
    await this.#connection.lab('DELETE', `/node/faults/${this.id}`);
  }
}
