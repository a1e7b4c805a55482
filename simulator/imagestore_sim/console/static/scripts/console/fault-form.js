// The form of a kind of fault. What the server refuses is shown beside the field that it names.

import { curlButton } from '../lib/copy.js';
import { Problem } from '../lib/api.js';
import { h } from '../lib/dom.js';
import { toast } from '../lib/toast.js';
import { schemaField, plainSchema } from './schema-fields.js';

/** @typedef {import('./schema-fields.js').Schema} Schema */
/** @typedef {import('./schema-fields.js').Field} Field */
/** @typedef {import('../lib/types.js').Call} Call */

/**
 * @typedef {object} Kind  a kind of fault, as `/lab/v1/faults` describes it
 * @property {string} kind
 * @property {string} layer
 * @property {string} description
 * @property {string} heals
 * @property {string} [meets]
 * @property {Schema} schema
 * @property {Record<string, unknown>} example
 * @property {{how: string | null, whyNot: string | null} | null} [form]
 */

/**
 * @typedef {object} FormOptions
 * @property {string} verb  what the button says
 * @property {Record<string, unknown>} [values]  to begin with
 * @property {(body: Record<string, unknown>) => Call} call  what is sent
 * @property {(body: Record<string, unknown>) => Promise<any>} send
 * @property {(answer: any) => string} said  what is said when it is done
 * @property {(answer: any) => void} [done]  called when the fault is there
 * @property {string} [refused]  why nothing may be changed
 */

const CHOICES = ['nth', 'first', 'every', 'probability'];
const LAST = ['when', 'count', 'for'];

/** Return the form of a kind. @param {Kind} kind @param {FormOptions} options */
export function faultForm(kind, { verb, values = {}, call, send, said, done, refused }) {
  const fields = fieldsOf(kind.schema, '');
  const general = h('p', { class: 'problem', role: 'alert', hidden: true });
  const button = h('button', { class: 'primary', type: 'submit', disabled: refused !== undefined }, verb);
  const example = h('button', { type: 'button', onclick: () => fill(kind.example) }, 'Example');
  const curl = curlButton(() => call(body()));
  curl.type = 'button'; // it does not send the form
  const form = h(
    'form',
    { class: 'fault-form', novalidate: true, onsubmit: submit, 'aria-label': `${kind.kind}: parameters` },
    grouped(fields),
    general,
    refused !== undefined && h('p', { class: 'soft' }, refused),
    h('div', { class: 'buttons' }, curl, example, button),
  );
  fill(values);

  /** @param {Record<string, unknown>} given */
  function fill(given) {
    for (const field of fields) {
      const value = valueAt(given, field.name);
      field.complain('');
      if (value !== undefined || given === kind.example) field.fill(value);
    }
  }

  function body() {
    /** @type {Record<string, any>} */
    const built = { kind: kind.kind };
    for (const field of fields) {
      const value = field.value();
      if (value === undefined) continue;
      const [outer, inner] = field.name.split('.');
      if (inner === undefined) built[field.name] = value;
      else (built[outer ?? ''] ??= {})[inner] = value;
    }
    return built;
  }

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    general.hidden = true;
    const wrong = fields.filter((field) => {
      field.complain(field.check());
      return field.check() !== '';
    });
    if (wrong.length > 0) return wrong[0]?.focus();
    button.disabled = true;
    const sent = body();
    try {
      const answer = await send(sent);
      toast('good', said(answer), curlButton(() => call(sent)));
      done?.(answer);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      show(error.text); // no message at the edge of the page, which would lie over the button
    } finally {
      button.disabled = false;
    }
  }

  /** Show a refusal in the form. @param {string} text */
  function show(text) {
    const rest = text.replace(/^fault \w+: /, '');
    const [, name = '', reason = rest] = /^([\w.]+): (.*)$/s.exec(rest) ?? [];
    const named = fields.find((field) => field.name === name) ?? (rest.startsWith('/') && fields.find((field) => field.name === 'path'));
    if (named) {
      named.complain(named.name === name ? reason : rest);
      named.focus();
    } else {
      general.textContent = rest;
      general.hidden = false;
    }
  }

  return form;
}

/** Return the fields of an object's members, those that matter most first. @param {Schema} schema @param {string} prefix @returns {Field[]} */
function fieldsOf(schema, prefix) {
  const required = schema.required ?? [];
  const names = Object.keys(schema.properties ?? {}).filter((name) => name !== 'kind');
  names.sort((a, b) => rank(a, required) - rank(b, required));
  return names.flatMap((name) => {
    const member = plainSchema(schema.properties?.[name] ?? {});
    if (member.type === 'object') return fieldsOf(member, `${name}.`);
    return [schemaField(`${prefix}${name}`, member, { required: required.includes(name), label: name })];
  });
}

/** @param {string} name @param {string[]} required */
function rank(name, required) {
  return required.includes(name) ? -1 : LAST.indexOf(name) + 1;
}

/** Return the fields, with those of `when` in groups of their own. @param {Field[]} fields */
function grouped(fields) {
  const own = fields.filter((field) => !field.name.includes('.') && !LAST.includes(field.name));
  const last = fields.filter((field) => LAST.includes(field.name));
  const members = fields.filter((field) => field.name.startsWith('when.'));
  const choices = members.filter((field) => CHOICES.includes(field.name.slice(5)));
  const globs = members.filter((field) => !choices.includes(field));
  const part = (/** @type {string} */ title, /** @type {Field[]} */ some) =>
    some.length > 0 && h('fieldset', null, h('legend', null, title), h('div', { class: 'fields' }, some.map((one) => one.element)));
  return [
    own.length > 0 && h('div', { class: 'fields' }, [...own, ...(members.length > 0 ? [] : last)].map((one) => one.element)),
    part('Which requests it meets: all that match', globs),
    part('Which of those: one of these, or all', choices),
    (members.length > 0 || own.length === 0) && h('div', { class: 'fields' }, last.map((one) => one.element)),
  ];
}

/** @param {Record<string, any>} values @param {string} name */
function valueAt(values, name) {
  const [outer = '', inner] = name.split('.');
  return inner === undefined ? values[outer] : values[outer]?.[inner];
}
