// Elements from plain calls. Text is always text: nothing here reads markup.

/** @typedef {string | number | Node | null | undefined | false | readonly ChildList[]} Child */
/** @typedef {any} ChildList  a Child; a type cannot name itself in a list */
/** @typedef {Record<string, unknown>} Attributes */

const SVG = 'http://www.w3.org/2000/svg';
const PROPERTIES = new Set(['value', 'checked', 'disabled', 'selected', 'hidden', 'open', 'indeterminate']);
let lastNumber = 0;

/**
 * Return an element. `onclick` and the like are listeners, `class` is a text or a list, `style` an object of CSS
 * properties, `data` an object; true is an empty attribute, and null, undefined and false are none.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes | null} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  set(element, attributes ?? {});
  append(element, children);
  return element;
}

/**
 * Return an element of a picture; attributes are as for `h`.
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes | null} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[T]}
 */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes ?? {});
  append(element, children);
  return element;
}

/**
 * Change attributes of an element, as `h` takes them.
 * @param {HTMLElement | SVGElement} element
 * @param {Attributes} attributes
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on') && typeof value === 'function') {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === 'style') {
      for (const [property, text] of Object.entries(/** @type {object} */ (value))) {
        element.style.setProperty(property, String(text));
      }
    } else if (name === 'data') {
      Object.assign(element.dataset, value);
    } else if (name === 'class') {
      const names = Array.isArray(value) ? value.filter(Boolean).join(' ') : value;
      element.setAttribute('class', String(names || ''));
    } else if (PROPERTIES.has(name) && name in element) {
      /** @type {any} */ (element)[name] = value ?? (name === 'value' ? '' : false);
    } else if (value === null || value === undefined || value === false) {
      element.removeAttribute(name);
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
}

/**
 * Put children in place of all that a node holds.
 * @param {Element} parent
 * @param {...Child} children
 */
export function replace(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/**
 * Show a text, if it is not shown yet: what does not change costs no layout.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Return an id that no other element has. @param {string} prefix */
export function newId(prefix) {
  lastNumber += 1;
  return `${prefix}-${lastNumber}`;
}

/**
 * Listen, and return what ends it.
 * @param {EventTarget} target
 * @param {string} type
 * @param {(event: any) => void} listener
 * @param {AddEventListenerOptions} [options]
 * @returns {() => void}
 */
export function on(target, type, listener, options) {
  target.addEventListener(type, listener, options);
  return () => target.removeEventListener(type, listener, options);
}

/** Return when the page is seen: at once, unless it is in a tab behind another one. @returns {Promise<void>} */
export async function untilSeen() {
  while (document.hidden) await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
}

/** @param {Element} parent @param {readonly Child[]} children */
function append(parent, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.append(child);
    else if (child !== null && child !== undefined && child !== false) parent.append(String(child));
  }
}
