// "Break it": a kind of fault is chosen, and its form put on the page.

import { lab, labCall, Problem } from '../lib/api.js';
import { h, newId, replace } from '../lib/dom.js';
import { faultForm } from './fault-form.js';
import { marked } from './marked.js';
import { plainSchema, shown } from './schema-fields.js';

/** @typedef {import('./fault-form.js').Kind} Kind */

const LAYERS = { network: 'Network', ssh: 'sshd', session: 'Session', disk: 'Disk and path', agent: 'Agent (pings meet it where ping.mode is agent)' };
const QUICK = ['blackhole', 'refuse', 'auth_failure', 'fill', 'read_only', 'path_gone', 'hung_mount', 'agent_down'];

/** @type {Promise<{faults: Kind[], nodeFaults: Kind[]}> | null} */
let loading = null;
/** @type {{faults: Kind[], nodeFaults: Kind[]} | null} */
let known = null;

/** Return the kinds of fault that the node has; they never change while it runs. Throw Problem. */
export async function faultKinds() {
  loading ??= lab('GET', '/faults');
  try {
    known = await loading;
    return await loading;
  } catch (error) {
    loading = null;
    throw error;
  }
}

/** Return whether the kinds have been read, so that parameters have units. */
export function kindsKnown() {
  return known !== null;
}

/**
 * Return the parameters of a fault as a text, but for `for` and `when`; with units as soon as the kinds are known.
 * @param {'faults' | 'nodeFaults'} registry
 * @param {string} kind
 * @param {Record<string, unknown>} parameters
 */
export function parametersText(registry, kind, parameters) {
  const members = known?.[registry].find((one) => one.kind === kind)?.schema.properties ?? {};
  const given = Object.entries(parameters).filter(([name]) => name !== 'for' && name !== 'when');
  return given.map(([name, value]) => `${name} ${shown(Array.isArray(value) ? value.join(', ') : value, plainSchema(members[name] ?? {}))}`).join(' · ');
}

/**
 * Return the part of the page that breaks a host.
 * @param {{hostname: string, url: string, refused?: string, chosen: string, choose: (kind: string) => void, done: () => void}} options
 *   `chosen` is the kind to begin with, `choose` is told of another one
 */
export function breakIt({ hostname, url, refused, chosen, choose, done }) {
  const id = newId('kinds');
  const select = h('select', { id, onchange: () => show(select.value, true) }, h('option', { value: '' }, 'Loading …'));
  const about = h('div', { class: 'about-kind' });
  const quick = h('div', { class: 'quick row', role: 'group', 'aria-label': 'Frequent kinds' });
  const whole = h('div', { class: 'break-it' }, h('div', { class: 'field' }, h('label', { for: id }, 'Kind of fault'), select), quick, about);
  /** @type {Map<string, Kind>} */
  let kinds = new Map();
  void load();

  async function load() {
    try {
      const { faults } = await faultKinds();
      kinds = new Map(faults.map((one) => [one.kind, one]));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return replace(whole, h('p', { class: 'problem' }, error.text));
    }
    replace(select, h('option', { value: '' }, 'Choose one …'), Object.entries(LAYERS).map(([layer, title]) => group(layer, title)));
    const some = QUICK.filter((kind) => kinds.has(kind));
    replace(quick, some.map((kind) => h('button', { class: 'small', type: 'button', data: { kind }, 'aria-pressed': 'false', onclick: () => show(kind, true) }, kind)));
    show(chosen, false);
  }

  /** @param {string} layer @param {string} title */
  function group(layer, title) {
    const some = [...kinds.values()].filter((one) => one.layer === layer);
    return some.length > 0 && h('optgroup', { label: title }, some.map((one) => h('option', { value: one.kind }, one.kind)));
  }

  /** @param {string} name @param {boolean} byHand */
  function show(name, byHand) {
    const kind = kinds.get(name);
    select.value = kind === undefined ? '' : name;
    for (const button of quick.querySelectorAll('button')) button.setAttribute('aria-pressed', String(button.dataset.kind === name));
    if (byHand) choose(kind === undefined ? '' : name);
    if (kind === undefined) return replace(about, h('p', { class: 'soft' }, 'A fault lasts until it is healed, or for a time that you choose. The next ping meets it.'));
    const path = `/hosts/${encodeURIComponent(hostname)}/faults`;
    const required = kind.schema.required ?? [];
    const form = faultForm(kind, {
      verb: `Break ${hostname}`,
      values: required.includes('path') ? { path: url } : {},
      refused,
      said: () => `${name} is on ${hostname}`,
      call: (body) => labCall('POST', path, body),
      send: (body) => lab('POST', path, body),
      done,
    });
    const whyNot = kind.form?.how === null ? kind.form.whyNot : null;
    replace(about, h('p', null, marked(kind.description)), h('p', { class: 'soft' }, 'When it heals: ', marked(kind.heals)), whyNot !== null && h('p', { class: 'problem' }, whyNot), form);
  }

  return {
    element: whole,
    /** Show the form of a kind, and go to it. @param {string} kind */
    open(kind) {
      show(kind, true);
      whole.scrollIntoView({ block: 'nearest' });
      /** @type {HTMLElement | null} */ (about.querySelector('input, select, textarea, button'))?.focus();
    },
  };
}
