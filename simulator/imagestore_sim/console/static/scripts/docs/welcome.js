// What is shown where no operation is chosen: what the explorer is, and where to begin.

import { h } from '../lib/dom.js';
import { plural } from '../lib/format.js';
import { placeText } from './location.js';
import { methodBadge } from './parts.js';

/** @typedef {import('./operations.js').Operation} Operation */

/** Operations that people look for first, by id. */
const FIRST = [
  'APIQueryImageStoreBackupStorageMsg',
  'APIAddImageStoreBackupStorageMsg',
  'APIReconnectImageStoreBackupStorageMsg',
  'APIAddImageMsg',
  'APIQueryZoneMsg',
  'getHosts',
  'postHostsNameFaults',
  'postClockStep',
];

/**
 * Return the page. `missing` is the id of an operation that the URL names and that there is none of.
 * @param {Operation[]} operations
 * @param {string} missing
 */
export function welcome(operations, missing) {
  const first = FIRST.flatMap((id) => operations.find((one) => one.id === id) ?? []);
  const count = (/** @type {string} */ api) => plural(operations.filter((one) => one.api === api).length, 'call');
  return h(
    'div',
    { class: 'welcome' },
    h('h1', null, missing === '' ? 'API explorer' : 'No such API'),
    missing !== '' &&
      h('p', { class: 'problem', role: 'alert' }, `There is no API ${missing} here. Search for it on the left.`),
    h(
      'p',
      null,
      `${count('zstack')} of ZStack’s API and ${count('lab')} of the lab’s own: what each takes and answers, and the call itself, made live on this node.`,
    ),
    h('h2', null, 'Where to begin'),
    h(
      'ul',
      { class: 'first' },
      first.map((one) =>
        h(
          'li',
          null,
          h(
            'a',
            { href: placeText(one.api, one.id) },
            methodBadge(one.method),
            ' ',
            h('strong', null, one.operationId),
            ' ',
            one.summary,
          ),
        ),
      ),
    ),
    h('h2', null, 'Keys'),
    h(
      'dl',
      { class: 'keys' },
      [
        ['/', 'search'],
        ['↓ ↑', 'go through the list'],
        ['Enter', 'open the first that was found'],
        ['Ctrl + Enter', 'send the call'],
      ].map(([key, text]) => [h('dt', null, h('kbd', null, key)), h('dd', null, text)]),
    ),
    h(
      'p',
      { class: 'soft' },
      'It is made from ',
      h('a', { href: '/openapi.json?unfolded' }, '/openapi.json?unfolded'),
      ' and ',
      h('a', { href: '/lab/v1/openapi.json' }, '/lab/v1/openapi.json'),
      '. For generators of clients: ',
      h('a', { href: '/openapi.json' }, '/openapi.json'),
      '.',
    ),
  );
}
