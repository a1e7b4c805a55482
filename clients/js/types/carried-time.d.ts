/**
 * The time of a test, carried to the lab: each request has the header X-Lab-Time, and the lab's clock catches up
 * with it before it answers.
 */
export class CarriedTime {
    /**
     * @param {string} url of the lab: requests to other places get no header
     * @param {number} base seconds since the lab began, at which the test's time begins
     * @param {() => number} now milliseconds of the test's time
     * @param {Record<string, string>} token
     */
    constructor(url: string, base: number, now: () => number, token: Record<string, string>);
    /** @returns {Record<string, string>} the headers for a request that is sent now, for any HTTP client */
    headers: () => Record<string, string>;
    /**
     * The global `fetch`, with the headers on requests to the lab.
     * @type {typeof globalThis.fetch}
     */
    fetch: typeof globalThis.fetch;
    /**
     * Let time pass in the test and the lab: `tick` moves the fake timers by `every`, over and over, and after each
     * the requests that `fetch` has begun meanwhile are waited for.
     * @param {Duration} duration
     * @param {(milliseconds: number) => unknown} tick `vi.advanceTimersByTimeAsync` or `(ms) => mock.timers.tick(ms)`
     * @param {Duration} [every] the shortest time that the client waits for; by default a second
     * @returns {Promise<void>}
     */
    pass(duration: Duration, tick: (milliseconds: number) => unknown, every?: Duration): Promise<void>;
    #private;
}
export type Duration = import("./units.js").Duration;
