/** @typedef {import('./connection.js').Connection} Connection */
/** @typedef {import('./units.js').Duration} Duration */
/**
 * @typedef {object} ClockReading
 * @property {number} time seconds since the epoch
 * @property {number} elapsed seconds since the lab began
 * @property {boolean} paused
 * @property {number | null} speed null: it jumps to what is due
 * @property {boolean} settled whether nothing was under way any more
 */
/** The lab's clock. Each call returns what it reads afterwards. */
export class Clock {
    /** @param {Connection} connection */
    constructor(connection: Connection);
    /** @returns {Promise<ClockReading>} */
    now(): Promise<ClockReading>;
    /** @returns {Promise<ClockReading>} */
    pause(): Promise<ClockReading>;
    /** @returns {Promise<ClockReading>} */
    resume(): Promise<ClockReading>;
    /**
     * Let time pass at once, with all that falls due in it; at most 31 days.
     * @param {Duration} duration
     * @returns {Promise<ClockReading>}
     */
    step(duration: Duration): Promise<ClockReading>;
    /**
     * Go on to a later time.
     * @param {Date | string} time a string has an offset: `2024-01-01T08:00:00Z`
     * @returns {Promise<ClockReading>}
     */
    set(time: Date | string): Promise<ClockReading>;
    /**
     * @param {number} factor of the machine's speed
     * @returns {Promise<ClockReading>}
     */
    speed(factor: number): Promise<ClockReading>;
    #private;
}
export type Connection = import("./connection.js").Connection;
export type Duration = import("./units.js").Duration;
export type ClockReading = {
    /**
     * seconds since the epoch
     */
    time: number;
    /**
     * seconds since the lab began
     */
    elapsed: number;
    paused: boolean;
    /**
     * null: it jumps to what is due
     */
    speed: number | null;
    /**
     * whether nothing was under way any more
     */
    settled: boolean;
};
