// The last probe of a storage, with the time that each phase took.

import { h } from '../lib/dom.js';
import { ago, bytes, count, milliseconds, time } from '../lib/format.js';

/** @typedef {import('./storage-history.js').Probe} Probe */

const PHASES = ['resolve', 'tcp', 'kex', 'auth', 'channel', 'command'];
const SHOWN = 8;

/** Return the last probe, and those before it in a table. @param {Probe[]} probes  the oldest first @param {number} now */
export function probesPart(probes, now) {
  const last = probes.at(-1);
  if (last === undefined) return h('p', { class: 'soft' }, 'Its host has not been probed yet.');
  const before = probes.slice(-SHOWN - 1, -1).reverse();
  return h('div', null, one(last, now), before.length > 0 && h('details', null, h('summary', null, `${before.length} before it`), table(before)));
}

/** @param {Probe} probe @param {number} now */
function one(probe, now) {
  const sign = probe.succeeded ? '✓' : '✕';
  const title = h(
    'p',
    null,
    h('strong', { class: probe.succeeded ? 'good-text' : 'problem' }, h('span', { 'aria-hidden': 'true' }, `${sign} `), probe.succeeded ? found(probe) : `${probe.reason}`),
    ' ',
    h('span', { class: 'soft', title: time(probe.time) }, ago(probe.time, now)),
  );
  const why = !probe.succeeded && [h('p', { class: 'message' }, probe.message), h('p', { class: 'soft' }, probe.advice)];
  return h('div', null, title, why, phasesBar(probe.phases));
}

/** @param {Probe} probe */
function found(probe) {
  if (probe.total === null) return `answered (${probe.mode})`;
  const inodes = probe.freeInodes === null ? '' : `, ${count(probe.freeInodes)} inodes free`;
  return `${bytes(probe.available)} of ${bytes(probe.total)} by ${probe.method}${inodes}${probe.readOnly ? ', read-only' : ''}`;
}

/** Return the phases as parts of a bar, with their names and times below it. @param {Record<string, number>} phases */
export function phasesBar(phases) {
  const known = PHASES.filter((name) => phases[name] !== undefined);
  const whole = known.reduce((sum, name) => sum + (phases[name] ?? 0), 0);
  if (known.length === 0) return h('p', { class: 'soft' }, 'No phase was begun.');
  const parts = known.map((name) =>
    h('span', { class: `probe-phase ${name}`, style: { 'flex-grow': String(Math.max(phases[name] ?? 0, whole / 200)) }, title: `${name}: ${milliseconds(phases[name] ?? 0)}` }),
  );
  const legend = known.map((name) => h('li', null, h('span', { class: `key ${name}`, 'aria-hidden': 'true' }), `${name} ${milliseconds(phases[name] ?? 0)}`));
  return h('div', null, h('div', { class: 'probe-phases', 'aria-hidden': 'true' }, parts), h('ul', { class: 'legend', 'aria-label': 'Phases' }, legend, h('li', { class: 'soft' }, `${milliseconds(whole)} in all`)));
}

/** @param {Probe[]} probes */
function table(probes) {
  const head = h('tr', null, ['When', 'Result', 'Took'].map((title) => h('th', { scope: 'col' }, title)));
  const rows = probes.map((probe) => {
    const whole = Object.values(probe.phases).reduce((sum, spent) => sum + spent, 0);
    const result = probe.succeeded ? `✓ ${found(probe)}` : `✕ ${probe.reason}`;
    return h('tr', null, h('td', null, time(probe.time)), h('td', { class: probe.succeeded ? '' : 'problem', title: probe.message }, result), h('td', null, milliseconds(whole)));
  });
  return h('table', null, h('thead', null, head), h('tbody', null, rows));
}
