// The timeline: the lanes of all storages over a time, live, with faults as shaded windows and requests as ticks.
// Only the lanes in view are asked for and drawn, so a fleet of ten thousand costs what a screen of it does.

import { lab, Problem } from '../lib/api.js';
import { h, on, replace, setText, svg } from '../lib/dom.js';
import { count, dateTime, duration, plural, time } from '../lib/format.js';
import { go, link, setQuery } from '../lib/router.js';
import { labTime, onChange, state } from '../lib/state.js';
import { SIGNS } from '../lib/status.js';
import { useStyles } from '../lib/styles.js';
import { openSaveStory } from './save-story.js';
import { drawLane, drawNodeFaults, drawTicks, isQuiet, LANE_HEIGHT, laneText, patterns, TICK_HEIGHT } from './timeline-lane.js';
import { marks, markText, moment, moved, place, SHORTEST, zoomed } from './timeline-scale.js';

/** @typedef {import('./timeline-scale.js').Range} Range */
/** @typedef {import('./timeline-lane.js').Lane} Lane */
/** @typedef {import('./timeline-lane.js').FaultSpan} FaultSpan */
/** @typedef {import('./timeline-lane.js').Tick} Tick */
/** @typedef {{from: number, to: number, now: number, first: number | null, lanes: Lane[], lanesInAll: number, faults: FaultSpan[], faultsLeftOff: number, requests: Tick[], requestsDropped: boolean, eventsLeftOff: boolean}} Answer */

const SPANS = [[30, '30 s'], [120, '2 minutes'], [600, '10 minutes'], [3600, '1 hour'], [21600, '6 hours'], [86400, '1 day']];
const FIRST_SPAN = 120;
const ASK_MS = 400;
const LIVE_MS = 1000;
const BEYOND = 4; // lanes above and below those in view that are asked for, too
const ZOOM = 1.6;
const MARK_WIDTH = 56;
const KEYS = 'Arrow keys move, + and − zoom, Home goes to the beginning, End to now. [ and ] mark a part of the time, Escape forgets it. S saves a scenario.';

/** @param {HTMLElement} parent @param {import('../lib/types.js').ViewContext} context @returns {import('../lib/types.js').MountedView} */
export function mount(parent, context) {
  void useStyles('timeline');
  /** @type {Range | null} null: live */
  let fixed = rangeOf(context.route.query);
  let span = fixed === null ? FIRST_SPAN : fixed.to - fixed.from;
  /** @type {Range | null} the part of the time that is marked */
  let part = null;
  /** @type {Answer | null} */
  let answer = null;
  let start = 0;
  let width = 600;
  let [asking, askAgain, scheduled, ended] = [false, false, false, false];
  let lastAsked = -LIVE_MS;
  const options = { name: context.route.query.get('name') ?? '', changed: context.route.query.has('changed'), capacity: context.route.query.has('capacity') };

  // What is seen

  const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  const name = h('input', { type: 'search', placeholder: 'Name or host', 'aria-label': 'Only storages whose name or host contains', value: options.name, oninput: filter });
  const changed = toggle('Only changed', options.changed, () => setOption('changed', !options.changed));
  const capacity = toggle('Capacity', options.capacity, () => setOption('capacity', !options.capacity));
  const live = toggle('Live', fixed === null, () => (fixed === null ? hold(shownRange()) : follow()));
  const spans = h('select', { 'aria-label': 'How much time is shown', onchange: () => show(Number(spans.value)) });
  const shownTime = h('span', { class: 'soft shown-time' });
  const save = h('button', { class: 'primary', onclick: openSave }, 'Save as scenario …');
  const axis = svg('svg', { class: 'axis', 'aria-hidden': 'true', height: 26 });
  const ticks = svg('svg', { height: TICK_HEIGHT, role: 'img' });
  const nodeFaults = svg('svg', { height: LANE_HEIGHT, role: 'img' });
  const requests = h('a', { class: 'label', href: link(['requests']) }, 'Requests');
  const top = h(
    'div',
    { class: 'top' },
    h('div', { class: 'lane head-lane' }, h('span', { class: 'label soft' }, 'Time'), h('div', { class: 'track' }, axis)),
    h('div', { class: 'lane' }, requests, h('div', { class: 'track' }, ticks)),
    h('div', { class: 'lane node-lane', hidden: true }, h('a', { class: 'label', href: link(['node-faults']) }, 'Node faults'), h('div', { class: 'track' }, nodeFaults)),
  );
  const lanes = h('ol', { class: 'lanes', 'aria-label': 'Storages' });
  const help = h('p', { class: 'outside', id: 'timeline-keys' }, KEYS);
  const chart = h('div', { class: 'timeline', tabindex: '0', role: 'group', 'aria-label': 'Timeline', 'aria-describedby': help.id, onkeydown: key }, top, lanes);
  const empty = h('div', { class: 'empty', hidden: true });
  const legend = h(
    'p',
    { class: 'legend soft' },
    ['Connected', 'Connecting', 'Disconnected'].map((status) => h('span', { class: ['status', status] }, `${SIGNS[status]} ${status}`)),
    h('span', { class: 'fault-mark' }, 'fault on the host'),
    h('span', null, '✕ a request that failed'),
    h('span', null, '◆ one that met a fault'),
    h('span', { class: 'keys' }, KEYS),
  );
  parent.append(
    h('div', { class: 'head' }, h('h1', null, 'Timeline'), live, spans, zoomButtons(), shownTime, h('span', { class: 'grow' }), save),
    h('div', { class: 'head filters' }, name, changed, capacity),
    h('div', { class: 'body' }, problem, help, patterns(), chart, empty, legend),
  );
  const scroller = parent.closest('main') ?? document.documentElement;

  // The range

  /** @returns {Range} */
  function shownRange() {
    const now = labTime();
    return fixed ?? { from: now - span, to: now };
  }

  function follow() {
    fixed = null;
    setQuery({ from: null, to: null }, { replace: true });
    refresh();
  }

  /** @param {Range} range */
  function hold(range) {
    fixed = range;
    span = range.to - range.from;
    setQuery({ from: range.from.toFixed(3), to: range.to.toFixed(3) }, { replace: true });
    refresh();
  }

  /** @param {number} seconds */
  function show(seconds) {
    span = seconds;
    if (fixed === null) refresh();
    else hold({ from: fixed.to - seconds, to: fixed.to });
  }

  /** @param {number} factor @param {number} [around] */
  function zoom(factor, around) {
    const range = shownRange();
    if (fixed === null && around === undefined) show(Math.max(SHORTEST, span * factor));
    else hold(zoomed(range, factor, around ?? (range.from + range.to) / 2));
  }

  function zoomButtons() {
    const button = (/** @type {string} */ sign, /** @type {string} */ text, /** @type {number} */ factor) =>
      h('button', { class: 'small', 'aria-label': text, title: text, onclick: () => zoom(factor) }, sign);
    return h('span', { class: 'row' }, button('−', 'Zoom out', ZOOM), button('+', 'Zoom in', 1 / ZOOM));
  }

  /** @param {'changed' | 'capacity'} option @param {boolean} value */
  function setOption(option, value) {
    options[option] = value;
    setQuery({ [option]: value ? '1' : null }, { replace: true });
    refresh();
  }

  function filter() {
    options.name = name.value.trim();
    setQuery({ name: options.name }, { replace: true });
    refresh();
  }

  // What is asked

  function refresh() {
    lastAsked = -LIVE_MS;
    draw();
    void ask();
  }

  async function ask() {
    if (asking || ended) {
      askAgain = true;
      return;
    }
    const pause = lastAsked + ASK_MS - performance.now();
    asking = true;
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    lastAsked = performance.now();
    try {
      await askOnce();
      problem.hidden = true;
    } catch (error) {
      if (!(error instanceof Problem || error instanceof TypeError)) throw error;
      setText(problem, error instanceof Problem ? error.text : 'The node does not answer.');
      problem.hidden = false;
    }
    asking = false;
    if (askAgain) {
      askAgain = false;
      void ask();
    }
  }

  async function askOnce() {
    const range = shownRange();
    const more = (range.to - range.from) / 4;
    const [first, limit] = inView();
    const query = new URLSearchParams({ from: String(Math.max(0, range.from - more)), start: String(first), limit: String(limit) });
    if (fixed !== null) query.set('to', String(range.to + more));
    if (options.name !== '') query.set('name', options.name);
    if (options.changed) query.set('changed', 'true');
    const found = await lab('GET', `/timeline?${query}`);
    if (ended) return;
    if (answer === null && fixed === null && found.first !== null) span = fitting(found.now - found.first);
    [answer, start] = [found, first];
    draw();
  }

  /** Return the first lane that is to be there, and how many. @returns {[number, number]} */
  function inView() {
    const above = scroller.scrollTop - lanes.offsetTop + top.offsetHeight;
    const first = Math.max(0, Math.floor(above / LANE_HEIGHT) - BEYOND);
    return [first, Math.min(200, Math.ceil(scroller.clientHeight / LANE_HEIGHT) + 2 * BEYOND)];
  }

  // What is drawn

  function draw() {
    if (scheduled || ended) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      if (!ended) drawNow();
    });
  }

  function drawNow() {
    const range = shownRange();
    for (const [button, on_] of /** @type {[HTMLElement, boolean][]} */ ([[live, fixed === null], [changed, options.changed], [capacity, options.capacity]])) {
      button.setAttribute('aria-pressed', String(on_));
    }
    setText(shownTime, fixed === null ? `the last ${duration(span)}` : `${dateTime(range.from)} to ${time(range.to)} (${duration(range.to - range.from)})`);
    drawSpans();
    width = Math.max(40, axis.parentElement?.clientWidth ?? 0);
    drawAxis(range);
    if (answer === null) return;
    const now = Math.max(answer.now, labTime());
    const ofNode = answer.faults.filter((one) => one.host === null);
    /** @type {HTMLElement} */ (nodeFaults.closest('.node-lane')).hidden = ofNode.length === 0;
    resize(nodeFaults, drawNodeFaults(ofNode, range, width, now), `Faults of the management plane: ${ofNode.map((one) => one.kind).join(', ') || 'none'}`);
    const inRange = answer.requests.filter((one) => one.time >= range.from && one.time <= range.to && !isQuiet(one));
    const failed = inRange.filter((one) => one.status >= 400 || one.status === 0).length;
    resize(ticks, drawTicks(answer.requests, range, width), `${plural(inRange.length, 'request')}, ${count(failed)} failed`);
    drawLanes(answer, range, now);
    drawEmpty(answer);
  }

  function drawSpans() {
    const known = SPANS.some(([seconds]) => seconds === span);
    const shown = known ? SPANS : [...SPANS, [span, duration(span)]];
    if (spans.length !== shown.length || spans.value !== String(span)) {
      replace(spans, shown.map(([seconds, text]) => h('option', { value: String(seconds), selected: seconds === span }, text)));
    }
  }

  /** @param {SVGElement} element @param {any} children @param {string} text */
  function resize(element, children, text) {
    element.setAttribute('width', String(width));
    element.setAttribute('aria-label', text);
    replace(element, children);
  }

  /** @param {Range} range */
  function drawAxis(range) {
    axis.setAttribute('width', String(width));
    const { times, step } = marks(range, width);
    const lines = times.map((one) => {
      const x = place(range, width, one);
      return svg('g', null, svg('line', { x1: x, x2: x, y1: 18, y2: 26 }), x + MARK_WIDTH < width && svg('text', { x: x + 3, y: 14 }, markText(one, step)));
    });
    const marked = part === null ? null : marking(part, range, 26);
    replace(axis, marked, lines);
  }

  /** @param {Range} chosen @param {Range} range @param {number} height */
  function marking(chosen, range, height) {
    const left = place(range, width, chosen.from);
    return svg('rect', { class: 'marked', x: left, y: 0, width: Math.max(1, place(range, width, chosen.to) - left), height });
  }

  /** @param {Answer} found @param {Range} range @param {number} now */
  function drawLanes(found, range, now) {
    lanes.style.setProperty('height', `${found.lanesInAll * LANE_HEIGHT}px`);
    const rows = /** @type {Map<string, HTMLElement>} */ (new Map());
    for (const row of lanes.children) rows.set(/** @type {HTMLElement} */ (row).dataset['uuid'] ?? '', /** @type {HTMLElement} */ (row));
    found.lanes.forEach((lane, number) => {
      const row = rows.get(lane.uuid) ?? lanes.appendChild(newRow(lane));
      rows.delete(lane.uuid);
      row.style.setProperty('top', `${(start + number) * LANE_HEIGHT}px`);
      row.setAttribute('aria-setsize', String(found.lanesInAll));
      row.setAttribute('aria-posinset', String(start + number + 1));
      const faults = found.faults.filter((one) => one.host?.toLowerCase() === lane.hostname.toLowerCase());
      const picture = /** @type {SVGElement} */ (row.querySelector('svg'));
      const shown = drawLane(lane, faults, range, width, { now, first: found.first, capacity: options.capacity });
      resize(picture, [part !== null && marking(part, range, LANE_HEIGHT), ...shown], laneText(lane, faults, range, now));
    });
    for (const row of rows.values()) row.remove();
  }

  /** @param {Lane} lane */
  function newRow(lane) {
    const label = lane.exists
      ? h('a', { class: 'label', href: link(['storages', lane.uuid]), title: `${lane.name} on ${lane.hostname}` }, lane.name)
      : h('span', { class: 'label soft', title: 'it was deleted' }, lane.name);
    return h('li', { class: 'lane', data: { uuid: lane.uuid } }, label, h('div', { class: 'track' }, svg('svg', { height: LANE_HEIGHT, role: 'img' })));
  }

  /** @param {Answer} found */
  function drawEmpty(found) {
    empty.hidden = found.lanesInAll > 0;
    if (found.lanesInAll > 0) return;
    const filtered = options.name !== '' || options.changed;
    replace(
      empty,
      h('h2', null, filtered ? 'No storage is like that' : 'There are no storages yet'),
      h('p', null, filtered ? 'Nothing has happened to any storage of that name in this time. Show all again, or a longer time.' : 'Add one, and its lane begins here: its status over time, the faults on its host, and the requests of clients above.'),
    );
  }

  // What is done

  function openSave() {
    const range = shownRange();
    /** @type {{name: string, range: Range | null}[]} */
    const choices = [{ name: `The time that is shown (${dateTime(range.from)} to ${time(range.to)})`, range }];
    if (part === null) choices.push({ name: 'All since the start, or the last reset', range: null });
    else choices.unshift({ name: 'All since the start, or the last reset', range: null });
    if (part !== null) choices.push({ name: `The part that is marked (${dateTime(part.from)} to ${time(part.to)})`, range: part });
    openSaveStory(choices);
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const range = shownRange();
    const middle = (range.from + range.to) / 2;
    const share = event.shiftKey ? 0.5 : 0.1;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => hold(moved(range, -share)),
      ArrowRight: () => hold(moved(range, share)),
      '+': () => zoom(1 / ZOOM),
      '=': () => zoom(1 / ZOOM),
      '-': () => zoom(ZOOM),
      Home: () => answer?.first != null && hold({ from: answer.first - span / 20, to: answer.first - span / 20 + span }),
      End: follow,
      '[': () => mark({ from: middle, to: Math.max(part?.to ?? range.to, middle + SHORTEST) }),
      ']': () => mark({ from: Math.min(part?.from ?? range.from, middle - SHORTEST), to: middle }),
      Escape: () => mark(null),
      s: openSave,
    };
    const act = keys[event.key];
    if (act === undefined || (event.key === 'Escape' && part === null)) return;
    event.preventDefault();
    act();
  }

  /** @param {Range | null} range */
  function mark(range) {
    part = range;
    draw();
  }

  /** Drag: on the axis to mark a part of the time, elsewhere to move. @param {PointerEvent} event */
  function press(event) {
    const track = /** @type {Element} */ (event.target).closest('.track');
    if (track === null || event.button !== 0) return;
    const begun = shownRange();
    const marks_ = track.contains(axis);
    const [left, from] = [track.getBoundingClientRect().left, event.clientX];
    let hasMoved = false;
    const move = (/** @type {PointerEvent} */ now) => {
      if (!hasMoved && Math.abs(now.clientX - from) < 4) return;
      hasMoved = true;
      if (!marks_) return hold(moved(begun, (from - now.clientX) / width));
      const ends = [from, now.clientX].map((x) => moment(begun, width, x - left)).sort((one, two) => one - two);
      if (fixed === null) hold(begun);
      return mark({ from: ends[0] ?? 0, to: Math.max(ends[1] ?? 0, (ends[0] ?? 0) + 0.01) });
    };
    const up = () => {
      for (const end of dragging) end();
      if (!hasMoved) click(event);
    };
    const dragging = [on(window, 'pointermove', move), on(window, 'pointerup', up), on(window, 'pointercancel', up)];
  }

  /** @param {PointerEvent} event */
  function click(event) {
    const tick = /** @type {SVGElement | null} */ (/** @type {Element} */ (event.target).closest('.tick'));
    if (tick !== null) go(['requests', tick.dataset['number'] ?? '']);
    else if (part !== null) mark(null);
  }

  /** The wheel zooms over the axis, and with Ctrl; sideways it moves. @param {WheelEvent} event */
  function wheel(event) {
    const track = /** @type {Element} */ (event.target).closest('.track');
    if (track === null) return;
    const onAxis = track.contains(axis);
    if (onAxis || event.ctrlKey) {
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, moment(shownRange(), width, event.clientX - track.getBoundingClientRect().left));
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      hold(moved(shownRange(), event.deltaX / width));
    }
  }

  const sizes = new ResizeObserver(() => draw());
  sizes.observe(chart);
  const ends = [
    on(chart, 'pointerdown', press),
    on(chart, 'wheel', wheel, { passive: false }),
    on(scroller, 'scroll', () => void ask(), { passive: true }),
    onChange((change) => (change.all || change.membership || change.storages.size > 0) && void ask()),
    () => sizes.disconnect(),
  ];
  const beat = setInterval(() => {
    if (document.hidden) return;
    if (fixed === null) draw();
    if (performance.now() - lastAsked >= LIVE_MS && (fixed === null || fixed.to > labTime())) void ask();
  }, LIVE_MS / 2);
  save.disabled = state.about !== null && !state.about.mayChange;
  save.title = save.disabled ? 'This node may not be changed from here: start it with --lab-api' : '';
  refresh();

  return {
    update({ query }) {
      const range = rangeOf(query);
      if (range !== null && (fixed === null || Math.abs(range.from - fixed.from) > 0.01 || Math.abs(range.to - fixed.to) > 0.01)) hold(range);
    },
    unmount() {
      ended = true;
      clearInterval(beat);
      for (const end of ends) end();
    },
  };
}

/** Return how much time to show of a lab that has run for so long. @param {number} seconds */
function fitting(seconds) {
  return Math.min(FIRST_SPAN, SPANS.map(([one]) => Number(one)).find((one) => one >= seconds) ?? FIRST_SPAN);
}

/** @param {string} text @param {boolean} pressed @param {() => void} act */
function toggle(text, pressed, act) {
  return h('button', { class: 'small', 'aria-pressed': String(pressed), onclick: act }, text);
}

/** @param {URLSearchParams} query @returns {Range | null} */
function rangeOf(query) {
  const [from, to] = [Number(query.get('from')), Number(query.get('to'))];
  return from > 0 && to > from ? { from, to } : null;
}
