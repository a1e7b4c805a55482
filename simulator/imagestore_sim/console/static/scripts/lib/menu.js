// A button that opens a list of actions. Arrow keys move in it, Escape closes it.

import { h, newId } from './dom.js';

/** @typedef {import('./dom.js').Child} Child */

/**
 * @typedef {object} Item
 * @property {string} label
 * @property {() => void} [action]
 * @property {string} [href]  a link instead of an action
 * @property {boolean} [danger]
 * @property {string} [disabled]  why it cannot be used now
 */

/**
 * Return a button with a menu. `items` is called each time that it opens.
 * @param {Child} label
 * @param {() => Item[]} items
 * @param {{name?: string, class?: string}} [options]  `name` is read out where the label is only a sign
 */
export function menuButton(label, items, options = {}) {
  const id = newId('menu');
  const list = h('div', { class: 'menu', id, role: 'menu', hidden: true, onkeydown: key });
  const button = h(
    'button',
    { class: options.class ?? '', type: 'button', 'aria-haspopup': 'menu', 'aria-expanded': 'false', 'aria-controls': id, onclick: toggle, 'aria-label': options.name },
    label,
  );
  const whole = h('div', { class: 'menu-holder', onfocusout: left }, button, list);

  function toggle() {
    if (list.hidden) open();
    else close();
  }

  function open() {
    list.replaceChildren(...items().map((item) => entry(item, close)));
    list.hidden = false;
    button.setAttribute('aria-expanded', 'true');
    focus(0);
  }

  function close() {
    list.hidden = true;
    button.setAttribute('aria-expanded', 'false');
  }

  /** @param {number} index */
  function focus(index) {
    const entries = /** @type {HTMLElement[]} */ ([...list.children]);
    entries[(index + entries.length) % entries.length]?.focus();
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    const at = [...list.children].indexOf(/** @type {Element} */ (document.activeElement));
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    if (event.key in moves) focus(moves[/** @type {keyof moves} */ (event.key)]);
    else if (event.key === 'Escape') {
      close();
      button.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {FocusEvent} event */
  function left(event) {
    if (!whole.contains(/** @type {Node | null} */ (event.relatedTarget))) close();
  }

  return whole;
}

/** @param {Item} item @param {() => void} close */
function entry(item, close) {
  const attributes = { role: 'menuitem', tabindex: '-1', class: item.danger ? 'danger' : '', title: item.disabled };
  const act = () => {
    close();
    item.action?.();
  };
  if (item.href !== undefined) return h('a', { ...attributes, href: item.href, onclick: close }, item.label);
  if (item.disabled !== undefined) return h('button', { ...attributes, 'aria-disabled': 'true' }, item.label);
  return h('button', { ...attributes, onclick: act }, item.label);
}
