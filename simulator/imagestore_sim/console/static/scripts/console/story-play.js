// A play of a story, as it happens: the steps, their verdicts, and the picture of the storages so far.

import { perform } from '../lib/action.js';
import { lab, labCall } from '../lib/api.js';
import { curlButton } from '../lib/copy.js';
import { h, replace, setText } from '../lib/dom.js';
import { Problem } from '../lib/http.js';
import { state } from '../lib/state.js';
import { chip, storyTime, verdictChip } from './story-parts.js';

/** @typedef {import('./story-parts.js').Play} Play */
/** @typedef {import('./story-parts.js').PlayedStep} PlayedStep */
/** @typedef {import('./story.js').WholeStory} WholeStory */

const POLL_MS = 400;
const STATES = { preparing: 'preparing the lab', playing: 'playing', restoring: 'restoring the lab', ended: 'ended' };

/**
 * Return the part of the page that shows a play; before one, what will happen. `onState` is told whether one is under way.
 * @param {WholeStory} story
 * @param {(playing: boolean) => void} onState
 */
export function mountPlay(story, onState) {
  let followed = '';
  let gone = false;
  const path = (/** @type {string} */ id) => `/stories/${encodeURIComponent(story.name)}/plays/${encodeURIComponent(id)}`;
  const said = h('strong', { role: 'status' });
  const time = h('span', { class: 'soft' });
  const bar = h('progress', { 'aria-label': 'How far the story is', max: '1', value: '0' });
  const stop = h('button', { class: 'small danger', onclick: end }, 'Stop');
  const report = h('a', { class: 'button', target: '_blank', rel: 'noopener' }, 'Report');
  const verdict = h('span');
  const problem = h('p', { class: 'problem' });
  const image = h('img', { class: 'story-picture', alt: '' });
  const picture = h('figure', null, image, h('figcaption', null, 'This play'));
  const head = h('div', { class: 'row', hidden: true }, verdict, said, bar, time, stop, report, curlButton(() => labCall('GET', path(followed))));
  const rows = h('tbody');
  const titles = ['at', 'what is done or expected', 'verdict', 'what was seen'].map((title) => h('th', { scope: 'col' }, title));
  const element = h(
    'section',
    { 'aria-label': 'What happens' },
    h('h2', null, 'What happens'),
    head,
    problem,
    picture,
    h('div', { class: 'story-steps' }, h('table', null, h('thead', null, h('tr', null, titles)), rows)),
  );
  problem.hidden = picture.hidden = true;
  replace(rows, story.steps.map(planned), story.invariants.map((text) => row('all along', text, '', '')));

  async function end() {
    stop.disabled = true;
    await perform('The story is stopped; the lab is being restored', () => lab('DELETE', path(followed)));
  }

  /** @param {string} id */
  async function follow(id) {
    followed = id;
    head.hidden = false;
    stop.disabled = false;
    report.href = `/lab/v1${path(id)}/report`;
    while (!gone && followed === id) {
      try {
        const play = await lab('GET', path(id));
        if (gone || followed !== id) return;
        show(play);
        onState(play.state !== 'ended');
        if (play.state === 'ended') return;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        setText(said, error.text);
        if (error.status !== 0) return onState(false);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** @param {Play} play */
  function show(play) {
    const ended = play.state === 'ended';
    setText(said, play.stopped && ended ? 'stopped' : STATES[play.state]);
    setText(time, ended ? `after ${storyTime(play.elapsed)}` : `${storyTime(play.elapsed)} of ${storyTime(play.lasts)}`);
    bar.hidden = ended;
    bar.value = play.lasts > 0 ? play.elapsed / play.lasts : 0;
    stop.hidden = ended;
    report.hidden = !ended || play.steps.length === 0 || (state.about?.tokenNeeded ?? false);
    replace(verdict, play.verdict !== null && verdictChip(play.verdict));
    problem.hidden = play.problem === '';
    setText(problem, play.problem === '' ? '' : `It was not played to its end: ${play.problem}`);
    picture.hidden = play.picture === '';
    if (play.picture !== '') image.src = `data:image/svg+xml,${encodeURIComponent(play.picture)}`;
    if (play.steps.length > 0) replace(rows, play.steps.map((step) => played(step, story)), play.invariants.map(watched));
  }

  return {
    element,
    follow,
    unmount: () => {
      gone = true;
    },
  };
}

/** @param {import('./story.js').PlannedStep} step */
function planned(step) {
  return row(moment(step.at), `${step.number}. ${step.text}`, '', '');
}

/** @param {PlayedStep} step @param {WholeStory} story */
function played(step, story) {
  const at = moment(step.began ?? story.steps[step.number - 1]?.at ?? null);
  return row(at, `${step.number}. ${step.text}`, mark(step), step.seen, step.state);
}

/** @param {number | null} seconds */
function moment(seconds) {
  return seconds === null ? 'then' : storyTime(seconds);
}

/** @param {PlayedStep} invariant */
function watched(invariant) {
  const verdict = invariant.state === 'running' ? chip('▸ watched', 'wait') : mark(invariant);
  return row('all along', invariant.text, verdict, invariant.seen, invariant.state === 'running' ? '' : invariant.state);
}

/** @param {PlayedStep} step */
function mark(step) {
  if (step.state === 'running') return chip('▸ now', 'wait');
  if (step.state === 'waiting') return '';
  return step.expects || step.verdict !== 'held' ? verdictChip(step.verdict) : '✓ done';
}

/** @param {string} at @param {string} text @param {import('../lib/dom.js').Child} verdict @param {string} seen @param {string} [progress] */
function row(at, text, verdict, seen, progress = '') {
  return h('tr', { class: progress }, h('td', null, at), h('td', null, text), h('td', null, verdict), h('td', { class: 'soft' }, seen));
}
