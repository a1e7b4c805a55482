// The library of failure stories: searched, filtered by what they break, and played on this lab.

import { lab } from '../lib/api.js';
import { h, replace, setText } from '../lib/dom.js';
import { duration, plural } from '../lib/format.js';
import { Problem } from '../lib/http.js';
import { link, route, setQuery } from '../lib/router.js';
import { useStyles } from '../lib/styles.js';
import { showProblem } from './problem.js';
import { chip, firstSentence, pictureOf } from './story-parts.js';
import { mountStory } from './story.js';

/** @typedef {import('../lib/types.js').MountedView} MountedView */
/** @typedef {import('../lib/types.js').ViewContext} ViewContext */
/** @typedef {import('../lib/types.js').Route} Route */
/** @typedef {import('./story-parts.js').Story} Story */
/** @typedef {{stories: Story[], obstacle: string | null, playing: string | null, play: string | null}} Library */

/** @param {HTMLElement} parent @param {ViewContext} context @returns {MountedView} */
export function mount(parent, context) {
  void useStyles('stories');
  /** @type {{name: string, view: MountedView} | null} */
  let shown = null;
  const holder = h('div', { class: 'view stories' });
  parent.append(holder);
  const show = (/** @type {Route} */ { parts }) => {
    const name = parts[1] ?? '';
    if (shown?.name === name) return shown.view.update?.(route());
    shown?.view.unmount();
    replace(holder);
    shown = { name, view: name === '' ? mountLibrary(holder) : mountStory(holder, name) };
  };
  show(context.route);
  return { update: show, unmount: () => shown?.view.unmount() };
}

/** Show all stories. @param {HTMLElement} holder @returns {MountedView} */
function mountLibrary(holder) {
  /** @type {Library | null} */
  let library = null;
  let ended = false;
  const search = h('input', { type: 'search', 'aria-label': 'Search the stories', placeholder: 'Search, such as: disk', oninput: typed });
  const breaks = h('select', { 'aria-label': 'What they break', onchange: () => setQuery({ breaks: breaks.value }, { replace: true }) });
  const here = h('input', { type: 'checkbox', onchange: () => setQuery({ here: here.checked ? 'yes' : null }, { replace: true }) });
  const counted = h('span', { class: 'soft', role: 'status' });
  const banner = h('div');
  const cards = h('ul', { class: 'story-cards' });
  holder.append(
    h('div', { class: 'head' }, h('h1', null, 'Stories'), search, breaks, h('label', { class: 'row' }, here, 'playable here'), counted),
    h('div', { class: 'body' }, banner, cards),
  );
  replace(cards, h('li', { class: 'empty soft' }, h('span', { role: 'status' }, 'The library is being read …')));
  void read();

  function typed() {
    setQuery({ q: search.value }, { replace: true });
  }

  async function read() {
    try {
      library = await lab('GET', '/stories');
    } catch (error) {
      if (ended) return;
      if (error instanceof Problem) return replace(cards, h('li', { class: 'empty' }, h('p', null, error.text)));
      return showProblem(holder, error);
    }
    if (ended || library === null) return;
    const kinds = [...new Set(library.stories.flatMap((one) => one.faults))].sort();
    replace(breaks, h('option', { value: '' }, 'whatever they break'), kinds.map((kind) => h('option', { value: kind }, kind)));
    replace(banner, ...said(library));
    show();
  }

  function show() {
    if (library === null) return;
    const { query } = route();
    const words = (query.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean);
    if (document.activeElement !== search) search.value = query.get('q') ?? '';
    breaks.value = query.get('breaks') ?? '';
    here.checked = query.has('here');
    const found = library.stories.filter((one) => isWanted(one, words, breaks.value, here.checked));
    setText(counted, `${found.length} of ${plural(library.stories.length, 'story', 'stories')}`);
    replace(cards, found.length > 0 ? found.map(card) : h('li', { class: 'empty' }, h('p', null, 'No story is like that. ', forgetButton())));
  }

  return {
    update: show,
    unmount: () => {
      ended = true;
    },
  };
}

function forgetButton() {
  return h('button', { onclick: () => setQuery({ q: null, breaks: null, here: null }) }, 'Show all stories');
}

/** @param {Library} library */
function said({ obstacle, playing }) {
  if (obstacle !== null) return [h('p', { class: 'story-note' }, `No story can be played here: ${obstacle}.`)];
  if (playing === null) return [];
  return [h('p', { class: 'story-note' }, 'Being played now: ', h('a', { href: link(['stories', playing]) }, playing), '.')];
}

/** @param {Story} story @param {string[]} words @param {string} kind @param {boolean} playable */
function isWanted(story, words, kind, playable) {
  const text = `${story.name} ${story.title} ${story.description} ${story.faults.join(' ')}`.toLowerCase();
  return (kind === '' || story.faults.includes(kind)) && !(playable && story.obstacle !== null) && words.every((word) => text.includes(word));
}

/** @param {Story} story */
function card(story) {
  const about = [plural(story.hosts, 'host'), duration(story.lasts), story.obstacle !== null && '⊘ not on a running lab'];
  return h(
    'li',
    null,
    h(
      'a',
      { class: 'card story-card', href: link(['stories', story.name]) },
      pictureOf(story.name),
      h('span', { class: 'story-title' }, story.title),
      h('span', { class: 'soft' }, firstSentence(story.description)),
      h('span', { class: 'row story-faults' }, story.faults.map((kind) => chip(kind, 'fault'))),
      h('span', { class: 'soft story-about' }, about.filter(Boolean).join(' · ')),
    ),
  );
}
