// A dialog over the page. The browser keeps the focus in it, and Escape closes it.

import { h, newId } from './dom.js';

/** @typedef {import('./dom.js').Child} Child */

/**
 * Open a dialog with a title; return it and what closes it. `onClose` is called once it is closed.
 * @param {string} title
 * @param {Child[]} children
 * @param {{onClose?: () => void, wide?: boolean}} [options]
 */
export function openDialog(title, children, { onClose, wide = false } = {}) {
  const id = newId('dialog');
  const close = () => element.close();
  const element = h(
    'dialog',
    { class: ['dialog', wide && 'wide'], 'aria-labelledby': id },
    h('header', null, h('h2', { id }, title), h('button', { class: 'plain', 'aria-label': 'Close', onclick: close }, '✕')),
    h('div', { class: 'dialog-body' }, children),
  );
  element.addEventListener('click', (event) => event.target === element && close());
  element.addEventListener('close', () => {
    element.remove();
    onClose?.();
  });
  document.body.append(element);
  element.showModal();
  return { element, close };
}

/**
 * Ask before something that cannot be undone; return whether the answer is yes.
 * @param {string} title
 * @param {Child} text
 * @param {string} yes  what the button says, a verb
 * @returns {Promise<boolean>}
 */
export function confirm(title, text, yes) {
  return new Promise((resolve) => {
    let answer = false;
    const decide = (/** @type {boolean} */ value) => () => {
      answer = value;
      dialog.close();
    };
    const buttons = h(
      'div',
      { class: 'buttons' },
      h('button', { onclick: decide(false), autofocus: true }, 'Cancel'),
      h('button', { class: 'danger', onclick: decide(true) }, yes),
    );
    const dialog = openDialog(title, [h('p', null, text), buttons], { onClose: () => resolve(answer) });
  });
}
