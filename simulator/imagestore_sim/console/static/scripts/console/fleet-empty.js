// What a fleet without storages says: how to get one.

import { perform } from '../lib/action.js';
import { zstack, zstackCall } from '../lib/api.js';
import { curlText } from '../lib/copy.js';
import { h } from '../lib/dom.js';
import { currentLogin } from '../lib/session.js';
import { state } from '../lib/state.js';

const ADD = '/backup-storage/image-store';
const HOST = { name: 'imagestore-1', hostname: 'imagestore-1', username: 'root', password: 'password', url: '/Cloud_bs' };

/** Return what to do about a fleet that is empty. */
export function emptyFleet() {
  if (state.storagesProblem !== null) return problem(state.storagesProblem.text);
  const call = zstackCall('POST', ADD, { body: { params: HOST } });
  return h(
    'div',
    { class: 'empty' },
    h('h2', null, 'No backup storage yet'),
    h('p', null, state.about?.hasHosts ? IN_A_LAB : ALONE),
    state.about?.hasHosts && state.about.mayChange && currentLogin() !== null && h('p', null, h('button', { class: 'primary', onclick: add }, 'Add imagestore-1')),
    h('p', null, 'From a terminal, as any client of ZStack does it:'),
    h('pre', { class: 'code', tabindex: '0' }, curlText([call])),
    h('p', null, 'A ', h('a', { href: '/docs' }, 'description of every call'), ' is in the API explorer.'),
  );
}

const IN_A_LAB = 'This lab makes a simulated host for each name that is added. The button adds one with its storage.';
const ALONE = 'This node probes the hosts that are added to it, over SSH: give it the name, the login and the path of one.';

async function add() {
  await perform('imagestore-1 is added', () => zstack('POST', ADD, { body: { params: HOST } }));
}

/** @param {string} text */
function problem(text) {
  return h('div', { class: 'empty' }, h('h2', null, 'The storages cannot be read'), h('p', { class: 'problem' }, text));
}
