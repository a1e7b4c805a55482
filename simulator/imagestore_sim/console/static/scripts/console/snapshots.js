// Snapshots of all records: taken, loaded, compared, kept in a file; and the reset.

import { perform } from '../lib/action.js';
import { lab, labCall } from '../lib/api.js';
import { curlButton } from '../lib/copy.js';
import { confirm, openDialog } from '../lib/dialog.js';
import { h, replace } from '../lib/dom.js';
import { bytes, plural, time } from '../lib/format.js';
import { onChange, state } from '../lib/state.js';
import { useStyles } from '../lib/styles.js';
import { toast } from '../lib/toast.js';
import { compareSnapshots, counts, words } from './snapshot-records.js';

/** @typedef {import('../lib/types.js').MountedView} MountedView */
/** @typedef {import('./snapshot-records.js').Difference} Difference */
/** @typedef {{number: number, name: string, taken: number, text: string, chosen: boolean}} Snapshot */

const MOST = 20;
const LARGEST = 16 * 2 ** 20; // bytes, which the node reads at most
const MOST_DIFFERENCES = 200;

/** Those that the page holds: until it is closed or loaded again. @type {Snapshot[]} */
let kept = [];
let lastNumber = 0;

/** @param {HTMLElement} parent @returns {MountedView} */
export function mount(parent) {
  void useStyles('snapshots');
  const name = h('input', { 'aria-label': 'Name of the snapshot', placeholder: 'Name, if you like', maxlength: '80' });
  const take = h('button', { class: 'primary', onclick: takeOne }, 'Take a snapshot');
  const file = h('input', { type: 'file', accept: '.yaml,.yml,.json', hidden: true, onchange: open });
  const opener = h('button', { onclick: () => file.click() }, 'Open a file …');
  const compare = h('button', { onclick: compareChosen }, 'Compare two');
  const reset = h('button', { class: 'danger', onclick: resetLab }, 'Reset the lab …');
  const actions = h('div', { class: 'row' }, name, take, curlButton(() => labCall('GET', '/snapshot')), opener, file, compare, reset);
  const list = h('div');
  parent.append(
    h('div', { class: 'head' }, h('h1', null, 'Snapshots')),
    h('div', { class: 'body snapshots' }, about(), actions, list),
  );
  const end = onChange((change) => change.node && allow());
  allow();
  show();

  function allow() {
    const may = state.about?.mayChange ?? true;
    for (const button of [take, opener, reset]) button.disabled = !may;
  }

  async function takeOne() {
    const text = await perform('The snapshot is taken', () => lab('GET', '/snapshot'));
    if (text === null) return;
    add(name.value.trim(), String(text));
    name.value = '';
  }

  async function open() {
    const [chosen] = file.files ?? [];
    if (chosen === undefined) return;
    if (chosen.size > LARGEST) toast('bad', `${chosen.name} has ${bytes(chosen.size)}; the node reads ${bytes(LARGEST)} at most`);
    else add(chosen.name, await chosen.text());
    file.value = '';
  }

  /** @param {string} given @param {string} text */
  function add(given, text) {
    lastNumber += 1;
    const snapshot = { number: lastNumber, name: given || `snapshot ${lastNumber}`, taken: Date.now() / 1000, text, chosen: false };
    kept = [snapshot, ...kept].slice(0, MOST);
    show();
  }

  function show() {
    compare.disabled = kept.filter((one) => one.chosen).length !== 2;
    replace(list, kept.length > 0 ? h('ul', { class: 'snapshot-list' }, kept.map(item)) : empty());
  }

  /** @param {Snapshot} one */
  function item(one) {
    const box = h('input', { type: 'checkbox', checked: one.chosen, 'aria-label': `Compare ${one.name}`, onchange: choose });
    function choose() {
      one.chosen = box.checked;
      compare.disabled = kept.filter((other) => other.chosen).length !== 2;
    }
    const mayLoad = state.about?.mayChange ?? true;
    return h(
      'li',
      { class: 'card' },
      box,
      h('div', { class: 'snapshot-what' }, h('strong', null, one.name), h('span', { class: 'soft' }, `${time(one.taken)} · ${bytes(one.text.length)} · ${counts(one.text).join(', ') || 'no records'}`)),
      h(
        'div',
        { class: 'row' },
        h('button', { class: 'small', disabled: !mayLoad, onclick: () => load(one) }, 'Load …'),
        curlButton(() => labCall('PUT', '/snapshot?wait=true', one.text)),
        h('button', { class: 'small', onclick: () => download(one) }, 'Download'),
        h('button', { class: 'small plain', 'aria-label': `Forget ${one.name}`, onclick: () => forget(one) }, 'Forget'),
      ),
    );
  }

  /** @param {Snapshot} one */
  function forget(one) {
    kept = kept.filter((other) => other !== one);
    show();
  }

  function compareChosen() {
    const [after, before] = kept.filter((one) => one.chosen);
    if (after !== undefined && before !== undefined) showDifferences(before, after);
  }

  return { unmount: end };
}

function about() {
  return h(
    'p',
    { class: 'snapshot-note' },
    'A snapshot is all records of the node, as a file that ',
    h('code', { class: 'whole' }, '--bootstrap'),
    ' takes. It is private: it holds the passwords of storages and accounts, sealed with this node’s own key; a file that you write may hold them in plain text. ' +
      'Snapshots are kept in this page alone, and are gone when it is closed or loaded again: download what you need.',
  );
}

function empty() {
  return h(
    'div',
    { class: 'empty' },
    h('h2', null, 'No snapshot yet'),
    h('p', null, 'Take one before you break something, and load it to have every record back: storages, images, zones, accounts, tags and settings. Disks of simulated hosts and the log of events are no part of it.'),
  );
}

/** @param {Snapshot} one */
async function load(one) {
  const text = `All records of the node are replaced by those of “${one.name}”. What has been added since is gone, and sessions end.`;
  if (await confirm('Load this snapshot?', text, 'Load')) await perform(`${one.name} is loaded`, () => lab('PUT', '/snapshot?wait=true', one.text));
}

async function resetLab() {
  const text = 'All records go back to those of the start, simulated hosts are as new, and their faults are healed. Events and the log of requests begin again.';
  if (await confirm('Reset the lab?', text, 'Reset')) await perform('The lab is as it was at its start', () => lab('POST', '/reset?wait=true', {}));
}

/** @param {Snapshot} one */
function download(one) {
  const url = URL.createObjectURL(new Blob([one.text], { type: 'application/yaml' }));
  const name = `${one.name.replace(/\.(ya?ml|json)$/, '').replace(/[^\w.-]+/g, '-') || 'snapshot'}.yaml`;
  h('a', { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

/** @param {Snapshot} before @param {Snapshot} after */
function showDifferences(before, after) {
  const found = compareSnapshots(before.text, after.text);
  const many = found.length === 0 ? 'nothing is different' : plural(found.length, 'difference');
  const text = `From “${before.name}” to “${after.name}”: ${many}. Secrets are not compared.`;
  const more = found.length > MOST_DIFFERENCES && h('p', { class: 'soft' }, `These are the first ${MOST_DIFFERENCES}.`);
  const titles = ['kind', 'record', 'what'].map((title) => h('th', { scope: 'col' }, title));
  const table = h('table', { class: 'differences' }, h('thead', null, h('tr', null, titles)), h('tbody', null, found.slice(0, MOST_DIFFERENCES).map(difference)));
  openDialog('What is different', [h('p', null, text), found.length > 0 && table, more], { wide: true });
}

const SIGNS = { added: '+', removed: '−', changed: '~' };

/** @param {Difference} one */
function difference({ section, name, kind, fields }) {
  const changes = fields.map(({ field, before, after }) => h('div', null, h('span', { class: 'soft' }, `${field}: `), `${before} → ${after}`));
  return h('tr', null, h('td', null, words(section)), h('td', null, name), h('td', null, kind === 'changed' ? changes : `${SIGNS[kind]} ${kind}`));
}
