/**
 * Throw LabError for an option that there is not: it would be ignored, and the test would run without it.
 * @param {object} given
 * @param {readonly string[]} known
 */
export function checkNames(given: object, known: readonly string[]): void;
