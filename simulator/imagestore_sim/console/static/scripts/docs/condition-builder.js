// The conditions of a query: fields that can be tested, the twelve operators, values that exist.

import { h, newId } from '../lib/dom.js';
import { inputWithChoices } from './choices.js';
import { OFFERED, complaintAbout, conditionText, parseCondition } from './conditions.js';
import { valuesOf } from './records.js';

/** @typedef {import('./operations.js').Operation} Operation */
/** @typedef {import('./conditions.js').Condition} Condition */

/**
 * Return a form of conditions. `onChange` gets their texts; those that are not complete yet are left out.
 * @param {Operation} query
 * @param {string[]} fields  that can be tested
 * @param {string[]} texts
 * @param {(texts: string[]) => void} onChange
 */
export function conditionBuilder(query, fields, texts, onChange) {
  const rows = h('div', { class: 'conditions' });
  /** @type {Map<HTMLElement, () => string>} */
  const readers = new Map();
  const add = h('button', { type: 'button', class: 'small', onclick: () => addRow(null, true) }, '+ condition');
  texts.forEach((text) => addRow(parseCondition(text) ?? { name: text, token: '=', value: '' }, false));
  if (texts.length === 0) addRow(null, false);
  return h('div', { role: 'group', 'aria-label': 'Conditions' }, rows, add);

  function changed() {
    onChange([...readers.values()].map((read) => read()).filter((text) => text !== ''));
  }

  /** @param {Condition | null} condition @param {boolean} focus */
  function addRow(condition, focus) {
    const { name, token, value } = condition ?? { name: '', token: '=', value: '' };
    const number = newId('condition');
    const field = inputWithChoices(
      { value: name, placeholder: 'field', 'aria-label': 'Condition: field', oninput: check },
      async () => fields.map((one) => ({ value: one, label: '' })),
    );
    const operator = h(
      'select',
      { 'aria-label': 'Condition: operator', onchange: check },
      OFFERED.map((one) =>
        h(
          'option',
          { value: one.token, selected: one.token === token },
          `${one.token}  ${one.label === one.token ? '' : one.label}`,
        ),
      ),
    );
    const operand = inputWithChoices(
      { value, placeholder: 'value', 'aria-label': 'Condition: value', 'aria-describedby': number, oninput: check },
      () => valuesOf(query, field.input.value),
    );
    const complaint = h('p', { class: 'problem', id: number });
    const row = h(
      'div',
      { class: 'condition' },
      field.element,
      operator,
      operand.element,
      h('button', { type: 'button', class: 'small plain', 'aria-label': 'Remove the condition', onclick: remove }, '✕'),
      complaint,
    );
    readers.set(row, () => (field.input.value.trim() === '' ? '' : conditionText(read())));
    rows.append(row);
    show();
    if (focus) field.input.focus();

    function read() {
      return { name: field.input.value.trim(), token: operator.value, value: isValued() ? operand.input.value : '' };
    }

    function isValued() {
      return OFFERED.find((one) => one.token === operator.value)?.valued ?? true;
    }

    function show() {
      operand.element.hidden = !isValued();
      complaint.textContent = field.input.value.trim() === '' ? '' : complaintAbout(read());
      operand.input.placeholder =
        { '?=': 'one, another', '!?=': 'one, another', '~=': '%part%', '!~=': '%part%' }[operator.value] ?? 'value';
    }

    function check() {
      show();
      changed();
    }

    function remove() {
      readers.delete(row);
      row.remove();
      add.focus();
      changed();
    }
  }
}
