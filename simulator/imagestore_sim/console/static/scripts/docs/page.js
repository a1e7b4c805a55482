// The page of an operation: what it takes and answers, its endpoint, its examples; and Try it out beside it.

import { h } from '../lib/dom.js';
import { fidelity } from './answer.js';
import { exampleOf } from './examples.js';
import { jsonBlock } from './json.js';
import { placeText, VARIANT_KEY } from './location.js';
import { exampleIn, inputsOf, variants } from './operations.js';
import { codeBlock, codeHolder, copyable, methodBadge, prose, section } from './parts.js';
import { requestOf } from './requests.js';
import { members, plain, resourceName, rules, typeName } from './schemas.js';
import { curl } from './snippets/curl.js';
import { exampleValues } from './example-values.js';

/** @typedef {import('./operations.js').Operation} Operation */
/** @typedef {import('./operations.js').Input} Input */
/** @typedef {import('./operations.js').Media} Media */
/** @typedef {import('./schemas.js').Schema} Schema */
/** @typedef {import('./schemas.js').Member} Member */

const OPEN_DEPTH = 2;

/**
 * Return the page; `panel` is its Try it out.
 * @param {Operation} operation
 * @param {HTMLElement} panel
 */
export function operationPage(operation, panel) {
  return h(
    'div',
    { class: 'operation' },
    head(operation),
    panel,
    h(
      'div',
      { class: 'facts' },
      section('Request inputs', inputTables(operation)),
      section('Responses', responses(operation)),
      addresses(operation),
      examples(operation),
    ),
  );
}

/** @param {Operation} operation */
function head(operation) {
  const { api, group, facts } = operation;
  const chips = [
    facts.since ? `Since ${facts.since}` : '',
    api === 'lab' ? '' : operation.synchronous ? 'Synchronous' : 'Asynchronous: a job to poll',
    api === 'lab' ? '' : operation.authenticated ? 'Auth required' : 'No session needed',
    facts.adminOnly ? 'Admin only' : '',
  ];
  return h(
    'header',
    { class: 'head' },
    h('p', { class: 'soft crumbs' }, api === 'lab' ? 'The lab’s API' : 'ZStack’s API', ' / ', group),
    h('h1', null, methodBadge(operation.method), ' ', operation.operationId),
    h(
      'p',
      { class: 'row' },
      chips.filter(Boolean).map((text) => h('span', { class: 'chip' }, text)),
    ),
    h('p', null, prose(operation.summary)),
    beyondSummary(operation).map((text) => h('p', { class: 'soft' }, prose(text))),
    fidelity(operation),
  );
}

/** Return what the description says beyond the summary and the note on fidelity. @param {Operation} operation */
function beyondSummary({ summary, description }) {
  const paragraphs = description.split('\n\n').filter((text) => text !== '' && text.replace(/\.$/, '') !== summary);
  return paragraphs.filter((text) => !/^(Unlike ZStack:|The call is answered at once)/.test(text));
}

/** @param {Operation} operation */
function inputTables(operation) {
  const kinds = variants(operation);
  if (kinds.length === 0) return inputTable(operation, inputsOf(operation));
  return kinds.map((kind) => {
    const body = h('div');
    const fill = () => body.childElementCount === 0 && body.append(inputTable(operation, inputsOf(operation, kind)));
    return h('details', { ontoggle: fill }, h('summary', null, h('code', null, `${VARIANT_KEY} ${kind}`)), body);
  });
}

/** @param {Operation} operation @param {Input[]} inputs */
function inputTable(operation, inputs) {
  if (inputs.length === 0)
    return h(
      'p',
      null,
      operation.bodyMedia === '' ? 'This API requires no request parameters.' : `A body of ${operation.bodyMedia}.`,
    );
  const columns = ['Name', 'Type', 'Meaning and rules'];
  return h(
    'div',
    { class: 'scrolled', tabindex: '0', role: 'region', 'aria-label': 'Table of the inputs' },
    h(
      'table',
      { class: 'inputs' },
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          columns.map((text) => h('th', { scope: 'col' }, text)),
        ),
      ),
      h(
        'tbody',
        null,
        inputs.map((input) => inputRow(operation, input)),
      ),
    ),
  );
}

/** @param {Operation} operation @param {Input} input */
function inputRow(operation, input) {
  const place = {
    path: 'the path',
    query: 'the query',
    body: operation.bodyKey === '' ? 'the body' : `${operation.bodyKey} of the body`,
    beside: 'the body',
    header: 'a header',
  }[input.place];
  const said = rules(input.schema);
  if (input.resource !== '' && input.schema['x-resource'] === undefined)
    said.push(`an existing ${resourceName(input.resource)}`);
  return h(
    'tr',
    null,
    h(
      'th',
      { scope: 'row' },
      h('code', null, input.name),
      input.required && h('span', { class: 'required' }, ' required'),
    ),
    h(
      'td',
      null,
      h('span', { class: 'type' }, typeName(input.schema, operation.schemas)),
      h('div', { class: 'soft' }, `in ${place}`),
    ),
    h('td', null, prose(input.description), said.length > 0 && h('div', { class: 'soft' }, said.join(' · '))),
  );
}

/** @param {Operation} operation */
function responses(operation) {
  return Object.entries(operation.responses).map(([status, response]) => {
    const [media, content] = Object.entries(response.content ?? {})[0] ?? ['', /** @type {Media} */ ({})];
    const body = h('div');
    const fill = () => body.childElementCount === 0 && body.append(responseBody(operation, media, content));
    const isOpen = status.startsWith('2') && status !== '202';
    const element = h(
      'details',
      { class: 'response', ontoggle: fill },
      h('summary', null, h('strong', null, status), ' ', prose(response.description ?? '')),
      body,
    );
    if (isOpen) element.open = true;
    return element;
  });
}

/** @param {Operation} operation @param {string} media @param {Media} content */
function responseBody(operation, media, content) {
  const schema = plain(content.schema ?? {}, operation.schemas);
  const about = schema.description !== undefined && h('p', { class: 'soft' }, prose(schema.description));
  if (schema.oneOf !== undefined) {
    return h(
      'div',
      null,
      about,
      schema.oneOf.map((one) =>
        h('details', null, h('summary', null, typeName(one, operation.schemas)), tree(operation, one, 1)),
      ),
    );
  }
  return h(
    'div',
    null,
    media !== '' && media !== 'application/json' && h('p', { class: 'soft' }, media),
    about,
    tree(operation, schema, 0),
  );
}

/** @param {Operation} operation @param {Schema} schema @param {number} depth */
function tree(operation, schema, depth) {
  return h(
    'ul',
    { class: 'tree' },
    members(schema, operation.schemas).map((member) => h('li', null, branch(operation, member, depth))),
  );
}

/** @param {Operation} operation @param {Member} member @param {number} depth */
function branch(operation, member, depth) {
  const line = [
    h('code', null, member.name),
    ' ',
    h('span', { class: 'type' }, member.type),
    member.required && h('span', { class: 'required' }, ' required'),
    (member.description !== '' || member.rules.length > 0) &&
      h('span', { class: 'soft about' }, prose([member.description, ...member.rules].filter(Boolean).join(' · '))),
  ];
  const { inner } = member;
  if (inner === null) return line;
  const body = h('div');
  const fill = () => element.open && body.childElementCount === 0 && body.append(tree(operation, inner, depth + 1));
  const element = h('details', { ontoggle: fill }, h('summary', null, line), body);
  if (depth + 1 < OPEN_DEPTH && member.name !== 'error') element.open = true;
  return element;
}

/** @param {Operation} operation */
function addresses(operation) {
  const permalink = `${location.origin}/docs${placeText(operation.api, operation.id)}`;
  const { javaClass } = operation.facts;
  return [
    section(
      'Endpoint',
      operation.paths.map((path) => copyable(`${operation.method} ${path}`, 'endpoint')),
    ),
    section(
      'Operation ID',
      copyable(operation.operationId, 'operation id'),
      javaClass && copyable(javaClass, 'Java class'),
    ),
    section('Permalink', copyable(permalink, 'permalink')),
  ];
}

/** @param {Operation} operation */
function examples(operation) {
  const inputs = inputsOf(operation, variants(operation)[0] ?? '');
  const needed = inputs.filter((input) => input.required);
  const values = exampleValues(operation, operation.bodyExample === undefined ? needed : inputs, {});
  const text = curl(requestOf(operation, inputs, values, { secrets: false }), {
    origin: location.origin,
    needsToken: false,
  });
  const answers = Object.entries(operation.responses)
    .filter(([status]) => status !== '202')
    .slice(0, 1);
  return [
    section(
      'Request example',
      codeHolder(codeBlock(text, 'The request as curl'), () => text),
    ),
    section(
      'Response example',
      answers.map(([status, response]) => answerExample(operation, status, Object.values(response.content ?? {})[0])),
    ),
  ];
}

/** @param {Operation} operation @param {string} status @param {Media | undefined} media */
function answerExample(operation, status, media) {
  if (media === undefined) return h('p', { class: 'soft' }, `${status} without a body`);
  const recorded = exampleIn(media);
  const value = recorded ?? exampleOf(media.schema ?? {}, operation.schemas);
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  const about = recorded === undefined ? 'made from the types' : 'as a lab has answered';
  return h(
    'div',
    null,
    h('p', null, h('strong', null, status), ' ', h('span', { class: 'soft' }, about)),
    codeHolder(jsonBlock(value, 'The answer as JSON'), () => text),
  );
}
