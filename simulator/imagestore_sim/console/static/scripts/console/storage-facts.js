// The facts of a storage: its record, its host, and its images.

import { Problem, zstack, zstackCall } from '../lib/api.js';
import { copyButton, curlButton } from '../lib/copy.js';
import { h } from '../lib/dom.js';
import { bytes, count, hostAndPort, percent, plural } from '../lib/format.js';
import { currentLogin } from '../lib/session.js';

/** @typedef {import('../lib/types.js').BackupStorage} BackupStorage */
/** @typedef {import('../lib/types.js').Host} Host */

const IMAGES = 10;

/** Return the record of a storage; null if it is not there, or no one is logged in. @param {string} uuid @returns {Promise<BackupStorage | null>} */
export async function readRecord(uuid) {
  if (currentLogin() === null) return null;
  try {
    const { inventories } = await zstack('GET', '/backup-storage', { query: { q: `uuid=${uuid}` } });
    return inventories[0] ?? null;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return null;
  }
}

/** Return the record as ZStack's API shows it. @param {BackupStorage} storage */
export function recordPart(storage) {
  const call = zstackCall('GET', '/backup-storage', { query: { q: `uuid=${storage.uuid}` } });
  const facts = h(
    'dl',
    { class: 'facts' },
    pair('UUID', h('code', null, storage.uuid)),
    pair('Type', storage.type),
    pair('State', `${storage.state === 'Enabled' ? '✓' : '⏸︎'} ${storage.state}`),
    storage.hostname !== undefined && pair('Address', `${storage.username ?? ''}@${hostAndPort(storage.hostname, storage.sshPort ?? 22)}`),
    pair('URL', h('code', null, storage.url)),
    pair('Available', `${bytes(storage.availableCapacity)} of ${bytes(storage.totalCapacity)} (${percent(storage.availableCapacity, storage.totalCapacity)})`),
    pair('Zones', storage.attachedZoneUuids?.length > 0 ? plural(storage.attachedZoneUuids.length, 'zone') : 'attached to none'),
    pair('Created', storage.createDate),
    pair('Changed', storage.lastOpDate),
  );
  const text = JSON.stringify(storage, null, 2);
  const raw = h('details', null, h('summary', null, 'As JSON'), h('pre', { class: 'code', tabindex: '0' }, text), copyButton(() => text), curlButton(() => call));
  return [facts, raw];
}

/** Return the host as the lab shows it. @param {Host} host */
export function hostPart(host) {
  const disk = host.size === null ? 'does not answer now' : `${bytes(host.used)} of ${bytes(host.size)} used${host.readOnly ? ', read-only' : ''}`;
  const agent = host.agentRunning === null ? 'cannot be asked now' : host.agentRunning ? '● runs' : '✕ does not run';
  const more = /** @type {any} */ (host);
  return h(
    'dl',
    { class: 'facts' },
    pair('Host', `${host.listening ? '● runs' : '■ is shut down'}`),
    pair('Address', h('code', null, host.address)),
    pair('Disk', disk),
    pair('Agent', agent),
    pair('Account', host.username ?? 'any may log in'),
    pair('Logins', more.logins === null ? 'not counted' : count(more.logins)),
    pair('Open connections', more.connections === null ? 'unknown' : count(more.connections)),
  );
}

/** @param {string} name @param {import('../lib/dom.js').Child} value */
function pair(name, value) {
  return [h('dt', null, name), h('dd', null, value)];
}

/** Return the images that a storage holds. @param {string} uuid @returns {Promise<import('../lib/dom.js').Child>} */
export async function imagesPart(uuid) {
  if (currentLogin() === null) return h('p', { class: 'soft' }, 'Log in to see the images that it holds.');
  const query = { q: `backupStorageRefs.backupStorageUuid=${uuid}`, limit: IMAGES, replyWithCount: true, sort: '-createDate' };
  try {
    const { inventories, total } = await zstack('GET', '/images', { query });
    if (inventories.length === 0) return h('p', { class: 'soft' }, 'It holds no image. AddImage puts one there: its file takes space on the host.');
    const head = h('tr', null, ['Image', 'Status', 'Size'].map((title) => h('th', { scope: 'col' }, title)));
    const rows = inventories.map((/** @type {any} */ image) => {
      const reference = image.backupStorageRefs.find((/** @type {any} */ one) => one.backupStorageUuid === uuid);
      const status = reference?.status ?? image.status;
      const sign = status === 'Ready' ? '●' : status === 'Downloading' ? '▲' : '✕';
      return h('tr', null, h('td', { title: image.uuid }, image.name), h('td', null, `${sign} ${status}`), h('td', null, bytes(image.actualSize || image.size)));
    });
    const rest = total - inventories.length;
    return [
      h('table', null, h('thead', null, head), h('tbody', null, rows)),
      rest > 0 && h('p', { class: 'soft' }, `and ${plural(rest, 'image')} more`),
      curlButton(() => zstackCall('GET', '/images', { query })),
    ];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return h('p', { class: 'problem' }, error.text);
  }
}
