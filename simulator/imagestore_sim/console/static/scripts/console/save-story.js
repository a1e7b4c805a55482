// "Save as scenario": what was done by hand, as a file that `imagestore-sim replay` takes.

import { perform } from '../lib/action.js';
import { lab, labCall } from '../lib/api.js';
import { copyButton, curlButton } from '../lib/copy.js';
import { openDialog } from '../lib/dialog.js';
import { h, newId, replace } from '../lib/dom.js';
import { dateTime, plural } from '../lib/format.js';

/** @typedef {import('./timeline-scale.js').Range} Range */
/** @typedef {{yaml: string, from: number, to: number, steps: number, expectations: number, leftOut: string[], check: {held: boolean, seconds: number, text: string} | null}} Written */

/**
 * Open the dialog. Each choice is a name and a range; null is all since the start, or the last reset.
 * @param {{name: string, range: Range | null}[]} choices  the last one is chosen
 */
export function openSaveStory(choices) {
  const title = h('input', { id: newId('title'), maxlength: '200', placeholder: 'What was done by hand', autocomplete: 'off' });
  const check = h('input', { type: 'checkbox', id: newId('check') });
  const result = h('div', { class: 'story', 'aria-live': 'polite' });
  const write = h('button', { class: 'primary', type: 'submit' }, 'Write the scenario');
  const name = newId('range');
  const radios = choices.map(({ name: text }, number) => {
    const id = newId('choice');
    const radio = h('input', { type: 'radio', name, id, value: String(number), checked: number === choices.length - 1 });
    return h('div', { class: 'row' }, radio, h('label', { for: id }, text));
  });

  function body() {
    const chosen = radios.findIndex((one) => one.querySelector('input')?.checked);
    const range = choices[chosen]?.range ?? null;
    return {
      ...(range === null ? {} : { from: range.from, to: range.to }),
      ...(title.value.trim() === '' ? {} : { title: title.value.trim() }),
      ...(check.checked ? { check: true } : {}),
    };
  }

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    write.disabled = true;
    const asked = body();
    replace(result, h('p', { class: 'soft' }, check.checked ? 'Writing it, and playing it once …' : 'Writing it …'));
    const written = await perform(said, () => lab('POST', '/scenario', asked));
    write.disabled = false;
    replace(result, written === null ? h('p', { class: 'problem' }, 'Nothing was written.') : shown(written, asked));
  }

  openDialog(
    'Save as scenario',
    [
      h('p', { class: 'soft' }, 'The faults, fills and stops of hosts, the faults of the node and the calls of clients become the steps of a story; the statuses that were seen become what it expects. It holds no password.'),
      h(
        'form',
        { onsubmit: submit },
        h('div', { class: 'field' }, h('label', { for: title.id }, 'Title'), title),
        h('fieldset', null, h('legend', null, 'Which time'), radios),
        h('div', { class: 'row check' }, check, h('label', { for: check.id }, 'Play it once to see that it holds (some seconds)')),
        h('div', { class: 'buttons' }, curlButton(() => labCall('POST', '/scenario', body())), write),
      ),
      result,
    ],
    { wide: true },
  );
  title.focus();
}

/** @param {Written} written */
function said(written) {
  return `Written: ${plural(written.steps, 'step')} and ${plural(written.expectations, 'expectation')}`;
}

/** @param {Written} written @param {Record<string, unknown>} asked */
function shown(written, asked) {
  const file = `${fileName(String(asked['title'] ?? 'story'))}.yaml`;
  const command = `imagestore-sim replay ${file}`;
  return [
    h('p', null, `${said(written)}, from ${dateTime(written.from)} to ${dateTime(written.to)}.`),
    written.check !== null && verdict(written.check),
    written.leftOut.length > 0 && [h('p', null, 'Not in it:'), h('ul', { class: 'left-out' }, written.leftOut.map((one) => h('li', null, one)))],
    h('pre', { class: 'code yaml', tabindex: '0', 'aria-label': 'The scenario' }, written.yaml),
    h(
      'div',
      { class: 'row' },
      copyButton(() => written.yaml, 'Copy'),
      h('button', { class: 'small', onclick: () => download(file, written.yaml) }, 'Download'),
      h('span', { class: 'soft' }, 'and play it: '),
      h('code', null, command),
      copyButton(() => command, 'Copy command'),
    ),
  ];
}

/** @param {{held: boolean, seconds: number, text: string}} check */
function verdict(check) {
  const text = check.held ? `✓ Played in ${check.seconds} s: every expectation held.` : `✕ Played in ${check.seconds} s: not all of it held.`;
  return [h('p', { class: ['verdict', check.held ? 'held' : 'problem'] }, text), !check.held && h('pre', { class: 'code', tabindex: '0' }, check.text)];
}

/** @param {string} text */
function fileName(text) {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'story';
}

/** @param {string} name @param {string} text */
function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/yaml' }));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
