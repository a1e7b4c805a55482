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

  /** @returns {Promise<boolean>} whether it has not been healed */
  async active() {
    const { faults } = await this.#connection.lab('GET', this.#path);
    return faults.some((/** @type {{id: string}} */ { id }) => id === this.id);
  }

  /** End this fault, unless that has happened; others on the host stay. @returns {Promise<void>} */
  heal() {
    return heal(this.#connection, `${this.#path}/faults/${this.id}`);
  }

  get #path() {
    return `/hosts/${encodeURIComponent(this.host)}`;
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

  /** @returns {Promise<boolean>} whether it has not been healed */
  async active() {
    const { faults } = await this.#connection.lab('GET', '/node/faults');
    return faults.some((/** @type {{id: string}} */ { id }) => id === this.id);
  }

  /** End this fault, unless that has happened. @returns {Promise<void>} */
  heal() {
    return heal(this.#connection, `/node/faults/${this.id}`);
  }
}

/**
 * @param {Connection} connection
 * @param {string} path of a fault
 */
async function heal(connection, path) {
  await connection.lab('DELETE', path).catch((error) => {
    if (error.status !== 404) throw error;
  });
}
