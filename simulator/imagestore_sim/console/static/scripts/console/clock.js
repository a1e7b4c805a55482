// The clock of the lab: its time, and what pauses, steps and speeds it up.

import { perform } from '../lib/action.js';
import { lab } from '../lib/api.js';
import { h, set, setText } from '../lib/dom.js';
import { dateTime, dayTime, duration } from '../lib/format.js';
import { menuButton } from '../lib/menu.js';
import { labTime, onChange, setClock, state } from '../lib/state.js';

const STEPS = [1, 10, 60, 600, 3600, 86400];
const SPEEDS = [0.1, 1, 5, 20, 60, 600, 3600];
const SHOW_MS = 200;

/** Fill a part of the page with the clock. @param {HTMLElement} parent */
export function mountClock(parent) {
  const time = h('time', { class: 'mono' });
  const pause = h('button', { class: 'small', onclick: () => change({ paused: !state.clock?.paused }) });
  const step = menuButton('Step ▾', stepItems, { name: 'Let time pass at once', class: 'small' });
  const speed = h('select', { class: 'small', 'aria-label': 'Speed of the clock', onchange: () => change({ speed: Number(speed.value) }) });
  const controls = h('span', { class: 'row' }, pause, step, speed);
  parent.append(time, controls);

  const showTime = () => {
    if (state.clock !== null && !document.hidden) setText(time, dayTime(labTime()));
  };
  const show = () => {
    parent.hidden = state.clock === null;
    if (state.clock === null) return;
    const { paused, speed: now } = state.clock;
    controls.hidden = !state.about?.mayChange;
    setText(pause, paused ? '▶' : '❚❚');
    set(pause, { 'aria-label': paused ? 'Let the clock run' : 'Pause the clock', title: paused ? 'Run' : 'Pause', 'aria-pressed': String(paused) });
    showSpeeds(speed, now);
    set(time, { class: ['mono', paused && 'paused'], title: `${dateTime(labTime())}: ${paceOf(paused, now)}` });
    showTime();
  };
  onChange((change) => change.node && show());
  setInterval(showTime, SHOW_MS);
}

/** @param {boolean} paused @param {number | null} speed */
function paceOf(paused, speed) {
  return paused ? 'paused' : speed === null ? 'it jumps to what is due' : `${speed} times the machine’s time`;
}

/** @param {HTMLSelectElement} select @param {number | null} now */
function showSpeeds(select, now) {
  select.hidden = now === null;
  if (now === null || document.activeElement === select) return;
  const speeds = [...new Set([...SPEEDS, now])].sort((one, other) => one - other);
  const key = `${speeds} ${now}`;
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  select.replaceChildren(...speeds.map((one) => h('option', { value: String(one), selected: one === now }, `${one}×`)));
}

function stepItems() {
  return STEPS.map((seconds) => ({ label: duration(seconds), action: () => void stepBy(seconds) }));
}

/** @param {number} seconds */
async function stepBy(seconds) {
  const clock = await perform(`${duration(seconds)} have passed`, () => lab('POST', '/clock/step', { seconds }));
  if (clock !== null) setClock(clock);
}

/** @param {{paused?: boolean, speed?: number}} what */
async function change(what) {
  const done = what.paused === undefined ? `The clock runs at ${what.speed}×` : what.paused ? 'The clock is paused' : 'The clock runs';
  const clock = await perform(done, () => lab('PUT', '/clock', what));
  if (clock !== null) setClock(clock);
}
