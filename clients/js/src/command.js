import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LabError } from './errors.js';
import { realLater, within } from './real-time.js';

const READY_WITHIN = 120_000; // milliseconds
const CONTAINER_READY_WITHIN = 120_000; // an engine may have to fetch the image
const STOPPED_WITHIN = 8_000;
const ENDED_WITHIN = 1_000; // after a call that failed, the end of the lab may show
const LINES_KEPT = 20;
const PORT = '8080';
const DOCKER = 'docker';
const TOKEN = 'IMAGESTORE_SIM_LAB_TOKEN';
const OPTIONS = 'IMAGESTORE_SIM_'; // variables of the command's options: the test chooses those of its lab
const OF_SIGNAL = 128; // a shell adds it to the number of the signal that ended a program
const SIGNALS = 64;
const SILENT = ', and wrote nothing to its standard error';
const INSTALL =
  'install it (pip install, with the folder of its repository), name it by IMAGESTORE_SIM_COMMAND, or a running lab ' +
  'by IMAGESTORE_LAB_URL';
const INSTALL_DOCKER = 'it starts images';
const KEEPER = fileURLToPath(new URL('keeper.js', import.meta.url));

/** A running `imagestore-sim lab`. It ends with the test process, however that ends. */
export class LabCommand {
  #program;
  #stopped = false;

  /**
   * @param {Program} program
   * @param {string} url
   */
  constructor(program, url) {
    this.#program = program;
    this.url = url;
  }

  /**
   * Start the command, and wait for its line `ready URL`. Throw LabError.
   * @param {string[]} args
   * @param {string} [token] which is not for the list of processes
   * @returns {Promise<LabCommand>}
   */
  static start(args, token) {
    const command = process.env.IMAGESTORE_SIM_COMMAND || 'imagestore-sim';
    return run([command, 'lab', '--port', '0', ...args], token, READY_WITHIN);
  }

  /**
   * Start a container by the command line of Docker, on a free port of 127.0.0.1. Throw LabError.
   * @param {string} image
   * @param {string[]} args
   * @param {string} [token]
   * @returns {Promise<LabCommand>}
   */
  static async startImage(image, args, token) {
    const name = `imagestore-lab-${randomUUID()}`;
    const docker = [DOCKER, 'run', '--rm', '--name', name, '--publish', `127.0.0.1::${PORT}`, '--env', TOKEN];
    const inside = ['lab', '--host', '0.0.0.0', '--port', PORT, ...args];
    const command = await run([...docker, image, ...inside], token, CONTAINER_READY_WITHIN);
    try {
      const { stdout } = await promisify(execFile)(DOCKER, ['port', name, `${PORT}/tcp`]);
      command.url = `http://${stdout.split('\n')[0]}`;
      return command;
    } catch (error) {
      await command.stop();
      throw new LabError(/** @type {Error} */ (error).message);
    }
  }

  /** @returns {Promise<string>} how it has ended, with the end of its standard error; empty if it has not */
  async ending() {
    if (this.#stopped) return 'the lab was stopped';
    const status = await within(this.#program.ended, ENDED_WITHIN, () => new LabError('')).catch(() => null);
    return status === null ? '' : this.#program.told(`the lab has ended with ${statusText(status)}`);
  }

  /** Stop it, and wait for its end. @returns {Promise<void>} */
  async stop() {
    this.#stopped = true;
    this.#program.end();
    await within(this.#program.ended, STOPPED_WITHIN, () => new LabError('the lab did not stop'));
  }
}

/** A lab's command under its keeper. */
class Program {
  /** @type {string[]} */
  #errors = [];
  #child;

  /**
   * @param {string[]} line
   * @param {string | undefined} token
   */
  constructor(line, token) {
    // A group of its own: Ctrl-C in a terminal reaches the tests, and the end of the tests reaches the lab.
    this.#child = spawn(process.execPath, [KEEPER, ...line], { detached: true, env: environment(token) });
    this.#child.stdin.on('error', () => {}); // the keeper has ended; `ended` says so
    createInterface(this.#child.stderr).on('line', (text) => {
      this.#errors.push(text);
      if (this.#errors.length > LINES_KEPT) this.#errors.shift();
    });
    /** @type {Promise<string>} its URL; never, if it ends before */
    this.ready = new Promise((resolve) => {
      createInterface(this.#child.stdout).on('line', (text) => text.startsWith('ready http') && resolve(text.slice(6).trim()));
    });
    /** @type {Promise<number>} its exit status, once what it wrote has been read */
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code) => resolve(code ?? OF_SIGNAL));
      // A program that the lab has started may hold its output open.
      this.#child.on('exit', (code) => realLater(ENDED_WITHIN, () => resolve(code ?? OF_SIGNAL)));
    });
    this.ended.catch(() => {}); // it is awaited where it is needed
  }

  /** Let the test process end while the lab runs, which ends the lab. */
  unref() {
    const { stdin, stdout, stderr } = this.#child;
    for (const one of [this.#child, stdin, stdout, stderr]) /** @type {any} */ (one).unref();
  }

  /** Have the keeper stop the lab. */
  end() {
    this.#child.ref();
    this.#child.stdin.end();
  }

  /** @param {string} what has happened @returns {string} with the end of standard error */
  told(what) {
    return this.#errors.length ? [what, ...this.#errors].join('\n') : `${what}${SILENT}`;
  }
}

/**
 * @param {string[]} line
 * @param {string | undefined} token
 * @param {number} readyWithin milliseconds
 * @returns {Promise<LabCommand>}
 */
async function run(line, token, readyWithin) {
  const [command = ''] = line;
  if (!isThere(command)) {
    throw new LabError(`${command} is not there: ${command === DOCKER ? INSTALL_DOCKER : INSTALL}`);
  }
  const program = new Program(line, token);
  const early = program.ended.then((status) => {
    throw new LabError(`the lab ended with ${statusText(status)} before it was ready`);
  });
  early.catch(() => {}); // once the lab was ready, the one who calls it is told
  const late = () => new LabError(`the lab was not ready within ${readyWithin / 1_000} s`);
  try {
    const url = await within(Promise.race([program.ready, early]), readyWithin, late);
    program.unref();
    return new LabCommand(program, url);
  } catch (error) {
    program.end();
    throw new LabError(`${line.slice(0, 2).join(' ')}: ${program.told(/** @type {Error} */ (error).message)}`);
  }
}

/** @param {string} command a path, or a name on the PATH */
function isThere(command) {
  const folders = command.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false; // not there, or no program
    }
  });
}

/** @param {string | undefined} token which is not for the list of processes */
function environment(token) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith(OPTIONS));
  return { ...Object.fromEntries(kept), ...(token && { [TOKEN]: token }) };
}

/** @param {number} status @returns {string} such as `status 137 (signal 9)` */
const statusText = (status) =>
  status > OF_SIGNAL && status <= OF_SIGNAL + SIGNALS ? `status ${status} (signal ${status - OF_SIGNAL})` : `status ${status}`;
