// JSON as people read it: indented, its names and values told apart.

import { h } from '../lib/dom.js';

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MOST_COLOURED = 100_000;

/**
 * Return a block with a value as JSON, or a text as it is.
 * @param {unknown} value
 * @param {string} label  for screen readers
 */
export function jsonBlock(value, label) {
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  const coloured = typeof value === 'string' || text.length > MOST_COLOURED ? [text] : pieces(text);
  return h('pre', { class: 'code', tabindex: '0', role: 'region', 'aria-label': label }, coloured);
}

/** @param {string} text */
function pieces(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    parts.push(text.slice(end, match.index));
    const [whole, string, colon] = match;
    const kind = colon !== undefined ? 'name' : string !== undefined ? 'string' : 'value';
    parts.push(h('span', { class: `json-${kind}` }, colon === undefined ? whole : (string ?? '')), colon ?? '');
    end = match.index + whole.length;
  }
  return [...parts, text.slice(end)];
}
