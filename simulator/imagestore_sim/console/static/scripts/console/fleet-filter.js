// The filter of the fleet: conditions of ZStack's queries, with their fields, operators and values offered while typing.

import { conditionText, OFFERED, parseCondition } from '../docs/conditions.js';
import { h, newId, set } from '../lib/dom.js';
import { fieldsOfStorages } from './fleet-fields.js';
import { valuesOf } from './fleet-values.js';

/** @typedef {{text: string, note: string, whole: boolean}} Choice  `whole`: the condition is complete with it */

const MOST_CHOICES = 60;

/** @param {(conditions: string[]) => void} onChange */
export function fleetFilter(onChange) {
  const listId = newId('choices');
  const hintId = newId('hint');
  const chips = h('span', { class: 'row' });
  const list = h('ul', { class: 'choices', id: listId, role: 'listbox', 'aria-label': 'What may come next', hidden: true, onmousedown: pick });
  const input = h('input', {
    role: 'combobox',
    'aria-label': 'Filter by conditions of ZStack’s queries',
    'aria-expanded': 'false',
    'aria-controls': listId,
    'aria-autocomplete': 'list',
    'aria-describedby': hintId,
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: 'Filter: status=Connected, name~=%1 …',
    oninput: offer,
    onfocus: focused,
    onblur: blurred,
    onkeydown: key,
  });
  const hint = h('span', { class: 'outside', id: hintId }, 'A field, an operator and a value. A word alone searches the names. Arrows choose, Enter takes.');
  const element = h('div', { class: 'filter', role: 'search' }, chips, input, hint, list);

  /** @type {string[]} */
  let conditions = [];
  /** @type {Choice[]} */
  let choices = [];
  let chosen = -1;
  /** @type {import('./fleet-fields.js').Field[]} */
  let fields = [];

  async function focused() {
    fields = await fieldsOfStorages();
    if (document.activeElement === input) offer();
  }

  /** A condition that is left half-way is taken as well, if it is one. */
  function blurred() {
    close();
    if (parseCondition(input.value) !== null) add(input.value);
  }

  function offer() {
    choices = choicesFor(input.value.trimStart(), fields).slice(0, MOST_CHOICES);
    chosen = -1;
    list.replaceChildren(
      ...choices.map((one, index) => h('li', { role: 'option', id: `${listId}-${index}`, 'aria-selected': 'false' }, one.text, h('span', { class: 'soft' }, one.note))),
    );
    setOpen(choices.length > 0);
    mark();
  }

  function close() {
    setOpen(false);
  }

  /** @param {boolean} open */
  function setOpen(open) {
    list.hidden = !open;
    set(input, { 'aria-expanded': String(open) });
  }

  function mark() {
    for (const [index, option] of [...list.children].entries()) option.setAttribute('aria-selected', String(index === chosen));
    list.children[chosen]?.scrollIntoView({ block: 'nearest' });
    set(input, { 'aria-activedescendant': chosen < 0 ? null : `${listId}-${chosen}` });
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') move(event.key === 'ArrowDown' ? 1 : -1);
    else if (event.key === 'Enter') enter();
    else if (event.key === 'Tab' && !list.hidden && chosen >= 0) take(choices[chosen]);
    else if (event.key === 'Escape' && !list.hidden) close();
    else if (event.key === 'Backspace' && input.value === '' && conditions.length > 0) return editLast(event);
    else return;
    event.preventDefault();
  }

  /** @param {number} by */
  function move(by) {
    if (list.hidden) return offer();
    chosen = Math.max(-1, Math.min(choices.length - 1, chosen + by));
    mark();
  }

  function enter() {
    const choice = choices[chosen];
    if (!list.hidden && choice !== undefined) return take(choice);
    const text = input.value.trim();
    if (text === '') return;
    add(parseCondition(text) === null ? `name~=%${text}%` : text);
  }

  /** @param {Choice | undefined} choice */
  function take(choice) {
    if (choice === undefined) return;
    if (choice.whole) return add(choice.text);
    input.value = choice.text;
    offer();
  }

  /** @param {string} text */
  function add(text) {
    input.value = '';
    close();
    onChange([...conditions, text.trim()]);
  }

  /** @param {number} index */
  function remove(index) {
    onChange(conditions.filter((_, number) => number !== index));
    input.focus();
  }

  /** @param {Event} event */
  function editLast(event) {
    event.preventDefault();
    input.value = conditions[conditions.length - 1] ?? '';
    onChange(conditions.slice(0, -1));
    offer();
  }

  /** @param {MouseEvent} event */
  function pick(event) {
    event.preventDefault(); // the input keeps the focus
    const index = [...list.children].indexOf(/** @type {Element} */ (/** @type {Element} */ (event.target).closest('li')));
    take(choices[index]);
  }

  /** @param {string} text @param {number} index */
  function chip(text, index) {
    const button = h('button', { 'aria-label': `Remove the condition ${text}`, onclick: () => remove(index) }, '✕');
    return h('span', { class: 'chip condition' }, text, button);
  }

  return {
    element,
    /** Show the conditions that count. @param {string[]} next */
    show(next) {
      if (String(next) === String(conditions)) return;
      conditions = next;
      chips.replaceChildren(...next.map(chip));
      set(input, { placeholder: next.length > 0 ? 'and …' : 'Filter: status=Connected, name~=%1 …' });
    },
  };
}

/** @param {string} text @param {import('./fleet-fields.js').Field[]} fields @returns {Choice[]} */
function choicesFor(text, fields) {
  const condition = parseCondition(text);
  if (condition !== null) {
    const start = conditionText({ ...condition, value: '' });
    const values = condition.token === '=' || condition.token === '!=' ? valuesOf(condition.name) : [];
    const fitting = values.filter((value) => value.toLowerCase().startsWith(condition.value.toLowerCase()));
    return fitting.map((value) => ({ text: `${start}${value}`, note: '', whole: true }));
  }
  const name = /^[\w.]*/.exec(text)?.[0] ?? '';
  const rest = text.slice(name.length);
  if (fields.some((field) => field.name === name)) return operators(name, rest.trim());
  if (rest.trim() !== '') return [];
  const fitting = fields.filter((field) => field.name.toLowerCase().startsWith(name.toLowerCase()));
  return fitting.map((field) => ({ text: field.name, note: field.kind, whole: false }));
}

/** @param {string} name @param {string} begun @returns {Choice[]} */
function operators(name, begun) {
  return OFFERED.filter((one) => one.token.startsWith(begun)).map(({ token, label, valued }) => ({
    text: valued ? `${name}${token}` : `${name} ${token}`,
    note: label,
    whole: !valued,
  }));
}
