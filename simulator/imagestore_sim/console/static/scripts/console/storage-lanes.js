// The picture of a storage: its status, its capacity over time, and the faults of its host shaded behind both.

import { h, replace, set, setText, svg } from '../lib/dom.js';
import { bytes, dateTime, duration, percent, time } from '../lib/format.js';
import { labTime } from '../lib/state.js';
import { SIGNS } from '../lib/status.js';

/** @typedef {import('./storage-history.js').History} History */
/** @typedef {{since: number, until: number}} Span  seconds since the epoch */

/**
 * @typedef {object} Zoom  what of the time is seen
 * @property {number | null} live  the last so many seconds, as time goes on; null: a fixed span
 * @property {Span | null} fixed
 */

export const RANGES = [
  { seconds: 60, label: '1 min' },
  { seconds: 300, label: '5 min' },
  { seconds: 900, label: '15 min' },
  { seconds: 3600, label: '1 h' },
  { seconds: 6 * 3600, label: '6 h' },
];
const LEFT = 4;
const LANE = { top: 18, height: 20 };
const CHART = { top: 68, height: 88 };
const AXIS = 18;
const BAR = 18;
const MOST_ROWS = 6;
const LETTER = 6.2;
const SHORTEST = 2;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 7 * 86400];

/**
 * Return a picture that is drawn with `draw`; `zoomed` is called when another time is to be seen.
 * @param {(span: Span | null) => void} zoomed  null: the end of the time, as it goes on
 */
export function lanesPicture(zoomed) {
  const picture = svg('svg', { class: 'lanes', role: 'img', tabindex: '0', 'aria-label': 'No history yet' });
  const readout = h('p', { class: 'readout', 'aria-live': 'off' });
  const holder = h('div', { class: 'lanes-holder' }, picture, readout);
  /** @type {{history: History, span: Span, width: number} | null} */
  let drawn = null;
  /** @type {number | null} where a drag has begun */
  let from = null;
  /** @type {number | null} where the pointer is */
  let over = null;
  const cursor = svg('line', { class: 'cursor', y1: '0', visibility: 'hidden' });
  const chosen = svg('rect', { class: 'chosen', y: '0', visibility: 'hidden' });

  const resized = new ResizeObserver(() => drawn !== null && draw(drawn.history, drawn.span));
  resized.observe(holder);
  picture.addEventListener('pointerdown', (event) => {
    from = event.offsetX;
    picture.setPointerCapture(event.pointerId);
  });
  picture.addEventListener('pointermove', (event) => point((over = event.offsetX)));
  picture.addEventListener('pointerup', (event) => dropped(event.offsetX));
  picture.addEventListener('pointercancel', () => dropped(null));
  picture.addEventListener('pointerleave', left);
  picture.addEventListener('wheel', wheel, { passive: false });
  picture.addEventListener('keydown', key);

  /** Draw what a storage has been through in a span. @param {History} history @param {Span} span */
  function draw(history, span) {
    if (from !== null) return; // what is being chosen stands still
    const width = Math.max(220, holder.clientWidth);
    const x = scale(span, width);
    const rows = faultRows(history, span, x);
    const height = CHART.top + CHART.height + AXIS + rows.length * BAR + 4;
    drawn = { history, span, width };
    set(picture, { viewBox: `0 0 ${width} ${height}`, width, height, 'aria-label': summary(history, span) });
    set(cursor, { y2: height });
    set(chosen, { height });
    replace(picture, windows(rows, x, height), axis(span, x, width), lane(history, span, x), chart(history, span, x, width), bars(rows, x, width), probes(history, x), chosen, cursor);
    if (over === null) rest();
    else point(over);
  }

  function left() {
    over = null;
    if (from === null) rest();
  }

  /** @param {number} at  pixels */
  function point(at) {
    if (drawn === null) return;
    set(cursor, { x1: at, x2: at, visibility: 'visible' });
    if (from !== null) set(chosen, { x: Math.min(from, at), width: Math.abs(at - from), visibility: 'visible' });
    setText(readout, told(drawn.history, moment(at)));
  }

  function rest() {
    set(cursor, { visibility: 'hidden' });
    set(chosen, { visibility: 'hidden' });
    if (drawn !== null) setText(readout, 'Drag to zoom; arrow keys move, + and − zoom, End goes on with the time.');
  }

  /** @param {number | null} at */
  function dropped(at) {
    const begin = from;
    from = null;
    rest();
    if (begin === null || at === null || Math.abs(at - begin) < 8) return;
    const [since, until] = [moment(Math.min(begin, at)), moment(Math.max(begin, at))];
    zoomed(bounded({ since, until }));
  }

  /** @param {number} at  pixels */
  function moment(at) {
    if (drawn === null) return 0;
    const { span, width } = drawn;
    return span.since + ((at - LEFT) / (width - 2 * LEFT)) * (span.until - span.since);
  }

  /** @param {WheelEvent} event */
  function wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.3 : 1 / 1.3, moment(event.offsetX));
  }

  /** @param {number} factor @param {number} [about] */
  function zoom(factor, about) {
    if (drawn === null) return;
    const { since, until } = drawn.span;
    const middle = about ?? (since + until) / 2;
    zoomed(bounded({ since: middle - (middle - since) * factor, until: middle + (until - middle) * factor }));
  }

  /** @param {number} share */
  function move(share) {
    if (drawn === null) return;
    const { since, until } = drawn.span;
    const by = (until - since) * share;
    zoomed(bounded({ since: since + by, until: until + by }));
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    const acts = {
      '+': () => zoom(1 / 1.5), '=': () => zoom(1 / 1.5), '-': () => zoom(1.5), '−': () => zoom(1.5),
      ArrowLeft: () => move(-0.25), ArrowRight: () => move(0.25), End: () => zoomed(null),
    }; // prettier-ignore
    const act = acts[/** @type {keyof typeof acts} */ (event.key)];
    if (act === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act();
  }

  return { element: holder, draw, zoom, move, end: () => resized.disconnect() };
}

/** Return a span that is not in the future, and not too short. @param {Span} span @returns {Span} */
function bounded({ since, until }) {
  const length = Math.max(SHORTEST, until - since);
  const end = Math.min(labTime(), until);
  return { since: Math.max(0, end - length), until: end };
}

/** @param {Span} span @param {number} width */
function scale(span, width) {
  const inner = width - 2 * LEFT;
  const length = Math.max(0.001, span.until - span.since);
  return (/** @type {number} */ at) => LEFT + Math.max(0, Math.min(1, (at - span.since) / length)) * inner;
}

/** Return vertical lines at round times, with the times below. @param {Span} span @param {(at: number) => number} x @param {number} width */
function axis(span, x, width) {
  const length = span.until - span.since;
  const step = STEPS.find((one) => (length / one) * 70 < width) ?? STEPS.at(-1) ?? 1;
  const bottom = CHART.top + CHART.height;
  const marks = [];
  const offset = new Date(span.since * 1000).getTimezoneOffset() * 60;
  for (let at = Math.ceil((span.since - offset) / step) * step + offset; at <= span.until; at += step) {
    marks.push(svg('line', { class: 'grid', x1: x(at), x2: x(at), y1: 0, y2: bottom + 3 }));
    if (x(at) < 26 || x(at) > width - 26) continue;
    marks.push(
      svg('text', { class: 'tick', x: x(at), y: bottom + 14, 'text-anchor': 'middle' }, step >= 86400 ? dateTime(at).replace(/ \S+$/, '') : time(at)),
    );
  }
  return marks;
}

/** Return the lane of statuses; each has its sign. @param {History} history @param {Span} span @param {(at: number) => number} x */
function lane(history, span, x) {
  const spells = history.statuses.filter((one) => one.since <= span.until && (one.until ?? span.until) >= span.since);
  return [
    svg('text', { class: 'title', x: LEFT, y: LANE.top - 5 }, 'Status'),
    spells.map((one) => {
      const [begin, end] = [x(one.since), x(one.until ?? span.until)];
      const width = Math.max(2, end - begin);
      const words = `${SIGNS[one.status] ?? '?'} ${one.status}`;
      const text = width > 95 ? words : width > 14 ? (SIGNS[one.status] ?? '?') : '';
      return svg(
        'g',
        { class: `spell ${one.status}` },
        svg('title', null, `${one.status} from ${time(one.since)}${one.until === null ? '' : ` for ${duration(one.until - one.since)}`}`),
        svg('rect', { x: begin, y: LANE.top, width, height: LANE.height, rx: 2 }),
        text !== '' && svg('text', { x: begin + 5, y: LANE.top + 14 }, text),
      );
    }),
  ];
}

/** Return the available capacity as steps below the total. @param {History} history @param {Span} span @param {(at: number) => number} x @param {number} width */
function chart(history, span, x, width) {
  const points = history.capacities.filter((one) => one.time <= span.until);
  const most = Math.max(...points.map((one) => one.total), 1);
  const bottom = CHART.top + CHART.height;
  const y = (/** @type {number} */ value) => bottom - (value / most) * (CHART.height - 14);
  const last = points.at(-1);
  const title = svg('text', { class: 'title', x: LEFT, y: CHART.top - 4 }, 'Available of total');
  const base = svg('line', { class: 'base', x1: LEFT, x2: width - LEFT, y1: bottom, y2: bottom });
  if (last === undefined) return [title, base, svg('text', { class: 'tick', x: LEFT, y: CHART.top + 40 }, 'The capacity is not known yet.')];
  const now = svg('text', { class: 'tick', x: width - LEFT, y: CHART.top - 4, 'text-anchor': 'end' }, `${bytes(last.available)} of ${bytes(last.total)}, ${percent(last.available, last.total)}`);
  const available = steps(points, span, x, (one) => y(one.available));
  const begin = x(points[0]?.time ?? span.since);
  return [
    title,
    now,
    svg('path', { class: 'area', d: `M${begin},${bottom}L${available.slice(1)}V${bottom}Z` }),
    svg('path', { class: 'total', d: steps(points, span, x, (one) => y(one.total)) }),
    svg('path', { class: 'available', d: available }),
    base,
  ];
}

/** @param {History['capacities']} points @param {Span} span @param {(at: number) => number} x @param {(one: History['capacities'][number]) => number} y */
function steps(points, span, x, y) {
  let path = '';
  for (const one of points) path += path === '' ? `M${x(one.time)},${y(one)}` : `H${x(one.time)}V${y(one)}`;
  return `${path}H${x(span.until)}`;
}

/** Return marks of the probes on the lane: a cross for one that failed. @param {History} history @param {(at: number) => number} x */
function probes(history, x) {
  const y = LANE.top + LANE.height + 5;
  return history.probes.map((one) => {
    const title = svg('title', null, `${time(one.time)} probe: ${one.succeeded ? 'answered' : `${one.reason}, ${one.message}`}`);
    const at = x(one.time);
    if (one.succeeded) return svg('circle', { class: 'probe good', cx: at, cy: y, r: 2 }, title);
    return svg('path', { class: 'probe bad', d: `M${at - 3},${y - 3}l6,6m0,-6l-6,6` }, title);
  });
}

/** @typedef {{label: string, since: number, until: number | null, stop: boolean}} Window */

/** Return the faults and stops of the host in rows, in which none overlaps another. @param {History} history @param {Span} span @param {(at: number) => number} x @returns {Window[][]} */
function faultRows(history, span, x) {
  /** @type {Window[]} */
  const all = [
    ...(history.faults ?? []).map((one) => ({ label: one.kind, since: one.since, until: one.until, stop: false })),
    ...history.stops.map((one) => ({ label: 'host stopped', since: one.since, until: one.until, stop: true })),
  ].filter((one) => one.since <= span.until && (one.until ?? span.until) >= span.since);
  all.sort((a, b) => a.since - b.since);
  const end = (/** @type {Window | undefined} */ one) => (one === undefined ? 0 : Math.max(x(one.until ?? Infinity), x(one.since) + LETTER * (one.label.length + 3)));
  /** @type {Window[][]} */
  const rows = [];
  for (const one of all) {
    const free = rows.find((row) => end(row.at(-1)) + LETTER < x(one.since));
    if (free !== undefined) free.push(one);
    else if (rows.length < MOST_ROWS) rows.push([one]);
    else rows[MOST_ROWS - 1]?.push(one);
  }
  return rows;
}

/** Return the shade of each window behind the lanes. @param {Window[][]} rows @param {(at: number) => number} x @param {number} height */
function windows(rows, x, height) {
  return rows.flat().map((one) => {
    const begin = x(one.since);
    const width = Math.max(1.5, x(one.until ?? Infinity) - begin);
    return svg('rect', { class: one.stop ? 'window stop' : 'window', x: begin, y: 0, width, height });
  });
}

/** Return the bars that name the windows. @param {Window[][]} rows @param {(at: number) => number} x @param {number} width */
function bars(rows, x, width) {
  const top = CHART.top + CHART.height + AXIS;
  return rows.flatMap((row, number) =>
    row.map((one) => {
      const begin = x(one.since);
      const end = x(one.until ?? Infinity);
      const y = top + number * BAR;
      const late = begin > width - 110;
      return svg(
        'g',
        { class: one.stop ? 'bar stop' : 'bar' },
        svg('title', null, `${one.label} from ${time(one.since)}${one.until === null ? ', still there' : ` to ${time(one.until)}`}`),
        svg('rect', { x: begin, y, width: Math.max(3, end - begin), height: 4, rx: 2 }),
        svg('text', { x: late ? end : begin, y: y + 13, 'text-anchor': late ? 'end' : 'start' }, `${one.stop ? '■' : '⚡︎'} ${one.label}`),
      );
    }),
  );
}

/** Return what was at a moment, in a line. @param {History} history @param {number} at */
function told(history, at) {
  const holds = (/** @type {{since: number, until: number | null}} */ one) => one.since <= at && (one.until ?? Infinity) >= at;
  const status = history.statuses.find(holds)?.status ?? 'not known';
  const capacity = history.capacities.findLast((one) => one.time <= at);
  const faults = (history.faults ?? []).filter(holds).map((one) => one.kind);
  const stopped = history.stops.some(holds) ? ['host stopped'] : [];
  const wrong = [...stopped, ...faults];
  return [
    time(at),
    `${SIGNS[status] ?? '?'} ${status}`,
    capacity === undefined ? 'capacity not known' : `${bytes(capacity.available)} of ${bytes(capacity.total)} available`,
    ...(wrong.length > 0 ? [`⚡︎ ${wrong.join(', ')}`] : []),
  ].join(' · ');
}

/** Return what the picture shows, for those who do not see it. @param {History} history @param {Span} span */
function summary(history, span) {
  const lost = history.statuses.filter((one) => one.status === 'Disconnected').length;
  const faults = (history.faults ?? []).length;
  return (
    `${history.name} from ${dateTime(span.since)} to ${time(span.until)}: now ${history.status}, ` +
    `${lost === 0 ? 'never' : lost === 1 ? 'once' : `${lost} times`} Disconnected, ` +
    `${faults === 1 ? '1 fault' : `${faults} faults`} on its host. The table below has the same in words.`
  );
}
