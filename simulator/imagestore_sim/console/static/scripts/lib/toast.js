// Short messages at the edge of the page, which screen readers read out.

import { h } from './dom.js';

/** @typedef {import('./dom.js').Child} Child */

const SECONDS = { good: 5, info: 6, bad: 15 };
const SIGNS = { good: '✓', info: 'i', bad: '✕' };
const MOST = 4;

/**
 * Show a message for a while; `more` comes after the text, such as a button.
 * @param {'good' | 'info' | 'bad'} kind
 * @param {string} text
 * @param {Child} [more]
 */
export function toast(kind, text, more) {
  const area = document.getElementById('toasts');
  if (area === null) return;
  const end = () => element.remove();
  const element = h(
    'div',
    { class: ['toast', kind], role: kind === 'bad' ? 'alert' : 'status' },
    h('span', { class: 'sign', 'aria-hidden': 'true' }, SIGNS[kind]),
    h('span', { class: 'text' }, text),
    more,
    h('button', { class: 'plain', 'aria-label': 'Dismiss', onclick: end }, '✕'),
  );
  while (area.childElementCount >= MOST) area.firstElementChild?.remove();
  area.append(element);
  const wait = () => setTimeout(() => (element.matches(':hover, :focus-within') ? wait() : end()), SECONDS[kind] * 1000);
  wait();
}
