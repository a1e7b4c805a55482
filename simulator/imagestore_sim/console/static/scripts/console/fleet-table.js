// A table of any length: only the rows that are seen exist, and they are used again while one scrolls.

import { h, newId, set, setText } from '../lib/dom.js';
import { fleetRow, ROW_CELLS } from './fleet-row.js';

/** @typedef {import('../lib/types.js').BackupStorage} BackupStorage */
/** @typedef {import('./fleet-row.js').FleetRow} FleetRow */

const ROW = 34; // pixels, as in fleet.css
const BEYOND = 6; // rows above and below what is seen

/**
 * @typedef {object} TableOptions
 * @property {(storage: BackupStorage) => void} onOpen
 * @property {(sort: string) => void} onSort
 * @property {(storage: BackupStorage) => string} hrefOf
 */

/** @param {TableOptions} options */
export function fleetTable({ onOpen, onSort, hrefOf }) {
  const prefix = newId('row');
  const headers = ROW_CELLS.map((cell) => header(cell, onSort));
  const top = h('div', { class: 'fleet-row fleet-header', role: 'row', 'aria-rowindex': '1' }, headers.map((one) => one.element));
  const body = h('div', { class: 'fleet-body', role: 'rowgroup' });
  const grid = h(
    'div',
    { class: 'fleet-grid', role: 'grid', tabindex: '0', 'aria-label': 'Backup storages', 'aria-readonly': 'true', onkeydown: key, onscroll: soon, onclick: click },
    h('div', { class: 'fleet-top', role: 'rowgroup' }, top),
    body,
  );
  const observer = new ResizeObserver(() => draw());
  observer.observe(grid);

  /** @type {BackupStorage[]} */
  let list = [];
  /** @type {FleetRow[]} */
  let rows = [];
  /** @type {Map<string, FleetRow>} the rows that are seen, by uuid */
  let seen = new Map();
  let active = 0;
  let scheduled = false;

  /** Show other storages, or the same in another order. @param {BackupStorage[]} next */
  function show(next) {
    const before = list[active]?.uuid;
    list = next;
    const at = before === undefined ? -1 : list.findIndex((one) => one.uuid === before);
    active = at >= 0 ? at : Math.min(active, Math.max(0, list.length - 1));
    body.style.setProperty('height', `${list.length * ROW}px`);
    grid.setAttribute('aria-rowcount', String(list.length + 1));
    draw();
  }

  /** Draw those of some storages that are seen; null: all of them. @param {Set<string> | null} uuids */
  function refresh(uuids) {
    if (uuids === null) for (const row of seen.values()) row.refresh();
    else if (uuids.size < seen.size) for (const uuid of uuids) seen.get(uuid)?.refresh();
    else for (const [uuid, row] of seen) if (uuids.has(uuid)) row.refresh();
  }

  function soon() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  }

  function draw() {
    const height = grid.clientHeight;
    if (height === 0) return;
    const first = Math.max(0, Math.floor(grid.scrollTop / ROW) - BEYOND);
    const wanted = Math.min(list.length - first, Math.ceil(height / ROW) + 2 * BEYOND);
    makeRows(Math.ceil(height / ROW) + 2 * BEYOND);
    seen = new Map();
    for (const [number, row] of rows.entries()) {
      const index = first + ((number - (first % rows.length) + rows.length) % rows.length);
      const storage = index < first + wanted ? list[index] : undefined;
      row.place(storage, index, index === active);
      if (storage !== undefined) seen.set(storage.uuid, row);
    }
    const current = rows.find((row) => row.index === active && !row.element.hidden);
    set(grid, { 'aria-activedescendant': current?.element.id ?? null });
  }

  /** @param {number} wanted */
  function makeRows(wanted) {
    if (rows.length >= wanted) return;
    const more = Array.from({ length: wanted - rows.length }, (_, number) => fleetRow(`${prefix}-${rows.length + number}`, ROW, hrefOf));
    body.append(...more.map((row) => row.element));
    rows = [...rows, ...more];
    for (const row of rows) row.forget();
  }

  /** @param {number} index */
  function activate(index) {
    active = Math.max(0, Math.min(list.length - 1, index));
    const [above, below] = [active * ROW, (active + 1) * ROW + top.offsetHeight - grid.clientHeight];
    if (grid.scrollTop > above) grid.scrollTop = above;
    else if (grid.scrollTop < below) grid.scrollTop = below;
    draw();
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    if (event.target !== grid) return;
    const page = Math.max(1, Math.floor(grid.clientHeight / ROW) - 2);
    const moves = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: list.length };
    const storage = list[active];
    if (event.key in moves) activate(moves[/** @type {keyof moves} */ (event.key)]);
    else if (event.key === 'Enter' && storage !== undefined) onOpen(storage);
    else return;
    event.preventDefault();
  }

  /** @param {MouseEvent} event */
  function click(event) {
    const element = /** @type {Element} */ (event.target).closest('.fleet-row');
    const row = rows.find((one) => one.element === element);
    const storage = row === undefined ? undefined : list[row.index];
    if (row === undefined || storage === undefined || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    activate(row.index);
    onOpen(storage);
  }

  return {
    element: grid,
    show,
    refresh,
    /** @param {string} sort */
    showSort(sort) {
      for (const one of headers) one.show(sort);
    },
    unmount: () => observer.disconnect(),
  };
}

/** @param {typeof ROW_CELLS[number]} cell @param {(sort: string) => void} onSort */
function header(cell, onSort) {
  const attributes = { role: 'columnheader', class: `cell-${cell.name}` };
  if (cell.field === undefined) {
    return { element: h('div', attributes, cell.title), show() {} };
  }
  const { field } = cell;
  let direction = '';
  const sign = h('span', { 'aria-hidden': 'true' });
  const act = () => onSort(direction === '+' ? `-${field}` : direction === '-' ? '' : `+${field}`);
  const element = h('div', attributes, h('button', { class: 'plain', onclick: act }, cell.title, sign));
  return {
    element,
    /** @param {string} sort */
    show(sort) {
      direction = sort.replace(/^[-+]/, '') === field ? (sort.startsWith('-') ? '-' : '+') : '';
      set(element, { 'aria-sort': { '+': 'ascending', '-': 'descending' }[direction] ?? 'none' });
      setText(sign, { '+': ' ▲', '-': ' ▼' }[direction] ?? '');
    },
  };
}

/** Return storages in an order, by name without one. @param {BackupStorage[]} storages @param {string} sort */
export function sorted(storages, sort) {
  const field = /** @type {keyof BackupStorage} */ (sort.replace(/^[-+]/, '') || 'name');
  const sign = sort.startsWith('-') ? -1 : 1;
  const keyed = storages.map((storage) => ({ storage, key: keyOf(storage[field]) }));
  keyed.sort((one, other) => sign * compare(one.key, other.key) || (one.storage.uuid < other.storage.uuid ? -1 : 1));
  return keyed.map((one) => one.storage);
}

/** @param {unknown} value @returns {number | string} */
function keyOf(value) {
  return typeof value === 'number' ? value : String(value ?? '').toLowerCase();
}

/** @param {number | string} one @param {number | string} other */
function compare(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}
