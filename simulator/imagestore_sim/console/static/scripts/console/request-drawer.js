// One request: what came and what was answered, its job, the events and probes that it caused, and what a test can say.

import { lab, Problem } from '../lib/api.js';
import { copyButton, curlText } from '../lib/copy.js';
import { h, newId, replace } from '../lib/dom.js';
import { dateTime, milliseconds, shortUuid, time } from '../lib/format.js';
import { link } from '../lib/router.js';
import { state } from '../lib/state.js';
import { useStyles } from '../lib/styles.js';
import { curlAssertion, pytestAssertion, scenarioStep, shortApi } from './request-snippets.js';

/** @typedef {import('./request-snippets.js').ShownRequest} ShownRequest */
/** @typedef {import('../lib/types.js').LabEvent} LabEvent */
/** @typedef {{uuid: string, message: string, state: string, began: number, ended: number | null, error: string | null, details: string | null}} Job */
/** @typedef {{storageUuid: string, time: number, succeeded: boolean, reason: string | null, message: string | null, method: string | null, phases: Record<string, number>}} Probe */
/** @typedef {{request: ShownRequest, job: Job | null, events: LabEvent[], probes: Probe[], related: ShownRequest[]}} Detail */

const RUNNING_MS = 700;

/** @param {HTMLElement} parent @param {import('../lib/types.js').ViewContext} context @returns {import('../lib/types.js').MountedView} */
export function mount(parent, context) {
  void useStyles('requests');
  const number = context.route.parts[1] ?? '';
  let timer = 0;
  let ended = false;
  const place = h('div', { class: 'request' }, h('p', { class: 'soft' }, 'Reading it …'));
  parent.append(place);

  async function read() {
    try {
      /** @type {Detail} */
      const detail = await lab('GET', `/requests/${encodeURIComponent(number)}`);
      if (ended) return;
      replace(place, shown(detail));
      if (detail.job?.state === 'Processing') timer = setTimeout(read, RUNNING_MS);
    } catch (error) {
      if (!(error instanceof Problem || error instanceof TypeError)) throw error;
      replace(place, h('p', { class: 'problem' }, error instanceof Problem ? error.text : 'The node does not answer.'));
    }
  }

  void read();
  return {
    unmount() {
      ended = true;
      clearTimeout(timer);
    },
  };
}

/** @param {Detail} detail */
function shown({ request, job, events, probes, related }) {
  return [
    h('p', { class: 'line' }, h('strong', null, request.method), ' ', h('code', null, request.path)),
    facts([
      ['Answer', outcome(request)],
      ['API', request.api === '' ? 'none' : h('span', { title: request.api }, shortApi(request.api))],
      ['When', `${dateTime(request.time)}, after ${milliseconds(request.milliseconds)}`],
      ['Client', `${request.client} ${request.headers['user-agent'] ?? ''}`],
      ['Account', request.account === null ? 'none' : h('code', { title: request.account }, shortUuid(request.account))],
      ...(request.faults.length === 0 ? [] : [/** @type {[string, any]} */ (['Faults met', request.faults.map((id) => h('a', { class: 'chip fault', href: link(['node-faults']) }, id))])]),
    ]),
    snippets(request),
    job !== null && jobPart(job, related),
    events.length > 0 && eventsPart(events),
    probes.length > 0 && probesPart(probes),
    h('h3', null, 'Headers'),
    facts(Object.entries(request.headers)),
    h('h3', null, 'Body'),
    request.body === null ? h('p', { class: 'soft' }, 'It has none.') : h('pre', { class: 'code', tabindex: '0', 'aria-label': 'Body' }, pretty(request.body)),
  ];
}

/** @param {[string, any][]} pairs */
function facts(pairs) {
  return h('dl', { class: 'facts' }, pairs.map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));
}

/** Return a status with its sign. @param {ShownRequest} request */
export function outcome(request) {
  const failed = request.status >= 400 || request.status === 0;
  const text = request.status === 0 ? 'no answer' : String(request.status);
  return h('span', { class: ['outcome', failed ? 'failed' : 'passed'] }, h('span', { 'aria-hidden': 'true' }, failed ? '✕ ' : '● '), text, request.error === null ? '' : ` ${request.error}`);
}

// What can be copied

/** @param {ShownRequest} request */
function snippets(request) {
  const tokenNeeded = state.about?.tokenNeeded ?? false;
  /** @type {[string, () => string][]} */
  const kinds = [
    ['Assert with pytest', () => pytestAssertion(request)],
    ['Assert with curl', () => curlAssertion(request, location.origin, tokenNeeded)],
    ['Scenario step', () => scenarioStep(request)],
    ['Repeat with curl', () => repeat(request)],
  ];
  const id = newId('snippet');
  const code = h('pre', { class: 'code', id, tabindex: '0', 'aria-label': 'To copy' });
  let chosen = 0;
  const buttons = kinds.map(([name], number) => h('button', { class: 'small', 'aria-controls': id, onclick: () => choose(number) }, name));
  const text = () => kinds[chosen]?.[1]() ?? '';
  function choose(/** @type {number} */ number) {
    chosen = number;
    buttons.forEach((one, other) => one.setAttribute('aria-pressed', String(other === number)));
    code.textContent = text();
  }
  choose(0);
  return [h('h3', null, 'Copy as'), h('div', { class: 'row kinds' }, buttons), code, copyButton(text)];
}

/** @param {ShownRequest} request */
function repeat(request) {
  let body;
  try {
    body = request.body === null ? undefined : JSON.parse(request.body);
  } catch {
    body = request.body;
  }
  return curlText([{ method: request.method, path: request.path, api: 'zstack', body }]);
}

// What it caused

/** @param {Job} job @param {ShownRequest[]} related */
function jobPart(job, related) {
  const lasted = job.ended === null ? 'it runs' : `${time(job.began)} to ${time(job.ended)}`;
  const polls = related.filter((one) => one.api === 'api-jobs').length;
  return [
    h('h3', null, 'Job'),
    facts([
      ['State', h('span', { class: job.state === 'Failed' ? 'problem' : '' }, `${job.state}${job.error === null ? '' : `: ${job.error}`}`)],
      ...(job.details === null ? [] : [/** @type {[string, any]} */ (['Why', job.details])]),
      ['When', lasted],
      ['Uuid', h('code', null, job.uuid)],
      ['Polls', related.length === 0 ? 'none' : [`${polls} `, h('a', { href: link(['requests'], { job: job.uuid }) }, 'show them')]],
    ]),
  ];
}

/** @param {LabEvent[]} events */
function eventsPart(events) {
  return [h('h3', null, 'Events'), h('ul', { class: 'caused' }, events.map((one) => h('li', null, h('span', { class: 'soft' }, time(one.time)), ' ', h('code', null, one.path), ' ', said(one))))];
}

/** @param {LabEvent} event */
function said({ content, resourceUuid }) {
  const name = content['name'] ?? state.storages.get(resourceUuid)?.name ?? shortUuid(resourceUuid);
  const change = content['newStatus'] === undefined ? '' : `: ${content['oldStatus']} → ${content['newStatus']}`;
  return `${name}${change}`;
}

/** @param {Probe[]} probes */
function probesPart(probes) {
  return [
    h('h3', null, 'Probes'),
    h(
      'ul',
      { class: 'caused' },
      probes.map((one) => {
        const storage = state.storages.get(one.storageUuid);
        const phases = Object.entries(one.phases).map(([name, spent]) => `${name} ${milliseconds(spent)}`);
        const text = one.succeeded ? `● ${one.method ?? 'reached'}` : `✕ ${one.reason}: ${one.message}`;
        return h('li', { class: one.succeeded ? '' : 'problem' }, h('span', { class: 'soft' }, time(one.time)), ' ', h('a', { href: link(['storages', one.storageUuid]) }, storage?.name ?? shortUuid(one.storageUuid)), ` ${text}`, h('div', { class: 'soft' }, phases.join(', ')));
      }),
    ),
  ];
}

/** @param {string} body */
function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
