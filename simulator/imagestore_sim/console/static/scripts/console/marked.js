// Texts of the declarations, in which names stand between backticks.

import { h } from '../lib/dom.js';

/** Return a text with what is between backticks as code. @param {string} text @returns {import('../lib/dom.js').Child[]} */
export function marked(text) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? h('code', null, part) : part));
}
