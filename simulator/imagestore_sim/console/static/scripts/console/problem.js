// What is shown in place of a view that cannot be shown.

import { h, replace } from '../lib/dom.js';

/** Say in a part of the page why it cannot be shown, and log it. @param {Element} parent @param {unknown} error */
export function showProblem(parent, error) {
  console.error(error);
  const again = h('button', { onclick: () => location.reload() }, 'Load the page again');
  replace(parent, h('div', { class: 'empty' }, h('h2', null, 'This view cannot be shown'), h('p', null, String(error)), again));
}
