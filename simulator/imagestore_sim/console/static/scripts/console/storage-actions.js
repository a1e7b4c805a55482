// What is done to a storage and its host, each by an ordinary call.

import { perform } from '../lib/action.js';
import { lab, zstack } from '../lib/api.js';
import { confirm } from '../lib/dialog.js';
import { h } from '../lib/dom.js';
import { bytes, plural } from '../lib/format.js';
import { menuButton } from '../lib/menu.js';

/** @typedef {import('../lib/types.js').BackupStorage} BackupStorage */
/** @typedef {import('../lib/types.js').Host} Host */

/**
 * @typedef {object} Subject  the storage as it is known now
 * @property {string} uuid
 * @property {string} name
 * @property {string} hostname
 * @property {boolean} tracked
 * @property {BackupStorage | null} storage  null: no one is logged in, or it is gone
 * @property {Host | null} host  null: it has no simulated host
 * @property {boolean} mayChange  whether the lab's API may be used for changes
 */

/**
 * Return the buttons of a storage. `subject` is asked whenever one is used; `done` is called after each change,
 * `open` shows the form of a kind of fault.
 * @param {() => Subject} subject
 * @param {{done: () => void, open: (kind: string) => void, deleted: () => void}} events
 */
export function storageActions(subject, { done, open, deleted }) {
  const probe = button('Probe now', 'Ask its host once: status and capacity stay as they are', () => probeNow());
  const ping = button('Ping now', 'What the tracker does every ping.interval: a failure disconnects the storage', () => pingNow());
  const reconnect = button('Reconnect', 'Connect again, with a new login', () => reconnectNow());
  const more = menuButton(['More ', h('span', { 'aria-hidden': 'true' }, '▾')], items);
  const element = h('div', { class: 'row actions' }, probe, ping, reconnect, more);

  /** Say what can be used now. */
  function show() {
    const { storage, hostname, tracked, mayChange } = subject();
    const hostless = hostname === '' ? 'This type of storage has no host' : '';
    const locked = mayChange ? '' : 'Start the node with --lab-api to allow this';
    allow(probe, hostless || locked);
    allow(ping, hostless || locked || (tracked ? '' : 'This storage is never pinged: its record stands as written'));
    allow(reconnect, storage === null ? 'Log in to use ZStack’s API' : '');
  }

  async function probeNow() {
    const { uuid } = subject();
    await perform(probed, () => lab('POST', `/storages/${uuid}/probe`));
    done();
  }

  async function pingNow() {
    const { uuid } = subject();
    await perform((answer) => `Pinged: ${answer.status}${answer.lastProbe?.reason ? `, ${answer.lastProbe.reason}` : ''}`, () => lab('POST', `/storages/${uuid}/ping`));
    done();
  }

  async function reconnectNow() {
    const { uuid, name } = subject();
    await perform(`${name} is connected`, () => zstack('PUT', `/backup-storage/${uuid}/actions`, { body: { reconnectBackupStorage: {} } }));
    done();
  }

  /** @returns {import('../lib/menu.js').Item[]} */
  function items() {
    const { storage, host, mayChange } = subject();
    const login = storage === null ? 'Log in to use ZStack’s API' : undefined;
    const locked = mayChange ? undefined : 'Start the node with --lab-api to allow this';
    const enabled = storage?.state !== 'Disabled';
    const ofHost = host === null ? [] : [
      { label: host.listening ? 'Shut its host down' : 'Start its host', disabled: locked, action: () => void power(host) },
      { label: 'Resize its disk …', disabled: locked, action: () => open('resize') },
      { label: 'Fill its disk …', disabled: locked, action: () => open('fill') },
    ]; // prettier-ignore
    return [
      { label: enabled ? 'Disable' : 'Enable', disabled: login, action: () => void change(enabled) },
      ...ofHost,
      { label: 'Delete the storage …', danger: true, disabled: login, action: () => void remove() },
    ];
  }

  /** @param {boolean} enabled */
  async function change(enabled) {
    const { uuid, name } = subject();
    const body = { changeBackupStorageState: { stateEvent: enabled ? 'disable' : 'enable' } };
    await perform(`${name} is ${enabled ? 'Disabled' : 'Enabled'}`, () => zstack('PUT', `/backup-storage/${uuid}/actions`, { body }));
    done();
  }

  /** @param {Host} host */
  async function power({ name, listening }) {
    await perform(`${name} ${listening ? 'is shut down' : 'runs'}`, () => lab('POST', `/hosts/${encodeURIComponent(name)}/${listening ? 'stop' : 'start'}`));
    done();
  }

  async function remove() {
    const { uuid, name } = subject();
    const text = `${name} is removed from the node, and the images that only it holds are lost. Its host stays as it is.`;
    if (!(await confirm(`Delete ${name}?`, text, 'Delete'))) return;
    const query = { deleteMode: 'Permissive' };
    const answer = await perform(`${name} is deleted`, async () => [await zstack('DELETE', `/backup-storage/${uuid}`, { query })]);
    if (answer !== null) deleted();
  }

  return { element, show };
}

/** @param {string} label @param {string} title @param {() => Promise<void>} work */
function button(label, title, work) {
  const element = h('button', { title, onclick: act, data: { title } }, label);
  async function act() {
    if (element.getAttribute('aria-disabled') === 'true') return;
    element.setAttribute('aria-busy', 'true');
    await work();
    element.removeAttribute('aria-busy');
  }
  return element;
}

/** Let a button be used, or say why not: it keeps the focus. @param {HTMLElement} element @param {string} why */
function allow(element, why) {
  element.title = why === '' ? (element.dataset.title ?? '') : why;
  if (why === '') element.removeAttribute('aria-disabled');
  else element.setAttribute('aria-disabled', 'true');
}

/** @param {import('./storage-history.js').Probe} probe */
function probed(probe) {
  const milliseconds = Object.values(probe.phases).reduce((sum, one) => sum + one, 0);
  const took = `in ${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  if (!probe.succeeded) return `The probe failed: ${probe.reason}. ${probe.advice}`;
  const phases = plural(Object.keys(probe.phases).length, 'phase');
  return probe.total === null ? `The host answers (${probe.mode}) ${took}` : `${bytes(probe.available)} of ${bytes(probe.total)} available, ${took}, ${phases}`;
}
