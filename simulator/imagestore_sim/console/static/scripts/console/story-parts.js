// What the pages of stories share.

import { h } from '../lib/dom.js';

/**
 * @typedef {object} Story
 * @property {string} name
 * @property {string} title
 * @property {string} description
 * @property {string[]} faults
 * @property {number} hosts
 * @property {number} lasts
 * @property {string | null} obstacle
 */

/**
 * @typedef {object} PlayedStep
 * @property {number} number
 * @property {string} text
 * @property {boolean} expects
 * @property {'waiting' | 'running' | 'done'} state
 * @property {'held' | 'failed' | 'unknown'} verdict
 * @property {number | null} began
 * @property {number | null} ended
 * @property {string} seen
 */

/**
 * @typedef {object} Play
 * @property {string} id
 * @property {string} story
 * @property {'preparing' | 'playing' | 'restoring' | 'ended'} state
 * @property {'aside' | 'kept'} records
 * @property {boolean} stepped
 * @property {boolean} stopped
 * @property {'held' | 'failed' | 'unknown' | null} verdict
 * @property {string} problem
 * @property {number} elapsed
 * @property {number} lasts
 * @property {PlayedStep[]} steps
 * @property {PlayedStep[]} invariants
 * @property {string} picture
 */

const SIGNS = { held: '✓', failed: '✕', unknown: '?' };
const COLOURS = { held: 'good', failed: 'bad', unknown: 'wait' };

/** Return the picture of a story as the documents have it. @param {string} name */
export function pictureOf(name) {
  const source = `/console/stories/${encodeURIComponent(name)}.svg`;
  return h('img', { class: 'story-picture', src: source, alt: '', loading: 'lazy', width: '240', height: '28' });
}

/** @param {string} text @param {string} kind */
export function chip(text, kind) {
  return h('span', { class: ['chip', kind] }, text);
}

/** Return a verdict as sign, word and colour. @param {'held' | 'failed' | 'unknown'} verdict */
export function verdictChip(verdict) {
  return chip(`${SIGNS[verdict]} ${verdict}`, COLOURS[verdict]);
}

/** @param {string} text */
export function firstSentence(text) {
  return /^.*?[.?!](?=\s|$)/s.exec(text)?.[0] ?? text;
}

/** Return seconds of a story as its file has them: `1m30s`. @param {number} seconds */
export function storyTime(seconds) {
  const units = /** @type {const} */ ([[86400, 'd'], [3600, 'h'], [60, 'm']]);
  let [rest, text] = [Math.round(seconds * 10) / 10, ''];
  for (const [size, unit] of units) {
    const whole = Math.floor(rest / size);
    if (whole > 0) text += `${whole}${unit}`;
    rest -= whole * size;
  }
  const left = Number(rest.toFixed(1));
  return text === '' || left > 0 ? `${text}${left}s` : text;
}
