// One story: what happens in it, its file, and how it is played on this lab.

import { perform } from '../lib/action.js';
import { lab, labCall } from '../lib/api.js';
import { copyButton, curlButton } from '../lib/copy.js';
import { h, newId, replace } from '../lib/dom.js';
import { duration, plural } from '../lib/format.js';
import { Problem } from '../lib/http.js';
import { link } from '../lib/router.js';
import { onChange, state } from '../lib/state.js';
import { showProblem } from './problem.js';
import { mountPlay } from './story-play.js';
import { chip, pictureOf } from './story-parts.js';

/** @typedef {import('../lib/types.js').MountedView} MountedView */
/** @typedef {import('./story-parts.js').Story} Story */
/** @typedef {import('./story-parts.js').Play} Play */
/** @typedef {{number: number, at: number | null, text: string, expects: boolean}} PlannedStep */
/** @typedef {Story & {yaml: string, steps: PlannedStep[], invariants: string[], plays: string[]}} WholeStory */

/** @param {HTMLElement} holder @param {string} name @returns {MountedView} */
export function mountStory(holder, name) {
  /** @type {Array<() => void>} */
  const ends = [];
  let ended = false;
  void read();

  async function read() {
    try {
      const story = await lab('GET', `/stories/${encodeURIComponent(name)}`);
      if (!ended) show(story);
    } catch (error) {
      if (ended) return;
      if (!(error instanceof Problem)) return showProblem(holder, error);
      replace(holder, h('div', { class: 'empty' }, h('h1', null, 'No story'), h('p', null, `${name}: ${error.text}. `, allStories())));
    }
  }

  /** @param {WholeStory} story */
  function show(story) {
    document.title = `${story.title} · imagestore-sim`;
    const play = mountPlay(story, (playing) => form.setPlaying(playing));
    const form = playForm(story, play.follow);
    ends.push(play.unmount, form.unmount);
    const about = [story.name, plural(story.hosts, 'host'), `${duration(story.lasts)} of the lab’s clock`].join(' · ');
    replace(
      holder,
      h('div', { class: 'head' }, allStories(), h('h1', null, story.title)),
      h(
        'div',
        { class: 'body story' },
        h('p', { class: 'soft' }, about),
        h('p', { class: 'story-text' }, story.description),
        h('p', { class: 'row' }, story.faults.map((kind) => chip(kind, 'fault'))),
        h('figure', null, pictureOf(story.name), h('figcaption', null, pictureText)),
        form.element,
        play.element,
        h('details', { class: 'card' }, h('summary', null, 'The file'), copyButton(() => story.yaml), h('pre', { class: 'code', tabindex: '0' }, story.yaml)),
      ),
    );
    if (story.plays[0] !== undefined) play.follow(story.plays[0]);
  }

  return {
    unmount: () => {
      ended = true;
      for (const end of ends) end();
    },
  };
}

function allStories() {
  return h('a', { href: link(['stories']) }, '‹ All stories');
}

const pictureText = 'Each line is a storage: thick is Connected, dashed Connecting, thin at the foot Disconnected. Behind it, when something is wrong.';

/**
 * Return what plays a story; `begun` is called with the id of a play.
 * @param {WholeStory} story
 * @param {(id: string) => void} begun
 */
function playForm(story, begun) {
  const path = `/stories/${encodeURIComponent(story.name)}/plays`;
  const [recordsId, hintId] = [newId('records'), newId('hint')];
  const records = h(
    'select',
    { id: recordsId, onchange: explain },
    h('option', { value: 'aside' }, 'put aside, and back afterwards'),
    h('option', { value: 'kept' }, 'stay where they are'),
  );
  const stepped = h('input', { type: 'checkbox', checked: true, onchange: explain });
  const hint = h('p', { class: 'soft', id: hintId });
  const button = h('button', { class: 'primary', 'aria-describedby': hintId, onclick: play }, '▶ Play on this lab');
  const body = () => ({ records: records.value, stepped: stepped.checked });
  const command = `imagestore-sim replay ${story.name}`;
  const elsewhere = h('p', { class: 'row' }, 'In a terminal, in virtual time: ', h('code', null, command), copyButton(() => command));
  const fields = h(
    'div',
    { class: 'row' },
    h('label', { for: recordsId }, 'The lab’s own records'),
    records,
    h('label', { class: 'row' }, stepped, 'step the clock: seconds in place of minutes'),
    button,
    curlButton(() => labCall('POST', path, body())),
  );
  const cannot = h('p', { class: 'story-note' });
  const element = h('section', { class: 'card', 'aria-label': 'Play' }, cannot, fields, hint, elsewhere);
  let playing = false;
  const end = onChange((change) => change.node && refresh());
  explain();
  refresh();

  function explain() {
    replace(hint, effects(records.value === 'aside', stepped.checked));
  }

  function refresh() {
    const reason = obstacle(story);
    cannot.hidden = reason === '';
    fields.hidden = story.obstacle !== null;
    hint.hidden = fields.hidden;
    button.disabled = reason !== '' || playing;
    replace(cannot, reason);
  }

  /** @param {boolean} now */
  function setPlaying(now) {
    playing = now;
    refresh();
  }

  async function play() {
    setPlaying(true);
    const answer = await perform('The story begins', () => lab('POST', path, body()));
    if (answer !== null) begun(answer.id);
    else setPlaying(false);
  }

  return { element, setPlaying, unmount: end };
}

/** Return why a story cannot be played here, or ''. @param {Story} story */
function obstacle(story) {
  if (story.obstacle !== null) return `It cannot be played on this node. ${story.obstacle}`;
  if (state.about !== null && !state.about.mayChange) return 'This node was started without --lab-api, so nothing can be played on it.';
  return '';
}

/** Say what a play does to the lab. @param {boolean} aside @param {boolean} stepped */
function effects(aside, stepped) {
  const records = aside
    ? 'Before it, all records of the lab are put aside in memory; after it they are loaded again. Sessions end (this page logs in again as admin), and jobs are forgotten. '
    : 'A storage at the story’s host and url is taken for the story’s; other records stay, are counted by queries, and may make it fail. ';
  const hosts = 'New hosts are removed in the end; disks, settings and stopped hosts are restored, faults of the story healed. ';
  const clock = stepped ? 'The clock is paused and stepped, and goes on from the time that it has come to. ' : 'The story waits for the lab’s clock. ';
  return `${records}${hosts}${clock}Events, metrics and the log of requests stay.`;
}
