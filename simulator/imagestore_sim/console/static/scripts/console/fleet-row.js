// A row of the fleet. Its elements are made once; what it shows is changed only where it differs.

import { h, set } from '../lib/dom.js';
import { ago, bytes, hostAndPort, milliseconds, percent } from '../lib/format.js';
import { labTime, state } from '../lib/state.js';
import { SIGNS } from '../lib/status.js';

/** @typedef {import('../lib/types.js').BackupStorage} BackupStorage */
/** @typedef {ReturnType<typeof fleetRow>} FleetRow */

/** The columns: `field` is what ZStack sorts by. @type {{name: string, title: string, field?: string}[]} */
export const ROW_CELLS = [
  { name: 'name', title: 'Name', field: 'name' },
  { name: 'status', title: 'Status', field: 'status' },
  { name: 'capacity', title: 'Used', field: 'availableCapacity' },
  { name: 'host', title: 'Host' },
  { name: 'faults', title: 'Faults' },
  { name: 'probe', title: 'Last probe' },
];

const MOST_PHASES = 6;
const ALMOST_FULL = 0.9;

/** Return what shows a text in an element; the same text again costs nothing. @param {Element} element */
function label(element) {
  let shown = '';
  return (/** @type {string} */ text) => {
    if (text === shown) return;
    shown = text;
    element.textContent = text;
  };
}

/** Return a cell. @param {string} name @param {...import('../lib/dom.js').Child} children */
function cell(name, ...children) {
  return h('div', { role: 'gridcell', class: `cell-${name}` }, children);
}

/**
 * Return an empty row.
 * @param {string} id
 * @param {number} height  pixels
 * @param {(storage: BackupStorage) => string} hrefOf
 */
export function fleetRow(id, height, hrefOf) {
  const name = h('a', { tabindex: '-1' });
  const showName = label(name);
  const parts = [statusCell(), capacityCell(), hostCell(), faultsCell(), probeCell()];
  const cells = [cell('name', name), ...parts.map((part) => part.element)];
  const element = h('div', { class: 'fleet-row', role: 'row', id, hidden: true }, cells);
  /** @type {BackupStorage | undefined} */
  let storage;
  const row = { element, index: -1, place, refresh, forget };

  /** Show a storage at a place of the list; without one, nothing. @param {BackupStorage | undefined} next @param {number} index @param {boolean} active */
  function place(next, index, active) {
    if (element.hidden !== (next === undefined)) element.hidden = next === undefined;
    if (element.classList.contains('active') !== active) element.classList.toggle('active', active);
    if (row.index !== index) {
      row.index = index;
      element.style.setProperty('transform', `translateY(${index * height}px)`);
      element.setAttribute('aria-rowindex', String(index + 2));
    }
    if (storage === next) return;
    storage = next;
    refresh();
  }

  function forget() {
    row.index = -1;
    storage = undefined;
  }

  function refresh() {
    if (storage === undefined) return;
    showName(storage.name);
    const href = hrefOf(storage);
    if (name.getAttribute('href') !== href) name.href = href;
    for (const part of parts) part.show(storage);
  }

  return row;
}

function statusCell() {
  const sign = h('span', { 'aria-hidden': 'true' });
  const text = h('span');
  const element = h('div', { role: 'gridcell', class: 'cell-status status' }, sign, ' ', text);
  let shown = '';
  /** @param {BackupStorage} storage */
  function show({ status, state }) {
    const key = `${status} ${state}`;
    if (shown === key) return;
    shown = key;
    sign.textContent = SIGNS[status] ?? '?';
    text.textContent = status;
    const disabled = state === 'Disabled';
    set(element, { class: ['cell-status status', status, disabled && 'disabled'], title: disabled ? 'Disabled' : null });
  }
  return { element, show };
}

function capacityCell() {
  const fill = h('span', { class: 'fill' });
  const used = h('span');
  const size = h('span', { class: 'size' });
  const bar = h('span', { class: 'bar', 'aria-hidden': 'true' }, fill);
  const element = cell('capacity', bar, h('span', null, used, ' ', size));
  const [showUsed, showSize] = [label(used), label(size)];
  let shown = -1;
  /** @param {BackupStorage} storage */
  function show({ totalCapacity: total, availableCapacity: available }) {
    const share = total === 0 ? 0 : (total - available) / total;
    showUsed(total === 0 ? 'unknown' : percent(total - available, total));
    showSize(total === 0 ? '' : `of ${bytes(total)}`);
    if (shown === share) return;
    shown = share;
    fill.style.setProperty('transform', `scaleX(${share.toFixed(3)})`);
    fill.classList.toggle('full', share >= ALMOST_FULL);
    element.title = `${bytes(available)} available`;
  }
  return { element, show };
}

function hostCell() {
  const element = cell('host');
  const showText = label(element);
  /** @param {BackupStorage} storage */
  function show({ hostname, sshPort }) {
    showText(hostname === undefined ? '' : sshPort === 22 ? hostname : hostAndPort(hostname, sshPort ?? 22));
  }
  return { element, show };
}

function faultsCell() {
  const element = cell('faults');
  let shown = '';
  /** @param {BackupStorage} storage */
  function show({ hostname }) {
    const host = state.hosts.get(hostname ?? '');
    const kinds = host === undefined ? [] : [...(host.listening ? [] : ['stopped']), ...host.faults.map((one) => one.kind)];
    const key = kinds.join(' ');
    if (shown === key) return;
    shown = key;
    element.replaceChildren(...kinds.map((kind) => h('span', { class: 'chip fault' }, kind)));
    element.title = key;
  }
  return { element, show };
}

function probeCell() {
  const lanes = Array.from({ length: MOST_PHASES }, () => h('span', { class: 'phase', hidden: true }));
  const text = h('span', { class: 'text' });
  const element = cell('probe', h('span', { class: 'phases', 'aria-hidden': 'true' }, lanes), text);
  const showText = label(text);
  let shown = '';

  /** @param {BackupStorage} storage */
  function show({ uuid }) {
    const latest = state.probes.get(uuid);
    const phases = Object.entries(latest?.phases ?? {});
    const sum = phases.reduce((whole, [, took]) => whole + took, 0);
    showText(latest === undefined ? '' : `${result(latest)}, ${milliseconds(sum)}, ${ago(latest.time, labTime())}`);
    const key = latest === undefined ? '' : `${uuid} ${latest.time}`;
    if (shown === key) return;
    shown = key;
    text.classList.toggle('problem', latest?.succeeded === false);
    element.title = phases.map(([phase, took]) => `${phase} ${milliseconds(took)}`).join(', ') + (latest?.message ? `: ${latest.message}` : '');
    for (const [number, lane] of lanes.entries()) showPhase(lane, phases[number], sum);
  }
  return { element, show };
}

/** @param {import('../lib/state.js').Probe} probe */
function result(probe) {
  return probe.succeeded ? (probe.method ?? 'reached') : `✕ ${probe.reason}`;
}

/** @param {HTMLElement} lane @param {[string, number] | undefined} phase @param {number} sum */
function showPhase(lane, phase, sum) {
  lane.hidden = phase === undefined || sum === 0;
  if (phase === undefined) return;
  lane.dataset.phase = phase[0];
  lane.style.setProperty('flex-grow', String(Math.max(phase[1] / sum, 0.02)));
}
