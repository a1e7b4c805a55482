import * as http from 'node:http';
import { LabError } from './errors.js';

const LONGEST_ANSWER = 120_000; // milliseconds; a step over a month of many hosts takes a while

/** Calls /lab/v1 and ZStack's API. It uses node:http, whose timers are not those that a test replaces. */
export class Connection {
  /**
   * @param {string} url
   * @param {string} [token] of `imagestore-sim lab --lab-token`
   * @param {() => Promise<string>} [ending] how the lab has ended; empty if it has not
   */
  constructor(url, token, ending = async () => '') {
    this.ending = ending;
    this.url = url.replace(/\/+$/, '');
    /** @type {Record<string, string>} */
    this.tokenHeaders = token ? { 'X-Lab-Token': token } : {};
    this.agent = new http.Agent({ keepAlive: true });
  }

  /**
   * Call /lab/v1 and return the JSON of the answer, or its text. Throw LabError for a status of 400 and more.
   * @param {string} method
   * @param {string} path below /lab/v1
   * @param {unknown} [body] sent as JSON; a string as it is
   * @returns {Promise<any>}
   */
  async lab(method, path, body) {
    return this.call(method, `/lab/v1${path}`, body);
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>}
   */
  async call(method, path, body) {
    const sent = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const { status, text, type } = await this.#exchange(method, path, sent).catch(async (error) => {
      const why = (await this.ending()) || error.message || error.name;
      throw new LabError(`${method} ${this.url}${path}: ${why}`);
    });
    if (status >= 400) throw new LabError(`${method} ${path}: ${reason(text) || `HTTP ${status}`}`, status);
    return type.includes('json') ? JSON.parse(text) : text;
  }

  close() {
    this.agent.destroy();
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {string} [sent]
   * @returns {Promise<{status: number, text: string, type: string}>}
   */
  #exchange(method, path, sent) {
    const headers = { ...this.tokenHeaders, 'Content-Length': Buffer.byteLength(sent ?? '') };
    return new Promise((resolve, reject) => {
      const request = http.request(`${this.url}${path}`, { method, headers, agent: this.agent, timeout: LONGEST_ANSWER });
      request.on('timeout', () => request.destroy(new Error(`no answer within ${LONGEST_ANSWER / 1_000} s`)));
      request.on('error', reject);
      request.on('response', async (response) => {
        try {
          const text = (await response.setEncoding('utf8').toArray()).join('');
          resolve({ status: response.statusCode ?? 0, text, type: response.headers['content-type'] ?? '' });
        } catch (error) {
          reject(error);
        }
      });
      request.end(sent);
    });
  }
}

/** @param {string} text the body of an error @returns {string} its sentence */
function reason(text) {
  try {
    const { error } = JSON.parse(text);
    return typeof error === 'string' ? error : `${error.code}: ${error.details ?? error.description}`;
  } catch {
    return text.slice(0, 500); // no JSON: the text is the sentence
  }
}
