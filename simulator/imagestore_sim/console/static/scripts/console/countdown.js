// Texts that count down by the lab's clock: one timer moves them all while they are on the page.

import { h, setText } from '../lib/dom.js';
import { duration } from '../lib/format.js';
import { labTime } from '../lib/state.js';

const TICK_MS = 500;

/** @type {Map<HTMLElement, number>} */
const running = new Map();
let timer = 0;

/**
 * Return a text such as `1m 20s left` that counts down to a moment.
 * @param {number} until  seconds since the epoch, by the lab's clock
 */
export function countdown(until) {
  const element = h('span', { class: 'countdown', role: 'timer', 'aria-live': 'off' }, left(until));
  running.set(element, until);
  if (timer === 0) timer = globalThis.setInterval(tick, TICK_MS);
  return element;
}

/** @param {number} until */
function left(until) {
  const seconds = Math.round(until - labTime());
  return seconds > 0 ? `${duration(seconds)} left` : 'heals now';
}

function tick() {
  for (const [element, until] of running) {
    if (element.isConnected) setText(element, left(until));
    else running.delete(element);
  }
  if (running.size > 0) return;
  clearInterval(timer);
  timer = 0;
}
