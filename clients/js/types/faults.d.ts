/** @typedef {import('./connection.js').Connection} Connection */
/** A fault on a host. */
export class HostFault {
    /**
     * @param {Connection} connection
     * @param {string} host
     * @param {string} id
     */
    constructor(connection: Connection, host: string, id: string);
    host: string;
    id: string;
    /** @returns {Promise<boolean>} whether it has not been healed */
    active(): Promise<boolean>;
    /** End this fault, unless that has happened; others on the host stay. @returns {Promise<void>} */
    heal(): Promise<void>;
    #private;
}
/** A fault of the management plane. */
export class NodeFault {
    /**
     * @param {Connection} connection
     * @param {string} id
     */
    constructor(connection: Connection, id: string);
    id: string;
    /** @returns {Promise<number>} how many requests it has met, also after it was healed */
    hits(): Promise<number>;
    /** @returns {Promise<boolean>} whether it has not been healed */
    active(): Promise<boolean>;
    /** End this fault, unless that has happened. @returns {Promise<void>} */
    heal(): Promise<void>;
    #private;
}
export type Connection = import("./connection.js").Connection;
