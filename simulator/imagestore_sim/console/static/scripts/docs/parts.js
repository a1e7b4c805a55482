// Parts that the explorer's pages are made of.

import { copyButton } from '../lib/copy.js';
import { h, newId } from '../lib/dom.js';

/** @typedef {import('../lib/dom.js').Child} Child */
/** @typedef {import('./operations.js').Operation} Operation */

/** Return the method of an operation as a badge. @param {string} method */
export function methodBadge(method) {
  return h('span', { class: ['method', method.toLowerCase()] }, method);
}

/** Return a section with a heading. @param {string} title @param {...Child} children */
export function section(title, ...children) {
  const id = newId('section');
  return h('section', { class: 'part', 'aria-labelledby': id }, h('h2', { id }, title), children);
}

/** Return a text in which what stands between backticks is code. @param {string} text */
export function prose(text) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? h('code', null, part) : part));
}

/**
 * Return a block of code with a button that copies it.
 * @param {HTMLElement} block
 * @param {() => string} text
 */
export function codeHolder(block, text) {
  return h('div', { class: 'code-holder' }, copyButton(text), block);
}

/** Return a block of code. @param {string} text @param {string} label  for screen readers */
export function codeBlock(text, label) {
  return h('pre', { class: 'code', tabindex: '0', role: 'region', 'aria-label': label }, text);
}

/** Return a text to copy, with its button. @param {string} text @param {string} what */
export function copyable(text, what) {
  const button = copyButton(() => text);
  button.setAttribute('aria-label', `Copy the ${what}`);
  return h('div', { class: 'copyable' }, h('code', null, text), button);
}

/**
 * Return texts of which one is shown, chosen by tabs: arrow keys go from one to the next.
 * @param {string} label
 * @param {{name: string, panel: () => HTMLElement}[]} tabs
 * @param {{chosen?: number, onChoose?: (index: number) => void}} [options]
 */
export function tabbed(label, tabs, { chosen = 0, onChoose } = {}) {
  const id = newId('tabs');
  const panel = h('div', { role: 'tabpanel', id: `${id}-panel`, class: 'tab-panel' });
  const buttons = tabs.map((tab, index) =>
    h(
      'button',
      {
        role: 'tab',
        id: `${id}-${index}`,
        'aria-controls': `${id}-panel`,
        type: 'button',
        onclick: () => choose(index),
      },
      tab.name,
    ),
  );
  const list = h('div', { role: 'tablist', 'aria-label': label, class: 'tabs', onkeydown: move }, buttons);
  let current = chosen;
  show();
  return { element: h('div', null, list, panel), refresh: show };

  /** @param {number} index */
  function choose(index) {
    current = index;
    show();
    onChoose?.(index);
  }

  function show() {
    buttons.forEach((button, index) => {
      button.setAttribute('aria-selected', String(index === current));
      button.tabIndex = index === current ? 0 : -1;
    });
    panel.setAttribute('aria-labelledby', `${id}-${current}`);
    panel.replaceChildren(tabs[current]?.panel() ?? '');
  }

  /** @param {KeyboardEvent} event */
  function move(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    choose((current + by + tabs.length) % tabs.length);
    buttons[current]?.focus();
  }
}
