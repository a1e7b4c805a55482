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
     * Change its disk until the lab is reset; what is undefined stays. It is no fault: `heal` does not undo it, as it does
     * for the fault `resize`.
     * @param {Size} [total]
     * @param {Size} [used] or a share: `'55%'`
     * @returns {Promise<HostFacts>}
     */
    resize(total?: Size, used?: Size): Promise<HostFacts>;
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
     * of its disk, in bytes; null, here and below, while it does not answer
     */
    size: number | null;
    /**
     * in bytes
     */
    used: number | null;
    /**
     * in bytes
     */
    available: number | null;
    readOnly: boolean | null;
    faults: {
        id: string;
        kind: string;
    }[];
};
import { HostFault } from './faults.js';
