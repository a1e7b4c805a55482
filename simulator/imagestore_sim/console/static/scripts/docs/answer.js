// The answer of a call: each request on the way, its status, time and headers, and what came in the end.

import { h, replace } from '../lib/dom.js';
import { milliseconds, plural } from '../lib/format.js';
import { jsonBlock } from './json.js';
import { codeHolder, prose } from './parts.js';

/** @typedef {import('./run.js').Step} Step */
/** @typedef {import('./operations.js').Operation} Operation */

const FAULT = 'x-lab-fault';

/**
 * Return a view of answers that come one after the other.
 * @param {Operation} operation
 */
export function answerView(operation) {
  const summary = h('p', { class: 'summary', role: 'status' });
  const steps = h('ol', { class: 'steps' });
  const body = h('div');
  const element = h(
    'div',
    { class: 'answer', hidden: true },
    h('h3', null, 'Answer'),
    summary,
    steps,
    body,
    fidelity(operation),
  );
  let [first, latest, requests] = [0, 0, 0];

  return {
    element,
    begin() {
      element.hidden = false;
      [first, latest, requests] = [performance.now(), 0, 0];
      summary.textContent = 'Sent; waiting for the answer …';
      replace(steps);
      replace(body);
    },
    /** @param {Step} step */
    add(step) {
      requests += 1;
      latest = step.status;
      steps.append(stepItem(step, requests > 1));
      const passed = milliseconds(performance.now() - first);
      replace(
        summary,
        statusChip(step.status),
        ` ${passed}${requests > 1 ? `, ${plural(requests, 'request')}` : ''}`,
        latest === 202 ? '; the job runs …' : '',
      );
      if (step.text !== '') replace(body, answerBody(step.body ?? step.text));
    },
    /** Say why it has ended without an answer. @param {string} text */
    fail(text) {
      replace(summary, h('span', { class: 'problem' }, text));
    },
    /** @param {number} status @param {[string, string][]} headers */
    beginStream(status, headers) {
      steps.append(
        stepItem(
          {
            method: 'GET',
            path: operation.path,
            status,
            milliseconds: performance.now() - first,
            headers,
            body: null,
            text: '',
          },
          false,
        ),
      );
      replace(summary, statusChip(status), ' the answer goes on until it is stopped');
    },
    /** @param {string[]} lines */
    stream(lines) {
      replace(body, jsonBlock(lines.join('\n'), 'Answer'));
      const block = body.firstElementChild;
      if (block !== null) block.scrollTop = block.scrollHeight;
    },
  };
}

/** @param {unknown} value */
function answerBody(value) {
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  return codeHolder(jsonBlock(value, 'Answer'), () => text);
}

/** @param {Step} step @param {boolean} isPoll */
function stepItem({ method, path, status, milliseconds: passed, headers }, isPoll) {
  const fault = headers.find(([name]) => name.toLowerCase() === FAULT)?.[1];
  return h(
    'li',
    null,
    h(
      'details',
      null,
      h(
        'summary',
        null,
        statusChip(status),
        ' ',
        h('span', { class: 'soft' }, milliseconds(passed)),
        ' ',
        h('code', null, `${isPoll ? 'poll' : method} ${path}`),
        fault !== undefined && h('span', { class: 'chip fault' }, `fault ${fault}`),
      ),
      h(
        'table',
        { class: 'headers' },
        h('caption', { class: 'outside' }, 'Headers'),
        h(
          'tbody',
          null,
          headers.map(([name, value]) => h('tr', null, h('th', { scope: 'row' }, name), h('td', null, value))),
        ),
      ),
    ),
  );
}

/** @param {number} status */
function statusChip(status) {
  const kind = status === 202 ? 'wait' : status < 400 ? 'good' : 'bad';
  const sign = { wait: '▲', good: '✓', bad: '✕' }[kind];
  return h('span', { class: ['chip', kind] }, h('span', { 'aria-hidden': 'true' }, sign), String(status));
}

/** Return how the answer relates to ZStack's. @param {Operation} operation */
export function fidelity({ api, facts }) {
  if (api === 'lab') return h('p', { class: 'soft' }, 'The lab’s own API: ZStack has no such call.');
  const deviates = facts.state === 'deviates';
  const said = deviates ? `Unlike ZStack: ${facts.deviation ?? ''}.` : 'As ZStack, as far as a client can see.';
  const source = facts.source ? h('span', { class: 'soft' }, ` Source, in docs/reference: ${facts.source}.`) : null;
  const sign = h('span', { class: ['chip', deviates ? 'wait' : 'good'] }, deviates ? '▲ deviates' : '✓ same');
  return h('p', { class: 'fidelity' }, sign, ' ', prose(said), source);
}
