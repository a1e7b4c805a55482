/** What the lab refused, or could not do. Its message says why, with what the lab wrote if it has ended. */
export class LabError extends Error {
    /**
     * @param {string} message
     * @param {number} [status] the HTTP status of the lab's answer, if there was one
     */
    constructor(message: string, status?: number);
    status: number | undefined;
}
