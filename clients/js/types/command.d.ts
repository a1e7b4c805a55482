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
     * @param {import('node:child_process').ChildProcessWithoutNullStreams} child
     * @param {string} url
     */
    constructor(child: import("node:child_process").ChildProcessWithoutNullStreams, url: string);
    url: string;
    /** Stop it, and wait for its end. @returns {Promise<void>} */
    stop(): Promise<void>;
    #private;
}
