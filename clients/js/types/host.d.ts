/** @typedef {import('./connection.js').Connection} Connection */
/** @typedef {import('./units.js').Size} Size */
/**
 * @typedef {object} HostFacts
 * @property {string} name
 * @property {boolean} listening
 * @property {string | null} address where its sshd listens
 * @property {number} size of its disk, in bytes
 * @property {number} used in bytes
 * @property {number} available in bytes
 * @property {boolean} readOnly
 * @property {{id: string, kind: string}[]} faults
 */
/** A simulated ImageStore host. */
export class Host {
    /**
     * @param {Connection} connection
     * @param {string} name
     */
    constructor(connection: Connection, name: string);
    name: string;
    /** @returns {Promise<HostFacts>} what it is now */
    facts(): Promise<HostFacts>;
    /**
     * Put a fault on the host, such as `break('blackhole', {for: '1m'})`. `GET /lab/v1/faults` has all kinds.
     * @param {string} kind
     * @param {Record<string, unknown>} [parameters]
     * @returns {Promise<HostFault>}
     */
    break(kind: string, parameters?: Record<string, unknown>): Promise<HostFault>;
    /** End all its faults. @returns {Promise<void>} */
    heal(): Promise<void>;
    /** Shut it down: nothing answers at its address. @returns {Promise<void>} */
    stop(): Promise<void>;
    /** @returns {Promise<void>} */
    start(): Promise<void>;
    /**
     * Change its disk for good. (The fault `resize` does so for a while.)
     * @param {Size} total
     * @param {Size} [used] or a share: `'55%'`
     * @returns {Promise<HostFacts>}
     */
    resize(total: Size, used?: Size): Promise<HostFacts>;
    #private;
}
export type Connection = import("./connection.js").Connection;
export type Size = import("./units.js").Size;
export type HostFacts = {
    name: string;
    listening: boolean;
    /**
     * where its sshd listens
     */
    address: string | null;
    /**
     * of its disk, in bytes
     */
    size: number;
    /**
     * in bytes
     */
    used: number;
    /**
     * in bytes
     */
    available: number;
    readOnly: boolean;
    faults: {
        id: string;
        kind: string;
    }[];
};
import { HostFault } from './faults.js';
