/** A running `imagestore-sim lab`. It ends with the test process, however that ends. */
export class LabCommand {
    /**
     * Start the command, and wait for its line `ready URL`. Throw LabError.
     * @param {string[]} args
     * @param {string} [token] which is not for the list of processes
     * @returns {Promise<LabCommand>}
     */
    static start(args: string[], token?: string): Promise<LabCommand>;
    /**
     * Start a container by the command line of Docker, on a free port of 127.0.0.1. Throw LabError.
     * @param {string} image
     * @param {string[]} args
     * @param {string} [token]
     * @returns {Promise<LabCommand>}
     */
    static startImage(image: string, args: string[], token?: string): Promise<LabCommand>;
    /**
     * @param {Program} program
     * @param {string} url
     */
    constructor(program: Program, url: string);
    url: string;
    /** @returns {Promise<string>} how it has ended, with the end of its standard error; empty if it has not */
    ending(): Promise<string>;
    /** Stop it, and wait for its end. @returns {Promise<void>} */
    stop(): Promise<void>;
    #private;
}
/** A lab's command under its keeper. */
declare class Program {
    /**
     * @param {string[]} line
     * @param {string | undefined} token
     */
    constructor(line: string[], token: string | undefined);
    /** @type {Promise<string>} its URL; never, if it ends before */
    ready: Promise<string>;
    /** @type {Promise<number>} its exit status, once what it wrote has been read */
    ended: Promise<number>;
    /** Let the test process end while the lab runs, which ends the lab. */
    unref(): void;
    /** Have the keeper stop the lab. */
    end(): void;
    /** @param {string} what has happened @returns {string} with the end of standard error */
    told(what: string): string;
    #private;
}
export {};
