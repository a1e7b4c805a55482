// A status is a colour and a sign, so that it is told apart without colours.

import { h } from './dom.js';

/** @type {Record<string, string>} */
export const SIGNS = { Connected: '●', Connecting: '▲', Disconnected: '✕' };

/** Return a status with its sign. @param {string} status */
export function statusSign(status) {
  const sign = h('span', { class: 'sign', 'aria-hidden': 'true' }, SIGNS[status] ?? '?');
  return h('span', { class: ['status', status] }, sign, ' ', status);
}
