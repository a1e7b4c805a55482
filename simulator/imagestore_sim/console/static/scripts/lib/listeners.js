// A list of listeners: what changes tells them, and they can leave.

/** @template T */
export class Listeners {
  /** @type {Set<(value: T) => void>} */
  #all = new Set();

  /**
   * Call `listener` from now on; return what ends it.
   * @param {(value: T) => void} listener
   * @returns {() => void}
   */
  add(listener) {
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  }

  /** Tell all of them. @param {T} value */
  tell(value) {
    for (const listener of [...this.#all]) listener(value);
  }
}
