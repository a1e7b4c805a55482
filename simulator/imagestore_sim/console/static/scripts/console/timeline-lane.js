// One lane of the timeline, drawn: statuses by colour, pattern and sign, the capacity as a line, faults as shaded windows.

import { svg } from '../lib/dom.js';
import { bytes, duration, percent, time } from '../lib/format.js';
import { SIGNS } from '../lib/status.js';
import { place } from './timeline-scale.js';

/** @typedef {import('./timeline-scale.js').Range} Range */
/** @typedef {{time: number, status: string | null}} StatusSpan */
/** @typedef {{time: number, total: number, available: number}} LaneCapacity */
/** @typedef {{id: string, kind: string, host: string | null, parameters: Record<string, unknown>, from: number, to: number | null}} FaultSpan */
/** @typedef {{uuid: string, name: string, hostname: string, exists: boolean, statuses: StatusSpan[], capacities: LaneCapacity[], leftOff: number}} Lane */
/** @typedef {{number: number, time: number, method: string, api: string, path: string, status: number, milliseconds: number, job: string | null, faults: number, ofPage: boolean}} Tick */

export const LANE_HEIGHT = 34;
export const TICK_HEIGHT = 30;
const FAULT_TOP = 1;
const FAULT_HEIGHT = 4;
const BAR_TOP = 6;
const BAR_HEIGHT = 16;
const TEXT_Y = BAR_TOP + 12.5;
const CAPACITY_TOP = 24;
const CAPACITY_HEIGHT = 9;
const LABEL_WIDTH = 92;
const SIGN_WIDTH = 14;
const COLUMN = 3;
const SPELLS_READ = 4;

/** Return the definitions of the patterns, which all lanes use. */
export function patterns() {
  const lines = (/** @type {string} */ id, /** @type {string} */ path, size = 8) =>
    svg('pattern', { id, width: size, height: size, patternUnits: 'userSpaceOnUse' }, svg('path', { d: path, class: id }));
  return svg(
    'svg',
    { class: 'outside', 'aria-hidden': 'true' },
    svg(
      'defs',
      null,
      lines('lane-connecting', 'M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4'),
      lines('lane-disconnected', 'M0,0 l8,8 M8,0 l-8,8'),
      lines('lane-fault', 'M3,0 v6', 6),
    ),
  );
}

/**
 * Return what a lane shows of a range.
 * @param {Lane} lane
 * @param {FaultSpan[]} faults  those on its host
 * @param {Range} range
 * @param {number} width
 * @param {{now: number, first: number | null, capacity: boolean}} options
 */
export function drawLane(lane, faults, range, width, { now, first, capacity }) {
  const end = Math.min(now, range.to);
  const begin = first === null ? range.from : Math.max(first, range.from);
  return [
    faults.map((fault) => faultWindow(fault, range, width, end, LANE_HEIGHT)),
    spells(lane, begin, end).map((spell) => statusBar(spell, range, width)),
    capacity && capacityLine(lane, range, width, end),
  ];
}

/** Return a lane in words. @param {Lane} lane @param {FaultSpan[]} faults @param {Range} range @param {number} now */
export function laneText(lane, faults, range, now) {
  const shown = spells(lane, range.from, Math.min(now, range.to));
  const words = shown.slice(-SPELLS_READ).map((one) => `${one.status} from ${time(one.from)}`);
  const broken = faults.map((one) => `${one.kind} from ${time(one.from)}${one.to === null ? '' : ` to ${time(one.to)}`}`);
  const more = shown.length > SPELLS_READ ? [`${shown.length - SPELLS_READ} earlier`] : [];
  const said = [...more, ...words].join(', ') || 'not there';
  return `${lane.name}: ${said}${broken.length > 0 ? `; faults: ${broken.join(', ')}` : ''}`;
}

/** @param {Lane} lane @param {number} from @param {number} to */
function spells(lane, from, to) {
  /** @type {{status: string, from: number, to: number}[]} */
  const found = [];
  lane.statuses.forEach((one, number) => {
    const until = Math.min(lane.statuses[number + 1]?.time ?? to, to);
    const since = Math.max(one.time, from);
    if (one.status !== null && until > since) found.push({ status: one.status, from: since, to: until });
  });
  return found;
}

/** @param {{status: string, from: number, to: number}} spell @param {Range} range @param {number} width */
function statusBar({ status, from, to }, range, width) {
  const left = Math.max(-2, place(range, width, from));
  const right = Math.min(width + 2, place(range, width, to));
  const size = Math.max(1.5, right - left);
  const box = { x: left, y: BAR_TOP, width: size, height: BAR_HEIGHT };
  const pattern = status === 'Connecting' || status === 'Disconnected';
  const sign = SIGNS[status] ?? '?';
  const text = size >= LABEL_WIDTH ? `${sign} ${status}` : size >= SIGN_WIDTH ? sign : '';
  return svg(
    'g',
    { class: ['spell', status] },
    svg('title', null, `${status}, ${time(from)} to ${time(to)} (${duration(to - from)})`),
    svg('rect', { ...box, rx: 2, class: 'ground' }),
    pattern && svg('rect', { ...box, rx: 2, fill: `url(#lane-${status.toLowerCase()})` }),
    text !== '' && svg('text', { x: Math.max(0, left) + 4, y: TEXT_Y }, text),
  );
}

/** @param {FaultSpan} fault @param {Range} range @param {number} width @param {number} end @param {number} height */
function faultWindow(fault, range, width, end, height) {
  const left = Math.max(-2, place(range, width, fault.from));
  const right = Math.min(width + 2, place(range, width, Math.min(fault.to ?? end, end)));
  const size = Math.max(2, right - left);
  const given = Object.entries(fault.parameters).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  const lasted = fault.to === null ? `since ${time(fault.from)}` : `${time(fault.from)} to ${time(fault.to)} (${duration(fault.to - fault.from)})`;
  return svg(
    'g',
    { class: 'window' },
    svg('title', null, [fault.kind, ...given, lasted].join(', ')),
    svg('rect', { x: left, y: 0, width: size, height, class: 'shade' }),
    svg('rect', { x: left, y: FAULT_TOP, width: size, height: FAULT_HEIGHT, class: 'edge' }),
    svg('rect', { x: left, y: FAULT_TOP, width: size, height: FAULT_HEIGHT, fill: 'url(#lane-fault)' }),
  );
}

/** @param {Lane} lane @param {Range} range @param {number} width @param {number} end */
function capacityLine(lane, range, width, end) {
  const points = lane.capacities.filter((one) => one.total > 0 && one.time <= end);
  if (points.length === 0) return null;
  let path = '';
  for (const one of points) {
    const y = CAPACITY_TOP + CAPACITY_HEIGHT * (1 - (one.total - one.available) / one.total);
    const x = Math.max(-2, place(range, width, one.time));
    path += path === '' ? `M${x.toFixed(1)},${y.toFixed(1)}` : `H${x.toFixed(1)}V${y.toFixed(1)}`;
  }
  const bottom = CAPACITY_TOP + CAPACITY_HEIGHT;
  const left = Math.max(-2, place(range, width, /** @type {LaneCapacity} */ (points[0]).time)).toFixed(1);
  path += `H${place(range, width, end).toFixed(1)}`;
  const area = `${path}V${bottom}H${left}Z`;
  const last = /** @type {LaneCapacity} */ (points.at(-1));
  const text = `${percent(last.total - last.available, last.total)} in use: ${bytes(last.available)} of ${bytes(last.total)} available`;
  return svg('g', { class: 'capacity' }, svg('title', null, text), svg('path', { d: area, class: 'used' }), svg('path', { d: path }));
}

/** Return the faults of the management plane, each in a row of its own as far as there is room. @param {FaultSpan[]} faults @param {Range} range @param {number} width @param {number} now */
export function drawNodeFaults(faults, range, width, now) {
  const end = Math.min(now, range.to);
  return faults.map((fault) => {
    const left = Math.max(0, place(range, width, fault.from));
    const right = place(range, width, Math.min(fault.to ?? end, end));
    const isWide = right - left > fault.kind.length * 7 + 8;
    return [
      faultWindow(fault, range, width, end, LANE_HEIGHT),
      isWide && svg('text', { x: left + 4, y: TEXT_Y, class: 'fault-name' }, fault.kind),
    ];
  });
}

/** Return whether a request is one that this page makes to stay up to date. @param {Tick} tick */
export function isQuiet(tick) {
  return tick.ofPage && tick.method === 'GET' && tick.status === 200 && tick.faults === 0;
}

/** Return requests as ticks, those of one place together: higher and crossed where one failed. @param {Tick[]} ticks @param {Range} range @param {number} width */
export function drawTicks(ticks, range, width) {
  /** @type {Map<number, Tick[]>} */
  const columns = new Map();
  for (const tick of ticks) {
    const x = place(range, width, tick.time);
    if (x < 0 || x > width || isQuiet(tick)) continue;
    const column = Math.floor(x / COLUMN);
    const there = columns.get(column);
    if (there === undefined) columns.set(column, [tick]);
    else there.push(tick);
  }
  return [...columns].map(([column, found]) => tickColumn(column * COLUMN + 1, found));
}

/** @param {number} x @param {Tick[]} found */
function tickColumn(x, found) {
  const wrong = found.find((one) => one.status >= 400 || one.status === 0);
  const touched = found.find((one) => one.faults > 0);
  const [failed, met] = [wrong !== undefined, touched !== undefined];
  const height = failed || met ? 22 : Math.min(18, 8 + 2 * found.length);
  const told = touched ?? wrong ?? /** @type {Tick} */ (found[0]);
  const said = `#${told.number} ${told.method} ${told.api || told.path}: ${told.status || 'no answer'}`;
  const text = found.length === 1 ? said : `${found.length} requests, one of them ${said}`;
  return svg(
    'g',
    { class: ['tick', failed && 'failed', met && 'met'], data: { number: told.number } },
    svg('title', null, text),
    svg('rect', { x: x - 0.75, y: TICK_HEIGHT - height, width: 1.5, height }),
    met && svg('path', { d: `M${x},${TICK_HEIGHT - height - 5} l3.5,3.5 l-3.5,3.5 l-3.5,-3.5 z` }),
    failed && !met && svg('path', { d: `M${x - 3},${TICK_HEIGHT - height - 5} l6,6 m0,-6 l-6,6`, class: 'cross' }),
    svg('rect', { x: x - 3, y: 0, width: 6, height: TICK_HEIGHT, class: 'target' }),
  );
}
