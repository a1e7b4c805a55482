// The inputs of a call as a form: each by its type, with the records that exist to choose from.

import { h, newId, replace } from '../lib/dom.js';
import { inputWithChoices } from './choices.js';
import { conditionBuilder } from './condition-builder.js';
import { exampleOf } from './examples.js';
import { fieldNames, isQuery, testable } from './operations.js';
import { prose } from './parts.js';
import { choicesFor } from './records.js';
import { listsScalars, rules, types, typeName } from './schemas.js';

/** @typedef {import('./operations.js').Operation} Operation */
/** @typedef {import('./operations.js').Input} Input */
/** @typedef {import('./requests.js').Value} Value */
/** @typedef {{operations: Operation[], operation: Operation}} Context */
/** @typedef {{input: Input, element: HTMLElement, complain: (text: string) => void, focus: () => void}} FormField */
/** @typedef {(value: Value) => void} Change */

const HAS_OWN_CONTROL = new Set(['q', 'sort', 'fields']);

/**
 * Return the field of an input. `change` gets its value whenever that changes.
 * @param {Context} context
 * @param {Input} input
 * @param {Value} value
 * @param {Change} change
 * @returns {FormField}
 */
export function formField(context, input, value, change) {
  const id = newId('input');
  const problem = h('p', { class: 'problem', id: `${id}-problem` });
  const control = controlFor(context, input, value, change, id);
  const about = [
    typeName(input.schema, context.operation.schemas),
    { path: 'in the path', query: 'in the query', header: 'header' }[String(input.place)] ?? '',
  ];
  const element = h(
    'div',
    { class: 'field' },
    h(
      'div',
      { class: 'label' },
      h('label', { for: id }, input.name),
      input.required && h('span', { class: 'required' }, 'required'),
      h('span', { class: 'soft' }, about.filter(Boolean).join(' ')),
    ),
    control,
    h('p', { class: 'soft hint', id: `${id}-hint` }, prose(hint(context.operation, input))),
    problem,
  );
  const target = () => /** @type {HTMLElement | null} */ (element.querySelector('input, select, textarea, button'));
  return {
    input,
    element,
    complain(text) {
      problem.textContent = text === '' ? '' : `${input.name} ${text}`;
      if (text === '') target()?.removeAttribute('aria-invalid');
      else target()?.setAttribute('aria-invalid', 'true');
    },
    focus: () => target()?.focus(),
  };
}

/** @param {Operation} operation @param {Input} input */
function hint(operation, input) {
  if (isQuery(operation) && HAS_OWN_CONTROL.has(input.name)) return '';
  const hashed = input.hashed ? ['type the password: its SHA-512 is sent, as clients do'] : [];
  return [input.description, ...rules({ ...input.schema, description: undefined }), ...hashed]
    .filter(Boolean)
    .join(' · ');
}

/** @param {Context} context @param {Input} input @param {Value} value @param {Change} change @param {string} id */
function controlFor(context, input, value, change, id) {
  const { operation } = context;
  if (isQuery(operation) && input.name === 'q')
    return conditionBuilder(
      operation,
      testable(context.operations, operation),
      [value].flat().filter((one) => one !== ''),
      change,
    );
  if (isQuery(operation) && input.name === 'sort') return sortControl(operation, String(value), change, id);
  if (isQuery(operation) && input.name === 'fields') return fieldsControl(operation, String(value), change, id);
  const known = types(input.schema);
  const choices = input.schema.enum ?? (known.length === 1 && known[0] === 'boolean' ? [true, false] : undefined);
  if (choices !== undefined) return selectControl(choices, String(value), input, change, id);
  if (listsScalars(input.schema)) return listControl(context, input, [value].flat(), change, id);
  if (known.some((one) => one === 'object' || one === 'array') || known.length === 0)
    return jsonControl(context, input, String(value), change, id);
  return textControl(context, input, String(value), change, id);
}

/** @param {unknown[]} choices @param {string} value @param {Input} input @param {Change} change @param {string} id */
function selectControl(choices, value, input, change, id) {
  const unset = input.required ? '' : '(unset)';
  const options = [['', unset], ...choices.map((one) => [String(one), String(one)])];
  const select = h(
    'select',
    { id, 'aria-describedby': `${id}-hint ${id}-problem`, onchange: () => change(select.value) },
    options.map(([one, text]) => h('option', { value: one, selected: one === value }, text)),
  );
  return select;
}

/** @param {Context} context @param {Input} input @param {string} value @param {Change} change @param {string} id */
function textControl(context, input, value, change, id) {
  const number = types(input.schema).every((one) => one === 'integer' || one === 'number');
  const attributes = {
    id,
    value,
    type: input.secret === '' ? 'text' : 'password',
    inputmode: number ? 'numeric' : null,
    placeholder: placeholder(context, input),
    'aria-describedby': `${id}-hint ${id}-problem`,
    'aria-required': input.required ? 'true' : null,
    oninput: (/** @type {Event} */ event) => change(/** @type {HTMLInputElement} */ (event.target).value),
  };
  if (input.secret !== '') return h('input', { ...attributes, autocomplete: 'off' });
  return inputWithChoices(attributes, () => choicesFor(context.operations, context.operation, input)).element;
}

/** @param {Context} context @param {Input} input */
function placeholder({ operation }, input) {
  const example =
    input.schema.examples?.[0] ?? input.schema.example ?? input.schema.default ?? inBody(operation, input);
  return example === undefined || example === null || typeof example === 'object' ? '' : String(example);
}

/** @param {Operation} operation @param {Input} input */
function inBody(operation, input) {
  const example = /** @type {any} */ (operation.bodyExample);
  return input.secret === '' ? (example?.[operation.bodyKey]?.[input.name] ?? example?.[input.name]) : undefined;
}

/** @param {Context} context @param {Input} input @param {string[]} values @param {Change} change @param {string} id */
function listControl(context, input, values, change, id) {
  const rows = h('div', { class: 'list' });
  const add = h(
    'button',
    { type: 'button', class: 'small', id, onclick: () => addRow('', true) },
    `+ ${input.name.replace(/s$/, '')}`,
  );
  values.filter((value) => value !== '').forEach((value) => addRow(value, false));
  return h('div', { role: 'group', 'aria-label': input.name }, rows, add);

  function changed() {
    change([...rows.querySelectorAll('input')].map((one) => one.value).filter((one) => one !== ''));
  }

  /** @param {string} value @param {boolean} focus */
  function addRow(value, focus) {
    const attributes = { value, 'aria-label': `One of ${input.name}`, oninput: changed };
    const one = inputWithChoices(attributes, () => choicesFor(context.operations, context.operation, input));
    const remove = () => {
      row.remove();
      add.focus();
      changed();
    };
    const row = h(
      'div',
      { class: 'list-row' },
      one.element,
      h('button', { type: 'button', class: 'small plain', 'aria-label': 'Remove', onclick: remove }, '✕'),
    );
    rows.append(row);
    if (focus) one.input.focus();
  }
}

/** @param {Context} context @param {Input} input @param {string} value @param {Change} change @param {string} id */
function jsonControl({ operation }, input, value, change, id) {
  const area = h('textarea', {
    id,
    value,
    rows: '4',
    spellcheck: 'false',
    class: 'mono',
    placeholder: 'JSON',
    'aria-describedby': `${id}-hint ${id}-problem`,
    oninput: () => change(area.value),
  });
  const insert = () => {
    const example = inBody(operation, input) ?? exampleOf(input.schema, operation.schemas, input.name);
    area.value = JSON.stringify(example, null, 2);
    change(area.value);
  };
  return h('div', null, area, h('button', { type: 'button', class: 'small', onclick: insert }, 'Insert an example'));
}

/** @param {Operation} operation @param {string} value @param {Change} change @param {string} id */
function sortControl(operation, value, change, id) {
  const name = value.replace(/^[+-]+/, '');
  const names = [...new Set(['', ...fieldNames(operation), name])];
  const field = h(
    'select',
    { id, onchange: changed },
    names.map((one) => h('option', { value: one, selected: one === name }, one || '(unset)')),
  );
  const directions = [
    ['+', 'ascending'],
    ['-', 'descending'],
  ];
  const descending = value.startsWith('-') ? '-' : '+';
  const direction = h(
    'select',
    { 'aria-label': 'Direction', onchange: changed },
    directions.map(([sign, text]) => h('option', { value: sign, selected: sign === descending }, text)),
  );
  return h('div', { class: 'row' }, field, direction);

  function changed() {
    change(field.value === '' ? '' : `${direction.value}${field.value}`);
  }
}

/** @param {Operation} operation @param {string} value @param {Change} change @param {string} id */
function fieldsControl(operation, value, change, id) {
  const input = h('input', {
    id,
    value,
    placeholder: 'uuid,name',
    spellcheck: 'false',
    autocomplete: 'off',
    oninput: () => change(input.value),
  });
  const boxes = h('div', { class: 'boxes' });
  const fill = () => {
    const chosen = new Set(input.value.split(','));
    replace(
      boxes,
      fieldNames(operation).map((name) => box(name, chosen.has(name))),
    );
  };
  return h('div', null, input, h('details', { ontoggle: fill }, h('summary', null, 'Choose'), boxes));

  /** @param {string} name @param {boolean} checked */
  function box(name, checked) {
    const element = h('input', { type: 'checkbox', checked, onchange: collect, value: name });
    return h('label', { class: 'check' }, element, name);
  }

  function collect() {
    const chosen = [...boxes.querySelectorAll('input')].filter((one) => one.checked).map((one) => one.value);
    input.value = chosen.join(',');
    change(input.value);
  }
}
