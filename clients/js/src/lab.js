import { createHash } from 'node:crypto';
import process from 'node:process';
import { CarriedTime } from './carried-time.js';
import { Clock } from './clock.js';
import { LabCommand } from './command.js';
import { Connection } from './connection.js';
import { LabError } from './errors.js';
import { NodeFault } from './faults.js';
import { Host } from './host.js';
import { checkNames } from './names.js';
import { realSleep } from './real-time.js';
import { assertRequested, find } from './requests.js';
import { milliseconds } from './units.js';

/** @typedef {import('./requests.js').Matcher} Matcher */
/** @typedef {import('./requests.js').RecordedRequest} RecordedRequest */
/** @typedef {import('./requests.js').Times} Times */
/** @typedef {import('./units.js').Duration} Duration */
/**
 * @typedef {object} LabOptions
 * @property {number} [hosts] simulated hosts, imagestore-1 and so on; 3
 * @property {number} [seed] all that is random follows from it
 * @property {'real' | 'paused' | string} [clock] `paused`, or an ISO time: stands still there until the test moves it
 * @property {number} [pingInterval] seconds between pings; 1 in real time, else 60. 300 makes many hours faster
 * @property {string} [zstack] the version of ZStack to answer as: `'4.8'`
 * @property {string} [token] that the lab asks for on /lab/v1; for one that runs already IMAGESTORE_LAB_TOKEN
 * @property {string} [image] run a container of it, by the command line of Docker
 * @property {string[]} [args] further options of `imagestore-sim lab`
 */

const INTERVAL = 1; // seconds between pings while the clock runs with the machine's
const LONGER_INTERVAL = 60; // else, as ZStack has it: hours are quick to step over
const POLL = 5; // milliseconds
const STEP = 5; // seconds; a ping that fails takes longer
const OPTIONS = ['hosts', 'seed', 'clock', 'pingInterval', 'zstack', 'token', 'image', 'args'];
const STATUSES = ['Connecting', 'Connected', 'Disconnected'];

/** A management node with simulated ImageStore hosts. */
export class Lab {
  #command;
  #connection;
  #paused;

  /**
   * Use `Lab.start` or `Lab.connect`.
   * @param {Connection} connection
   * @param {LabCommand | null} command
   * @param {boolean} paused whether a reset leaves its clock paused
   */
  constructor(connection, command, paused) {
    this.#connection = connection;
    this.#command = command;
    this.#paused = paused;
    /** The base of all paths. */
    this.url = connection.url;
    /** The account to log in with: the password as a person types it, and as a client sends it. */
    this.credentials = { accountName: 'admin', password: 'password', sha512: sha512('password') };
    this.clock = new Clock(connection);
  }

  /**
   * Start `imagestore-sim lab` or a container of an image on a free port, or with IMAGESTORE_LAB_URL reset the lab at
   * that URL, and return it once every storage is connected. Throw LabError.
   * @param {LabOptions} [options]
   * @returns {Promise<Lab>}
   */
  static async start(options = {}) {
    checkNames(options, OPTIONS);
    const url = process.env.IMAGESTORE_LAB_URL;
    if (url) return Lab.connect(url, options);
    const { image, token } = options;
    const args = argumentsOf(options);
    const command = await (image ? LabCommand.startImage(image, args, token) : LabCommand.start(args, token));
    return new Lab(new Connection(command.url, token, () => command.ending()), command, isPaused(options));
  }

  /**
   * Reset the lab at a URL, and return it. `stop` leaves it running. Throw LabError.
   * @param {string} url
   * @param {LabOptions} [options] `hosts` has to be what the lab has; of the others `token` and a paused clock count
   * @returns {Promise<Lab>}
   */
  static async connect(url, options = {}) {
    checkNames(options, OPTIONS);
    const token = options.token ?? process.env.IMAGESTORE_LAB_TOKEN;
    const lab = new Lab(new Connection(url, token), null, isPaused(options));
    await lab.reset();
    const { length } = await lab.hosts();
    if (options.hosts !== undefined && options.hosts !== length) {
      throw new LabError(`the lab at ${url} has ${length} hosts, and the test wants ${options.hosts}`);
    }
    return lab;
  }

  /** Stop the lab, if it was started here. @returns {Promise<void>} */
  async stop() {
    this.#connection.close();
    await this.#command?.stop();
  }

  /** @returns {Promise<void>} */
  [Symbol.asyncDispose]() {
    return this.stop();
  }

  /**
   * Log in as clients do, and return the uuid of the session. Throw LabError.
   * @returns {Promise<string>}
   */
  async logIn() {
    const { accountName, sha512: password } = this.credentials;
    const body = { logInByAccount: { accountName, password } };
    return (await this.#connection.call('PUT', '/zstack/v1/accounts/login', body)).inventory.uuid;
  }

  /** @returns {Promise<Host[]>} */
  async hosts() {
    const { hosts } = await this.#connection.lab('GET', '/hosts');
    return hosts.map((/** @type {{name: string}} */ { name }) => this.host(name));
  }

  /**
   * @param {string} name such as imagestore-1
   * @returns {Host}
   */
  host(name) {
    return new Host(this.#connection, name);
  }

  /**
   * Let the management node fail its clients, such as `breakNode('answer_lost', {}, {api: 'Add*', first: 1})`.
   * @param {string} kind
   * @param {Record<string, unknown>} [parameters] also `count` and `for`
   * @param {Record<string, unknown>} [when] the requests that meet it; all of them if left out
   * @returns {Promise<NodeFault>}
   */
  async breakNode(kind, parameters = {}, when) {
    const fault = await this.#connection.lab('POST', '/node/faults', { kind, ...parameters, ...(when && { when }) });
    return new NodeFault(this.#connection, fault.id);
  }

  /** End all faults, of hosts and of the management node. @returns {Promise<void>} */
  async heal() {
    await this.#connection.lab('POST', '/heal', {});
  }

  /**
   * Return once the storage of that name or uuid has that status. A clock that runs is waited for; one that stands
   * still is stepped by 5 s at a time. One that does not exist is waited for, too. Throw LabError after `duration`.
   * @param {string} storage
   * @param {'Connected' | 'Connecting' | 'Disconnected'} status
   * @param {Duration} [duration] of the lab's time
   * @returns {Promise<void>}
   */
  async waitForStatus(storage, status, duration = '2m') {
    if (!STATUSES.includes(status)) throw new LabError(`'${status}' is no status: expected ${STATUSES.join(', ')}`);
    const longest = milliseconds(duration) / 1_000;
    let now = await this.clock.now();
    for (const begin = now.elapsed; ; ) {
      const seen = await this.#statusOf(storage);
      if (seen === status) return;
      const left = longest - (now.elapsed - begin);
      if (left < 0.001) throw new LabError(`${storage} is ${seen}, and was not ${status} within ${longest} s`);
      if (now.paused) now = await this.clock.step(Math.min(left, STEP));
      else now = await realSleep(POLL).then(() => this.clock.now());
    }
  }

  /** @returns {Promise<string>} all records, as a bootstrap file (YAML) */
  snapshot() {
    return this.#connection.lab('GET', '/snapshot');
  }

  /**
   * Replace all records by those of a snapshot or a bootstrap file.
   * @param {string} text
   * @returns {Promise<void>}
   */
  async load(text) {
    await this.#connection.lab('PUT', '/snapshot?wait=true', text);
  }

  /** Make everything what it was at the start. Sessions end; time does not go back. @returns {Promise<void>} */
  async reset() {
    await this.#connection.lab('POST', '/reset?wait=true');
    if (this.#paused) await this.clock.pause();
  }

  /**
   * @param {Matcher} [matcher]
   * @returns {Promise<RecordedRequest[]>} the requests to ZStack's API that match, the oldest first
   */
  requests(matcher = {}) {
    return find(this.#connection, matcher);
  }

  /**
   * Throw an AssertionError, which names the requests that come closest, unless requests came as often as expected.
   * @param {Matcher} matcher
   * @param {Times} [times] at least once by default
   * @returns {Promise<void>}
   */
  assertRequested(matcher, times = {}) {
    return assertRequested(this.#connection, matcher, times);
  }

  /**
   * Pause the lab's clock, and let it follow the time of the test from now on. Call it once fake timers are in place.
   * @param {() => number} [now] milliseconds of the test's time; by default those of `Date`
   * @returns {Promise<CarriedTime>}
   */
  async carryTime(now = () => Date.now()) {
    const { elapsed } = await this.clock.pause();
    return new CarriedTime(this.url, elapsed, now, this.#connection.tokenHeaders);
  }

  /**
   * Ask the lab's API, which no fault of the node meets and the journal of requests does not list.
   * @param {string} storage
   * @returns {Promise<string>}
   */
  async #statusOf(storage) {
    try {
      return (await this.#connection.lab('GET', `/storages/${encodeURIComponent(storage)}`)).status;
    } catch (error) {
      const { status, message } = /** @type {LabError} */ (error);
      if (status === 404 && message.includes(': there is no backup storage ')) return 'not there';
      throw error;
    }
  }
}

/** @param {string} text */
const sha512 = (text) => createHash('sha512').update(text).digest('hex');

/** @param {LabOptions} options */
const isPaused = ({ clock = 'real' }) => clock !== 'real';

/** @param {LabOptions} options @returns {string[]} */
function argumentsOf({ hosts, seed, clock, pingInterval, zstack, args = [] }) {
  const interval = pingInterval ?? (isPaused({ clock }) ? LONGER_INTERVAL : INTERVAL);
  const given = { hosts, seed, clock, 'ping-interval': interval, zstack };
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  return [...named.flatMap(([name, value]) => [`--${name}`, String(value)]), ...args];
}
