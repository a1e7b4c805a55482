// The faults on a host as chips: each with what is left of it, and a button that heals it.

import { perform } from '../lib/action.js';
import { lab } from '../lib/api.js';
import { h } from '../lib/dom.js';
import { dateTime } from '../lib/format.js';
import { parametersText } from './break-it.js';
import { countdown } from './countdown.js';

/** @typedef {import('./storage-history.js').FaultWindow} FaultWindow */

/**
 * Return the chips of the faults that are on a host.
 * @param {string} hostname
 * @param {FaultWindow[]} faults
 * @param {{mayChange: boolean, done: () => void}} options
 */
export function faultChips(hostname, faults, { mayChange, done }) {
  const all = `/hosts/${encodeURIComponent(hostname)}/faults`;
  if (faults.length === 0) return h('p', { class: 'soft' }, '✓ Nothing is wrong with its host. Choose a kind below to break it.');
  const heal = async (/** @type {string} */ path, /** @type {string} */ what) => {
    await perform(`${what} healed`, () => lab('DELETE', path));
    done();
  };
  const chips = faults.map((fault) =>
    h(
      'li',
      { class: 'chip fault', title: `since ${dateTime(fault.since)}` },
      h('span', { 'aria-hidden': 'true' }, '⚡︎'),
      h('strong', null, fault.kind),
      ` ${parametersText('faults', fault.kind, fault.parameters)} `,
      fault.healsAt === null ? h('span', { class: 'soft' }, 'until it is healed') : countdown(fault.healsAt),
      mayChange && h('button', { class: 'small plain', 'aria-label': `Heal ${fault.kind}`, onclick: () => heal(`${all}/${fault.id}`, fault.kind) }, 'Heal'),
    ),
  );
  const healAll = mayChange && faults.length > 1 && h('button', { class: 'small', onclick: () => heal(all, 'All faults of the host are') }, 'Heal all');
  return [h('ul', { class: 'chips', 'aria-label': 'Faults of its host' }, chips), healAll];
}
