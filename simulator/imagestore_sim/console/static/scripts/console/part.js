// A titled part of a page that is shown again only when what it shows has changed.

import { h, newId, replace } from '../lib/dom.js';

/** @typedef {import('../lib/dom.js').Child} Child */

const FOCUSABLE = 'button, a[href], input, select, textarea, summary, [tabindex]';

/**
 * Return a part with a title; `show` puts content into it, unless `key` is that of the last time. What is open in it
 * stays open, and the focus stays where it is.
 * @param {string} title
 * @param {{class?: string, end?: Child}} [options]  `end` stands after the title
 */
export function part(title, options = {}) {
  const id = newId('part');
  const body = h('div', { class: 'part-body' });
  const head = h('div', { class: 'part-head row' }, h('h3', { id, tabindex: '-1' }, title), options.end);
  const element = h('section', { class: ['part', options.class], 'aria-labelledby': id }, head, body);
  /** @type {string | null} */
  let last = null;

  /** @param {unknown} key @param {() => Child} build */
  function show(key, build) {
    const text = JSON.stringify(key);
    if (text === last) return;
    last = text;
    const open = [...body.querySelectorAll('details')].map((one) => one.open);
    const focus = body.contains(document.activeElement) ? focusable(body).indexOf(/** @type {HTMLElement} */ (document.activeElement)) : -1;
    replace(body, build());
    for (const [index, one] of body.querySelectorAll('details').entries()) one.open = open[index] ?? one.open;
    if (focus >= 0) (focusable(body)[Math.min(focus, focusable(body).length - 1)] ?? element.querySelector('h3'))?.focus();
  }

  return { element, body, show };
}

/** @param {Element} parent @returns {HTMLElement[]} */
function focusable(parent) {
  return /** @type {HTMLElement[]} */ ([...parent.querySelectorAll(FOCUSABLE)]);
}
