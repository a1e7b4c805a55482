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
     * @param {import('node:child_process').ChildProcessWithoutNullStreams} child
     * @param {string} url
     */
    constructor(child: import("node:child_process").ChildProcessWithoutNullStreams, url: string);
    url: string;
    /** Stop it, and wait for its end. @returns {Promise<void>} */
    stop(): Promise<void>;
    #private;
}
