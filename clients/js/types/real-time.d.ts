/**
 * Return what `work` comes to. Throw `late()` after `delay` milliseconds.
 * @template T
 * @param {Promise<T>} work
 * @param {number} delay
 * @param {() => Error} late
 * @returns {Promise<T>}
 */
export function within<T>(work: Promise<T>, delay: number, late: () => Error): Promise<T>;
export function realNow(): number;
export function realSleep(delay: number): Promise<void>;
export function realLater(delay: number, work: () => void): undefined;
export function realTurn(): Promise<void>;
