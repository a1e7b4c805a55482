// A row of the fleet. Its elements are made once; what it shows is changed only where it differs.

import { h, set, setText } from '../lib/dom.js';
import { ago, bytes, milliseconds, percent } from '../lib/format.js';
import { link, route } from '../lib/router.js';
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

/** Return an empty row. @param {string} id @param {number} height  pixels */
export function fleetRow(id, height) {
  const name = h('a', { tabindex: '-1' });
  const sign = h('span', { 'aria-hidden': 'true' });
  const status = h('span');
  const statusCell = h('div', { role: 'gridcell', class: 'cell-status status' }, sign, ' ', status);
  const fill = h('span', { class: 'fill' });
  const used = h('span');
  const size = h('span', { class: 'size' });
  const capacity = h('div', { role: 'gridcell', class: 'cell-capacity' }, h('span', { class: 'bar', 'aria-hidden': 'true' }, fill), h('span', null, used, ' ', size));
  const host = h('div', { role: 'gridcell', class: 'cell-host' });
  const faults = h('div', { role: 'gridcell', class: 'cell-faults' });
  const lanes = Array.from({ length: MOST_PHASES }, () => h('span', { class: 'phase', hidden: true }));
  const probe = h('span', { class: 'text' });
  const probeCell = h('div', { role: 'gridcell', class: 'cell-probe' }, h('span', { class: 'phases', 'aria-hidden': 'true' }, lanes), probe);
  const element = h('div', { class: 'fleet-row', role: 'row', id, hidden: true }, h('div', { role: 'gridcell', class: 'cell-name' }, name), statusCell, capacity, host, faults, probeCell);
  /** @type {BackupStorage | undefined} */
  let storage;
  const row = { element, index: -1, place, refresh, forget };
  let query = '';

  /** Show a storage at a place of the list; without one, nothing. @param {BackupStorage | undefined} next @param {number} index @param {boolean} active */
  function place(next, index, active) {
    if (element.hidden !== (next === undefined)) element.hidden = next === undefined;
    if (element.classList.contains('active') !== active) element.classList.toggle('active', active);
    if (row.index !== index) {
      row.index = index;
      element.style.setProperty('transform', `translateY(${index * height}px)`);
      element.setAttribute('aria-rowindex', String(index + 2));
    }
    const nextQuery = route().query.toString();
    if (next !== undefined && (next !== storage || query !== nextQuery)) {
      query = nextQuery;
      const kept = route().query;
      name.href = link(['storages', next.uuid], { q: kept.getAll('q'), sort: kept.get('sort') });
    }
    storage = next;
    refresh();
  }

  function forget() {
    row.index = -1;
  }

  function refresh() {
    if (storage === undefined) return;
    setText(name, storage.name);
    showStatus(storage);
    showCapacity(storage);
    setText(host, storage.hostname === undefined ? '' : storage.sshPort === 22 ? storage.hostname : `${storage.hostname}:${storage.sshPort}`);
    showFaults(storage);
    showProbe(storage);
  }

  /** @param {BackupStorage} storage */
  function showStatus(storage) {
    if (status.textContent === storage.status && statusCell.dataset.state === storage.state) return;
    statusCell.dataset.state = storage.state;
    setText(sign, SIGNS[storage.status] ?? '?');
    setText(status, storage.status);
    set(statusCell, { class: ['cell-status status', storage.status, storage.state === 'Disabled' && 'disabled'] });
    set(statusCell, { title: storage.state === 'Disabled' ? 'Disabled' : null });
  }

  /** @param {BackupStorage} storage */
  function showCapacity(storage) {
    const taken = storage.totalCapacity - storage.availableCapacity;
    const share = storage.totalCapacity === 0 ? 0 : taken / storage.totalCapacity;
    setText(used, storage.totalCapacity === 0 ? 'unknown' : percent(taken, storage.totalCapacity));
    setText(size, storage.totalCapacity === 0 ? '' : `of ${bytes(storage.totalCapacity)}`);
    const width = `scaleX(${share.toFixed(3)})`;
    if (fill.dataset.width === width) return;
    fill.dataset.width = width;
    fill.style.setProperty('transform', width);
    fill.classList.toggle('full', share >= ALMOST_FULL);
    capacity.title = `${bytes(storage.availableCapacity)} available`;
  }

  /** @param {BackupStorage} storage */
  function showFaults(storage) {
    const found = state.hosts.get(storage.hostname ?? '');
    const kinds = found === undefined ? [] : [...(found.listening ? [] : ['stopped']), ...found.faults.map((one) => one.kind)];
    const key = kinds.join(' ');
    if (faults.dataset.key === key) return;
    faults.dataset.key = key;
    faults.replaceChildren(...kinds.map((kind) => h('span', { class: 'chip fault' }, kind)));
    faults.title = key;
  }

  /** @param {BackupStorage} storage */
  function showProbe({ uuid }) {
    const latest = state.probes.get(uuid);
    if (latest === undefined) {
      setText(probe, '');
      for (const lane of lanes) lane.hidden = true;
      return;
    }
    const phases = Object.entries(latest.phases);
    const sum = phases.reduce((whole, [, took]) => whole + took, 0);
    const result = latest.succeeded ? (latest.method ?? 'reached') : `✕ ${latest.reason}`;
    setText(probe, `${result}, ${milliseconds(sum)}, ${ago(latest.time, labTime())}`);
    if (probeCell.dataset.time === String(latest.time)) return;
    probeCell.dataset.time = String(latest.time);
    probe.classList.toggle('problem', !latest.succeeded);
    probeCell.title = phases.map(([phase, took]) => `${phase} ${milliseconds(took)}`).join(', ') + (latest.message ? `: ${latest.message}` : '');
    for (const [number, lane] of lanes.entries()) {
      const phase = phases[number];
      lane.hidden = phase === undefined || sum === 0;
      if (phase === undefined) continue;
      lane.dataset.phase = phase[0];
      lane.style.setProperty('flex-grow', String(Math.max(phase[1] / sum, 0.02)));
    }
  }

  return row;
}
