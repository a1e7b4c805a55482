import { LabError } from './errors.js';

const FARTHEST = 3; // letters of a name, among which one may be wrong for it to be taken for a slip

/**
 * Throw LabError for an option that there is not: it would be ignored, and the test would run without it.
 * @param {object} given
 * @param {readonly string[]} known
 */
export function checkNames(given, known) {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`;
    throw new LabError(`${name}: there is no such option; ${hint}`);
  }
}

/**
 * Return the known name that was probably meant, if any is near.
 * @param {string} name
 * @param {readonly string[]} known
 * @returns {string | undefined}
 */
function nearest(name, known) {
  const [best] = known.map((one) => ({ one, far: distance(name, one) })).sort((a, b) => a.far - b.far);
  return best && best.far * FARTHEST <= Math.max(name.length, best.one.length) ? best.one : undefined;
}

/**
 * Return how many letters have to be added, removed or replaced to make one name of another.
 * @param {string} from
 * @param {string} to
 * @returns {number}
 */
function distance(from, to) {
  let above = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [row, letter] of [...from].entries()) {
    const now = [row + 1];
    for (const [at, other] of [...to].entries()) {
      const replaced = /** @type {number} */ (above[at]) + (letter === other ? 0 : 1);
      now.push(Math.min(replaced, /** @type {number} */ (above[at + 1]) + 1, /** @type {number} */ (now[at]) + 1));
    }
    above = now;
  }
  return /** @type {number} */ (above[to.length]);
}
