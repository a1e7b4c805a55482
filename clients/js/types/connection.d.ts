/** Calls /lab/v1 and ZStack's API. It uses node:http, whose timers are not those that a test replaces. */
export class Connection {
    /**
     * @param {string} url
     * @param {string} [token] of `imagestore-sim lab --lab-token`
     * @param {() => Promise<string>} [ending] how the lab has ended; empty if it has not
     */
    constructor(url: string, token?: string, ending?: () => Promise<string>);
    ending: () => Promise<string>;
    url: string;
    /** @type {Record<string, string>} */
    tokenHeaders: Record<string, string>;
    agent: http.Agent;
    /**
     * Call /lab/v1 and return the JSON of the answer, or its text. Throw LabError for a status of 400 and more.
     * @param {string} method
     * @param {string} path below /lab/v1
     * @param {unknown} [body] sent as JSON; a string as it is
     * @returns {Promise<any>}
     */
    lab(method: string, path: string, body?: unknown): Promise<any>;
    /**
     * @param {string} method
     * @param {string} path
     * @param {unknown} [body]
     * @returns {Promise<any>}
     */
    call(method: string, path: string, body?: unknown): Promise<any>;
    close(): void;
    #private;
}
import * as http from 'node:http';
