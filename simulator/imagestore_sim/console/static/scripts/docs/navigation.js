// The list of operations: groups that open, and the search.

import { h, replace } from '../lib/dom.js';
import { count, plural } from '../lib/format.js';
import { placeText } from './location.js';
import { methodBadge } from './parts.js';
import { indexOf, search } from './search.js';

/** @typedef {import('./operations.js').Operation} Operation */
/** @typedef {import('./operations.js').ApiName} ApiName */

const MOST_FOUND = 80;
const APIS = /** @type {[ApiName, string][]} */ ([
  ['zstack', 'ZStack'],
  ['lab', 'Lab'],
]);

/**
 * Show the operations in an element.
 * @param {HTMLElement} parent
 * @param {Operation[]} operations
 */
export function navigation(parent, operations) {
  const entries = indexOf(operations);
  /** @type {ApiName} */
  let api = 'zstack';
  let current = '';
  const input = h('input', {
    type: 'search',
    'aria-label': 'Search for an API',
    placeholder: 'Search: name, path, field  ( / )',
    oninput: list,
    onkeydown: leave,
  });
  const found = h('p', { class: 'soft', role: 'status' });
  const apis = APIS.map(([name, text]) =>
    h('button', { type: 'button', class: 'small', onclick: () => choose(name) }, text),
  );
  const results = h('div', { class: 'operations', onkeydown: walk });
  replace(
    parent,
    h('div', { class: 'search' }, input),
    h('div', { class: 'apis', role: 'group', 'aria-label': 'Which API' }, apis),
    found,
    results,
  );
  list();

  /** @param {ApiName} name */
  function choose(name) {
    api = name;
    list();
  }

  function list() {
    APIS.forEach(([name], index) => apis[index]?.setAttribute('aria-pressed', String(name === api)));
    const text = input.value.trim();
    if (text === '') groups();
    else matches(text);
  }

  function groups() {
    const offered = operations.filter((one) => one.api === api);
    const names = [...new Set(offered.map((one) => one.group))].sort((one, other) => one.localeCompare(other));
    found.textContent = `${plural(offered.length, 'API')} in ${plural(names.length, 'group')}`;
    replace(
      results,
      names.map((name) =>
        group(
          name,
          offered.filter((one) => one.group === name),
        ),
      ),
    );
  }

  /** @param {string} text */
  function matches(text) {
    const all = search(entries, text);
    const own = [...all.filter((one) => one.api === api), ...all.filter((one) => one.api !== api)];
    const more = own.length - MOST_FOUND;
    found.textContent = `${count(own.length)} found${more > 0 ? `; the first ${MOST_FOUND} are shown` : ''}`;
    replace(
      results,
      h(
        'ul',
        null,
        own.slice(0, MOST_FOUND).map((one) => item(one, one.api !== api)),
      ),
    );
  }

  /** @param {string} name @param {Operation[]} members */
  function group(name, members) {
    const body = h('ul', null);
    const element = h(
      'details',
      { ontoggle: fill },
      h('summary', null, name, ' ', h('span', { class: 'soft' }, count(members.length))),
      body,
    );
    if (members.some((one) => one.id === current)) element.open = true;
    return element;

    function fill() {
      if (element.open && body.childElementCount === 0)
        replace(
          body,
          members.map((one) => item(one, false)),
        );
    }
  }

  /** @param {Operation} one @param {boolean} other  whether it is of the other API */
  function item(one, other) {
    const mark = one.id === current ? 'page' : null;
    const link = h(
      'a',
      { href: placeText(one.api, one.id), title: `${one.operationId}: ${one.summary}`, 'aria-current': mark },
      methodBadge(one.method),
      h('span', { class: 'name' }, one.operationId),
      other && h('span', { class: 'soft' }, one.api === 'lab' ? 'lab' : 'ZStack'),
    );
    return h('li', null, link);
  }

  /** @param {KeyboardEvent} event */
  function leave(event) {
    if (event.key === 'Escape') {
      input.value = '';
      list();
    } else if (event.key === 'ArrowDown') {
      event.preventDefault();
      targets()[0]?.focus();
    } else if (event.key === 'Enter') results.querySelector('a')?.click();
  }

  function targets() {
    const all = /** @type {NodeListOf<HTMLElement>} */ (results.querySelectorAll('summary, a'));
    return [...all].filter((one) => one.checkVisibility());
  }

  /** @param {KeyboardEvent} event */
  function walk(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const all = targets();
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement)) + by;
    if (at < 0) input.focus();
    else all[at]?.focus();
  }

  return {
    focus() {
      input.focus();
      input.select();
    },
    /** Mark the operation that is shown. @param {ApiName} name @param {string} id */
    show(name, id) {
      const isShown = id === current && name === api;
      current = id;
      if (name !== api) api = name;
      if (!isShown && input.value === '') list();
      else mark();
      results.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' });
    },
  };

  function mark() {
    for (const link of results.querySelectorAll('a')) {
      const isCurrent = link.getAttribute('href') === placeText(api, current);
      if (isCurrent) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
  }
}
