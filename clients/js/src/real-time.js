// Timers of the machine, taken before a test replaces those of its globals.
const { clearTimeout: clear, setImmediate: immediate, setTimeout: later } = globalThis;
const now = performance.now.bind(performance);

/** @returns {number} milliseconds of the machine, from some point on */
export const realNow = () => now();

/**
 * @param {number} delay in milliseconds
 * @returns {Promise<void>}
 */
export const realSleep = (delay) => new Promise((resolve) => void later(resolve, delay));

/**
 * Call `work` after `delay` milliseconds, unless the process has ended by then.
 * @param {number} delay
 * @param {() => void} work
 */
export const realLater = (delay, work) => void later(work, delay).unref();

/** Let the event loop go round once: what has arrived is handled. @returns {Promise<void>} */
export const realTurn = () => new Promise((resolve) => void immediate(resolve));

/**
 * Return what `work` comes to. Throw `late()` after `delay` milliseconds.
 * @template T
 * @param {Promise<T>} work
 * @param {number} delay
 * @param {() => Error} late
 * @returns {Promise<T>}
 */
export async function within(work, delay, late) {
  /** @type {ReturnType<typeof later> | undefined} */
  let timer;
  const end = new Promise((_, reject) => (timer = later(() => reject(late()), delay)));
  try {
    return /** @type {T} */ (await Promise.race([work, end]));
  } finally {
    clear(timer);
  }
}
