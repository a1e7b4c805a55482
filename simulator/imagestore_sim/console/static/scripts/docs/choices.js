// A text input with a list to choose from, which is filled when the input gets the focus.

import { h, newId, replace } from '../lib/dom.js';
import { Problem } from '../lib/http.js';

/** @typedef {import('./records.js').Choice} Choice */

/**
 * Return an input with suggestions. `load` is called whenever it gets the focus.
 * @param {import('../lib/dom.js').Attributes} attributes
 * @param {() => Promise<Choice[]>} load
 */
export function inputWithChoices(attributes, load) {
  const list = h('datalist', { id: newId('choices') });
  const input = h('input', { ...attributes, list: list.id, autocomplete: 'off', spellcheck: 'false', onfocus: fill });
  return { input, element: h('span', { class: 'with-choices' }, input, list) };

  async function fill() {
    try {
      const choices = await load();
      replace(
        list,
        choices.map(({ value, label }) => h('option', { value, label: label === '' ? value : `${label} (${value})` })),
      );
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // without an answer there is nothing to choose from
    }
  }
}
