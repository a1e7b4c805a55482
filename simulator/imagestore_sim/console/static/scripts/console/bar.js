// The bar: what the node is, and what is done to all of it.

import { h } from '../lib/dom.js';
import { loginMenu } from '../lib/login.js';
import { themeButton } from '../lib/theme.js';

/** Fill the bar. @param {HTMLElement} bar */
export function mountBar(bar) {
  bar.append(h('div', { class: 'bar-end row' }, themeButton(), loginMenu()));
}
