// The fleet: every backup storage in a table.

import { h, replace } from '../lib/dom.js';
import { bytes } from '../lib/format.js';
import { link } from '../lib/router.js';
import { onChange, state } from '../lib/state.js';
import { statusSign } from '../lib/status.js';

/** @typedef {import('../lib/types.js').MountedView} MountedView */

/** @param {HTMLElement} parent @returns {MountedView} */
export function mount(parent) {
  const body = h('tbody');
  const head = h('tr', null, ['Name', 'Status', 'Host', 'Available'].map((title) => h('th', { scope: 'col' }, title)));
  parent.append(
    h('div', { class: 'head' }, h('h1', null, 'Fleet')),
    h('div', { class: 'body' }, h('table', null, h('thead', null, head), body)),
  );
  const show = () => replace(body, ...[...state.storages.values()].map(row));
  const end = onChange((change) => (change.all || change.membership || change.storages.size > 0) && show());
  show();
  return { unmount: end };
}

/** @param {import('../lib/types.js').BackupStorage} storage */
function row(storage) {
  return h(
    'tr',
    null,
    h('td', null, h('a', { href: link(['storages', storage.uuid]) }, storage.name)),
    h('td', null, statusSign(storage.status)),
    h('td', null, storage.hostname),
    h('td', null, `${bytes(storage.availableCapacity)} of ${bytes(storage.totalCapacity)}`),
  );
}
