// Fields of a form, made from the JSON Schemas of parameters. A field that is left empty has its default.

import { h, newId } from '../lib/dom.js';
import { bytes, duration } from '../lib/format.js';
import { marked } from './marked.js';

/**
 * @typedef {object} Schema  what is read of a JSON Schema
 * @property {string | string[]} [type]
 * @property {Schema[]} [anyOf]
 * @property {unknown[]} [enum]
 * @property {unknown} [default]
 * @property {string} [description]
 * @property {unknown[]} [examples]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {number} [maxLength]
 * @property {string} [pattern]
 * @property {Record<string, Schema>} [properties]
 * @property {string[]} [required]
 */

/**
 * @typedef {object} Field
 * @property {string} name  as the server names it, `when.api` for a member
 * @property {HTMLElement} element
 * @property {() => unknown} value  undefined: left as by default
 * @property {(value: unknown) => void} fill
 * @property {() => string} check  what is wrong with what was entered, empty if nothing
 * @property {(text: string) => void} complain  shows why it cannot be used, beside the field
 * @property {() => void} focus
 */

/** Return the schema of a value that may be null as that of the value. @param {Schema} schema @returns {Schema} */
export function plainSchema(schema) {
  const some = schema.anyOf?.find((one) => one.type !== 'null');
  return some === undefined ? schema : { ...some, ...schema, anyOf: undefined };
}

/** Return the unit of a bare number. @param {Schema} schema @returns {string} */
function unitOf(schema) {
  return String(/** @type {any} */ (schema)['x-unit'] ?? '');
}

/**
 * Return the field of a parameter.
 * @param {string} name
 * @param {Schema} given
 * @param {{required?: boolean, label?: string}} [options]
 * @returns {Field}
 */
export function schemaField(name, given, { required = false, label = name } = {}) {
  const schema = plainSchema(given);
  const id = newId('field');
  const control = controlOf(schema, id, required);
  const hint = h('span', { class: 'hint', id: `${id}-hint` }, marked(hintOf(schema, required)));
  const problem = h('span', { class: 'problem', id: `${id}-problem`, hidden: true });
  control.input.setAttribute('aria-describedby', `${id}-hint ${id}-problem`);
  const title = h('label', { for: id }, label, required && h('span', { class: 'needed' }, ' (required)'));
  const check = control.input instanceof HTMLInputElement && control.input.type === 'checkbox';
  const first = check ? h('span', { class: 'check' }, control.input, title) : [title, control.input];
  const element = h('div', { class: 'field' }, first, control.more, problem, hint);

  /** @param {string} text */
  function complain(text) {
    problem.textContent = text;
    problem.hidden = text === '';
    if (text === '') control.input.removeAttribute('aria-invalid');
    else control.input.setAttribute('aria-invalid', 'true');
  }

  control.input.addEventListener('input', () => complain(''));
  return {
    name,
    element,
    value: control.value,
    fill: control.fill,
    check: () => (control.input.checkValidity() ? '' : reasonOf(control.input, required)),
    complain,
    focus: () => control.input.focus(),
  };
}

/**
 * @typedef {object} Control
 * @property {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} input
 * @property {HTMLElement | null} more
 * @property {() => unknown} value
 * @property {(value: unknown) => void} fill
 */

/** @param {Schema} schema @param {string} id @param {boolean} required @returns {Control} */
function controlOf(schema, id, required) {
  if (schema.enum !== undefined) return choice(schema, id);
  if (schema.type === 'boolean') return checkbox(schema, id);
  if (schema.type === 'integer' || schema.type === 'number') return number(schema, id, required);
  if (schema.type === 'array') return list(schema, id);
  return text(schema, id, required);
}

/** @param {Schema} schema @param {string} id @returns {Control} */
function choice(schema, id) {
  const byDefault = schema.default === null || schema.default === undefined ? '' : String(schema.default);
  const values = (schema.enum ?? []).map(String);
  const names = byDefault === '' ? ['', ...values] : values;
  const options = names.map((one) => h('option', { value: one }, one === '' ? 'none' : one));
  const input = h('select', { id }, options);
  input.value = byDefault;
  const value = () => (input.value === byDefault ? undefined : input.value);
  return { input, more: null, value, fill: (given) => (input.value = String(given ?? byDefault)) };
}

/** @param {Schema} schema @param {string} id @returns {Control} */
function checkbox(schema, id) {
  const byDefault = schema.default === true;
  const input = h('input', { id, type: 'checkbox', checked: byDefault });
  const value = () => (input.checked === byDefault ? undefined : input.checked);
  return { input, more: null, value, fill: (given) => (input.checked = Boolean(given ?? byDefault)) };
}

/** @param {Schema} schema @param {string} id @param {boolean} required @returns {Control} */
function number(schema, id, required) {
  const step = schema.type === 'integer' ? '1' : 'any';
  const limits = { min: schema.minimum, max: schema.maximum, step, required };
  const more = suggestions(schema, id);
  const placeholder = shown(schema.default, schema);
  const input = h('input', { id, type: 'number', ...limits, placeholder, list: more?.id ?? null });
  const value = () => (input.value === '' ? undefined : input.valueAsNumber);
  return { input, more, value, fill: (given) => (input.value = given === undefined ? '' : String(given)) };
}

/** Several names in one field, with commas between them. @param {Schema} schema @param {string} id @returns {Control} */
function list(schema, id) {
  const placeholder = Array.isArray(schema.default) ? schema.default.join(', ') : '';
  const input = h('input', { id, placeholder, autocomplete: 'off', spellcheck: 'false' });
  const value = () => (input.value.trim() === '' ? undefined : input.value.split(',').map((one) => one.trim()).filter(Boolean));
  return { input, more: null, value, fill: (given) => (input.value = Array.isArray(given) ? given.join(', ') : '') };
}

/** @param {Schema} schema @param {string} id @param {boolean} required @returns {Control} */
function text(schema, id, required) {
  const placeholder = shown(schema.default, schema);
  const attributes = { id, placeholder, required, maxlength: schema.maxLength, autocomplete: 'off', spellcheck: 'false' };
  const lines = typeof schema.default === 'string' && schema.default.includes('\n');
  const more = lines ? null : suggestions(schema, id);
  const input = lines
    ? h('textarea', { ...attributes, rows: '2' })
    : h('input', { ...attributes, pattern: schema.pattern, list: more?.id ?? null });
  const value = () => (input.value === '' ? undefined : input.value);
  return { input, more, value, fill: (given) => (input.value = given === undefined || given === null ? '' : String(given)) };
}

/** Return the examples of a value as suggestions. @param {Schema} schema @param {string} id */
function suggestions(schema, id) {
  const examples = (schema.examples ?? []).map(String);
  return examples.length === 0 ? null : h('datalist', { id: `${id}-examples` }, examples.map((one) => h('option', { value: one })));
}

/** Return a value as people read it, with its unit. @param {unknown} value @param {Schema} schema */
export function shown(value, schema) {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number' && unitOf(schema) === 'seconds') return value === 0 ? '0' : duration(value).replaceAll(' min', 'm').replaceAll(' ', '');
  if (typeof value === 'number' && unitOf(schema).startsWith('bytes')) return bytes(value);
  return String(value).trim();
}

/** @param {Schema} schema @param {boolean} required */
function hintOf(schema, required) {
  const examples = (schema.examples ?? []).filter((one) => one !== schema.default && !Array.isArray(one)).slice(0, 2);
  const units = { seconds: 'Seconds', bytes: 'Bytes', 'bytes/s': 'Bytes a second', 'bytes or %': 'Bytes or a share' };
  const unit = units[/** @type {keyof units} */ (unitOf(schema))] ?? '';
  const like = examples.length > 0 && schema.enum === undefined ? examples.join(', ') : '';
  const measure = unit !== '' ? `${unit}, such as ${like}.` : like !== '' ? `For example ${like}.` : '';
  const { minimum, maximum } = schema;
  const bound = maximum !== undefined && minimum !== undefined ? `From ${minimum} to ${maximum}.` : '';
  const byDefault = shown(schema.default, schema);
  const unset = required || byDefault === '' || schema.enum !== undefined || schema.type === 'boolean' ? '' : `Default: ${byDefault}.`;
  return [sentence(schema.description ?? ''), measure, bound, unset].filter(Boolean).join(' ');
}

/** @param {string} words */
function sentence(words) {
  return words === '' ? '' : `${words.charAt(0).toUpperCase()}${words.slice(1)}${words.endsWith('.') ? '' : '.'}`;
}

/** @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} input @param {boolean} required */
function reasonOf(input, required) {
  if (required && input.validity.valueMissing) return 'Enter a value.';
  if (input.validity.patternMismatch) return `This must match ${input.getAttribute('pattern')}.`;
  return input.validationMessage;
}
