// Try it out: who calls, the inputs, the call and its answer, and the call in other languages.

import { sha512 } from '../lib/digest.js';
import { h, replace } from '../lib/dom.js';
import { Problem } from '../lib/http.js';
import { refreshNode, state } from '../lib/state.js';
import { answerView } from './answer.js';
import { exampleValues } from './example-values.js';
import { formField } from './fields.js';
import { identityBar } from './identity.js';
import { VARIANT_KEY } from './location.js';
import { inputsOf, variants } from './operations.js';
import { codeBlock, codeHolder, tabbed } from './parts.js';
import { choicesFor, forgetRecords } from './records.js';
import { BODY_KEY, complaints, requestOf } from './requests.js';
import { run, runStream } from './run.js';
import { SNIPPETS } from './snippets/index.js';

/** @typedef {import('./operations.js').Operation} Operation */
/** @typedef {import('./operations.js').Input} Input */
/** @typedef {import('./requests.js').Values} Values */
/** @typedef {import('./fields.js').FormField} FormField */

const STREAM = 'text/event-stream';
let language = 0; // the one that was chosen last, whatever the operation

/**
 * Return the panel of an operation.
 * @param {Operation[]} operations
 * @param {Operation} operation
 * @param {Values} given  the values that the URL has
 * @param {(values: Values, inputs: Input[]) => void} onChange
 */
export function tryIt(operations, operation, given, onChange) {
  /** @type {Values} */
  let values = { ...given };
  /** @type {Input[]} */
  let inputs = [];
  /** @type {FormField[]} */
  let fields = [];
  /** @type {AbortController | null} */
  let running = null;
  const kinds = variants(operation);
  if (kinds.length > 0 && !kinds.includes(String(values[VARIANT_KEY]))) values[VARIANT_KEY] = kinds[0] ?? '';
  const form = h('form', { novalidate: true, onsubmit: send, onkeydown: hurry });
  const rows = h('div', { class: 'fields' });
  const sendButton = h('button', { class: 'primary', title: 'Ctrl+Enter' }, 'Send');
  const stop = h('button', { type: 'button', hidden: true, onclick: () => running?.abort() }, 'Stop');
  const example = h('button', { type: 'button', onclick: () => void fillIn() }, 'Fill in an example');
  const clear = h('button', { type: 'button', class: 'plain', onclick: () => begin({}) }, 'Clear');
  const answer = answerView(operation);
  const snippets = tabbed(
    'The call as',
    SNIPPETS.map(({ name, write }) => ({ name, panel: () => snippet(write) })),
    {
      chosen: language,
      onChoose: (index) => (language = index),
    },
  );
  replace(
    form,
    kinds.length > 0 && variantSelect(),
    rows,
    h('div', { class: 'row' }, sendButton, stop, example, clear),
  );
  build();
  snippets.refresh();
  return h(
    'section',
    { class: 'try part', 'aria-labelledby': 'try-title' },
    h('h2', { id: 'try-title' }, 'Try it out'),
    identityBar(operation),
    form,
    answer.element,
    h('h3', null, 'The call as'),
    snippets.element,
  );

  function variantSelect() {
    const select = h('select', { id: 'variant', onchange: () => begin({ ...values, [VARIANT_KEY]: select.value }) });
    replace(
      select,
      kinds.map((kind) => h('option', { value: kind, selected: kind === values[VARIANT_KEY] }, kind)),
    );
    return h('div', { class: 'field' }, h('label', { for: 'variant' }, 'kind'), select);
  }

  /** Begin again with other values. @param {Values} next */
  function begin(next) {
    /** @type {Values} */
    const kind = kinds.length > 0 ? { [VARIANT_KEY]: next[VARIANT_KEY] ?? values[VARIANT_KEY] ?? '' } : {};
    values = { ...next, ...kind };
    build();
    changed();
  }

  function build() {
    inputs = inputsOf(operation, String(values[VARIANT_KEY] ?? ''));
    const shown = inputs.filter((input) => input.schema.const === undefined);
    fields = shown.map((input) =>
      formField({ operations, operation }, input, values[input.key] ?? '', (value) => {
        values[input.key] = value;
        changed();
      }),
    );
    const required = fields.filter(({ input }) => input.required || input.name === 'q');
    const others = fields.filter((field) => !required.includes(field));
    const filled = others.some(({ input }) => (values[input.key] ?? '').length > 0);
    const more = others.length > 0 && required.length > 0;
    const optional = h(
      'details',
      { open: filled || others.length <= 8 },
      h('summary', null, `Optional (${others.length})`),
      others.map(({ element }) => element),
    );
    replace(
      rows,
      required.map(({ element }) => element),
      more ? optional : others.map(({ element }) => element),
      textBody(),
      fields.length === 0 && bodyless(),
    );
  }

  function bodyless() {
    return operation.bodyMedia === '' || operation.bodyMedia === 'application/json'
      ? h('p', { class: 'soft' }, 'This API takes no inputs.')
      : null;
  }

  function textBody() {
    if (operation.bodyMedia === '' || operation.bodyMedia === 'application/json') return null;
    const area = h('textarea', {
      id: 'text-body',
      rows: '8',
      class: 'mono',
      spellcheck: 'false',
      value: String(values[BODY_KEY] ?? ''),
      oninput: () => {
        values[BODY_KEY] = area.value;
        changed();
      },
    });
    return h('div', { class: 'field' }, h('label', { for: 'text-body' }, `Body (${operation.bodyMedia})`), area);
  }

  function changed() {
    for (const field of fields) field.complain('');
    snippets.refresh();
    onChange(values, inputs);
  }

  /** @param {(request: import('./requests.js').Request, target: import('./snippets/common.js').Target) => string} write */
  function snippet(write) {
    const target = { origin: location.origin, needsToken: state.about?.tokenNeeded ?? false };
    const text = write(requestOf(operation, inputs, values, { secrets: false }), target);
    return codeHolder(codeBlock(text, 'Code'), () => text);
  }

  async function fillIn() {
    const filled = exampleValues(operation, inputs, values);
    for (const input of inputs) {
      const isOpen = (filled[input.key] ?? '').length === 0 || input.resource !== '';
      if (!isOpen || !(input.required || input.place === 'path') || (values[input.key] ?? '').length > 0) continue;
      const found = (await choicesFor(operations, operation, input))[0]?.value;
      if (found !== undefined) filled[input.key] = found;
    }
    begin(filled);
  }

  /** @param {KeyboardEvent} event */
  function hurry(event) {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  }

  /** @param {Event} event */
  async function send(event) {
    event.preventDefault();
    if (running !== null || !isComplete()) return;
    const controller = new AbortController();
    running = controller;
    sendButton.disabled = true;
    stop.hidden = false;
    answer.begin();
    try {
      await call(await withHashes(), controller.signal);
    } catch (error) {
      answer.fail(controller.signal.aborted ? 'Stopped.' : said(error));
    } finally {
      running = null;
      sendButton.disabled = false;
      stop.hidden = true;
      forgetRecords();
      if (operation.api === 'lab') void refreshNode(); // the call may have moved the clock, which dates signatures
    }
  }

  function isComplete() {
    const found = complaints(inputs, values);
    for (const field of fields) field.complain(found.find(({ input }) => input === field.input)?.text ?? '');
    const first = fields.find((field) => found.some(({ input }) => input === field.input));
    first?.element.closest('details')?.setAttribute('open', '');
    first?.focus();
    return found.length === 0;
  }

  async function withHashes() {
    const sent = { ...values };
    for (const input of inputs.filter((one) => one.hashed)) {
      const password = String(sent[input.key] ?? '');
      if (password !== '' && !/^[0-9a-f]{128}$/.test(password)) sent[input.key] = await sha512(password);
    }
    return requestOf(operation, inputs, sent, { secrets: true });
  }

  /** @param {import('./requests.js').Request} request @param {AbortSignal} signal */
  async function call(request, signal) {
    const streams = Object.values(operation.responses).some(({ content }) => content?.[STREAM] !== undefined);
    if (streams) await runStream(request, answer.beginStream, answer.stream, signal);
    else await run(request, answer.add, signal);
  }
}

/** @param {unknown} error */
function said(error) {
  if (error instanceof Problem) return error.text;
  throw error;
}
