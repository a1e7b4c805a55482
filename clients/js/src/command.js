import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LabError } from './errors.js';
import { within } from './real-time.js';

const READY_WITHIN = 120_000; // milliseconds
const CONTAINER_READY_WITHIN = 120_000; // an engine may have to fetch the image
const STOPPED_WITHIN = 8_000;
const LINES_KEPT = 20;
const PORT = '8080';
const TOKEN = 'IMAGESTORE_SIM_LAB_TOKEN';
const KEEPER = fileURLToPath(new URL('keeper.js', import.meta.url));

/** A running `imagestore-sim lab`. It ends with the test process, however that ends. */
export class LabCommand {
  #child;

  /**
   * @param {import('node:child_process').ChildProcessWithoutNullStreams} child
   * @param {string} url
   */
  constructor(child, url) {
    this.#child = child;
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
    const docker = ['docker', 'run', '--rm', '--name', name, '--publish', `127.0.0.1::${PORT}`, '--env', TOKEN];
    const inside = ['lab', '--host', '0.0.0.0', '--port', PORT, ...args];
    const command = await run([...docker, image, ...inside], token, CONTAINER_READY_WITHIN);
    try {
      const { stdout } = await promisify(execFile)('docker', ['port', name, `${PORT}/tcp`]);
      command.url = `http://${stdout.split('\n')[0]}`;
      return command;
    } catch (error) {
      await command.stop();
      throw new LabError(/** @type {Error} */ (error).message);
    }
  }

  /** Stop it, and wait for its end. @returns {Promise<void>} */
  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.ref();
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    await within(ended, STOPPED_WITHIN, () => new LabError('the lab did not stop'));
  }
}

/**
 * @param {string[]} line
 * @param {string | undefined} token
 * @param {number} readyWithin milliseconds
 * @returns {Promise<LabCommand>}
 */
async function run(line, token, readyWithin) {
  // A group of its own: Ctrl-C in a terminal reaches the tests, and the end of the tests reaches the lab.
  const env = { ...process.env, ...(token && { [TOKEN]: token }) };
  const child = spawn(process.execPath, [KEEPER, ...line], { detached: true, env });
  /** @type {string[]} */
  const errors = [];
  createInterface(child.stderr).on('line', (text) => {
    errors.push(text);
    if (errors.length > LINES_KEPT) errors.shift();
  });
  try {
    const url = await within(ready(child), readyWithin, () => new LabError(`not ready within ${readyWithin / 1_000} s`));
    for (const one of [child, child.stdin, child.stdout, child.stderr]) /** @type {any} */ (one).unref();
    return new LabCommand(child, url);
  } catch (error) {
    child.stdin.end();
    throw new LabError(explained(line[0] ?? '', /** @type {Error} */ (error).message, errors));
  }
}

/** @param {import('node:child_process').ChildProcessWithoutNullStreams} child @returns {Promise<string>} its URL */
function ready(child) {
  return new Promise((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => line.startsWith('ready ') && resolve(line.slice(6).trim()));
    child.on('close', (code) => reject(new LabError(`ended with status ${code}`)));
    child.on('error', reject);
  });
}

/**
 * @param {string} command
 * @param {string} what
 * @param {string[]} lines of standard error
 */
function explained(command, what, lines) {
  const missing = lines.some((line) => line.includes('ENOENT'));
  if (!missing) return [`${command}: ${what}`, ...lines].join('\n');
  return (
    `${command} is not there: install it (pip install, with the folder of its repository), name it by IMAGESTORE_SIM_COMMAND, ` +
    `or a running lab by IMAGESTORE_LAB_URL`
  );
}
