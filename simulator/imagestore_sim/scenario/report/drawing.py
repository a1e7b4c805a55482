"""Draws a scenario: lanes of status and capacity over one axis of time, with the faults behind them.

Across, everything is in percent of the width, so that the page can have any; down, in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from imagestore_sim.scenario.play.fault_windows import NODE
from imagestore_sim.scenario.play.results import Lane, Result, StepResult, Verdict, Window
from imagestore_sim.units import duration_text, size_text

HEIGHTS = ((3, 84), (8, 48), (1000, 24))
"""A number of lanes, and the pixels of a curve in a report that has that number or fewer."""
SHORTEST = 0.25
"""Of what takes no time."""
MOST_TICKS = 8
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800)
LETTER = 0.95
"""The width of a letter of a label on a page of ordinary width."""
MOST_ROWS = 3
"""Rows of labels; the windows that find no place in them have none, but are in the list of faults."""
LONGEST_LABEL = 44
NEAR = 3.0
"""Marks that are nearer to each other share a text."""
SIGNS = {Verdict.HELD: "✓", Verdict.FAILED: "✕", Verdict.UNKNOWN: "?"}
MOST_CHANGES = 8
"""Changes of status that are read out for a lane."""
Across = Callable[[float], float]
Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle in a lane: a status, or the window of a fault."""

    x: float
    width: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """The name of a fault, in its row, cut off where the next label begins."""

    x: float
    width: float
    row: int
    text: str
    at_its_end: bool
    """Whether the text ends where the label does, rather than begins where it does."""


@dataclass(frozen=True, slots=True)
class Windows:
    """What was wrong with a host, or with the node, and where that is written."""

    blocks: list[Block]
    labels: list[Label]

    @property
    def rows(self) -> int:
        """How many rows the labels take."""
        return 1 + max((one.row for one in self.labels), default=-1)


@dataclass(slots=True)
class DrawnLane:
    """The drawing of one storage, or of several to which the same happened."""

    blocks: list[Block]
    windows: Windows
    used: Points
    """A polygon: the used capacity, from 0 at the top to 100."""
    total: Points
    """A line: the total capacity."""
    now: str
    told: str
    """What a screen reader says: the statuses in their order."""
    names: list[str] = field(default_factory=list)
    """`NAME`, or `NAME on HOST` where the host has another name."""

    def looks(self) -> tuple[object, ...]:
        """Return what can be seen of it, but for its names; lanes that look alike are folded."""
        shapes = [(round(one.x), round(one.width), one.kind) for one in self.blocks]
        faults = [(round(one.x), round(one.width), one.text.partition(":")[0]) for one in self.windows.blocks]
        curves = [(round(x), round(y)) for x, y in (*self.used, *self.total)]
        return tuple(shapes), tuple(faults), tuple(curves), self.now


@dataclass(frozen=True, slots=True)
class Mark:
    """A step on the axis of time."""

    x: float
    step: StepResult
    text: str
    """`✕3` for a step that has not held; '' for others, and near another text."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """The drawing of one scenario."""

    lanes: list[DrawnLane]
    node: Windows
    ticks: list[tuple[float, str]]
    marks: list[Mark]
    faults: list[tuple[str, str, str]]
    """What was wrong: with which host, what, and when."""
    curve: int
    """The height of a curve."""

    @property
    def kinds(self) -> list[str]:
        """The statuses that occur, for the legend."""
        seen = {block.kind for lane in self.lanes for block in lane.blocks}
        return [one for one in ("Connected", "Connecting", "Disconnected") if one.lower() in seen]

    @property
    def wrong(self) -> list[float]:
        """Where steps failed."""
        return sorted({one.x for one in self.marks if one.step.verdict is Verdict.FAILED})


def draw(result: Result) -> Drawing:
    """Draw a scenario."""
    length = max(result.length, 0.001)

    def across(seconds: float) -> float:
        return round(100 * min(max(seconds, 0.0), length) / length, 2)

    def windows(host: str) -> Windows:
        blocks = [
            _block(across, one.began, _end(one, length), "window", f"{one.text}: {_span(one, length)}")
            for one in result.windows
            if one.host == host
        ]
        return Windows(blocks, list(_labels(blocks)))

    lanes = _fold([_draw_lane(lane, length, across, windows(lane.host)) for lane in result.lanes])
    curve = next(height for most, height in HEIGHTS if len(lanes) <= most)
    faults = [(_place(one), one.text, _span(one, length)) for one in result.windows]
    return Drawing(lanes, windows(NODE), list(_ticks(length, across)), list(_marks(result, across)), faults, curve)


def _fold(lanes: Sequence[DrawnLane]) -> list[DrawnLane]:
    """Return the lanes, those that look alike as one with all their names."""
    folded: dict[tuple[object, ...], DrawnLane] = {}
    for lane in lanes:
        first = folded.setdefault(lane.looks(), lane)
        if first is not lane:
            first.names += lane.names
    return list(folded.values())


def _draw_lane(lane: Lane, length: float, across: Across, windows: Windows) -> DrawnLane:
    statuses = [
        (began, ended, status) for (began, status), (ended, _) in pairwise([*lane.statuses, (length, "")]) if status
    ]
    blocks = [
        _block(across, began, ended, status.lower(), f"{status}: {duration_text(began)} to {duration_text(ended)}")
        for began, ended, status in statuses
    ]
    used, total = _curves(lane, length, across)
    name = lane.name if lane.host == lane.name else f"{lane.name} on {lane.host}"
    return DrawnLane(blocks, windows, used, total, _capacity_text(lane), _told(blocks), [name])


def _curves(lane: Lane, length: float, across: Across) -> tuple[Points, Points]:
    """Return the polygon of the used capacity and the line of the total one."""
    top = max((total for _, total, _ in lane.capacities), default=0)
    measured = [one for one in lane.capacities if one[1]]
    ends = [*(one[0] for one in measured[1:]), length]
    used: Points = []
    total: Points = []
    for (began, whole, available), ended in zip(measured, ends, strict=True) if measured else ():
        for moment in (began, ended):
            used.append((across(moment), _level(whole - available, top)))
            total.append((across(moment), _level(whole, top)))
    return [(used[0][0], 100.0), *used, (used[-1][0], 100.0)] if used else [], total


def _level(size: int, top: int) -> float:
    return round(100 - 100 * max(0, size) / top, 2)


def _capacity_text(lane: Lane) -> str:
    if not lane.capacities or not lane.capacities[-1][1]:
        return "never measured"
    _, total, available = lane.capacities[-1]
    text = f"{size_text(available)} of {size_text(total)} available at the end"
    largest = max(one[1] for one in lane.capacities)
    return text if largest == total else f"{text}, of {size_text(largest)} before"


def _told(blocks: Sequence[Block]) -> str:
    """Return the statuses in their order, as a screen reader says them."""
    told = [one.text for one in blocks[:MOST_CHANGES]]
    more = len(blocks) - len(told)
    return "; ".join([*told, *([f"and {more} more"] if more else [])]) or "no record"


def _block(across: Across, began: float, ended: float, kind: str, text: str) -> Block:
    x = across(began)
    width = max(SHORTEST, round(across(ended) - x, 2))
    return Block(min(x, round(100 - width, 2)), width, kind, text)


def _labels(windows: Sequence[Block]) -> Iterator[Label]:
    """Yield the labels of windows, each in the first row where it has place, as wide as its neighbours let it be."""
    rows: list[list[Label]] = [[] for _ in range(MOST_ROWS)]
    for one in sorted(windows, key=lambda one: one.x):
        text = _shortened(one.text.partition(":")[0])
        width = LETTER * len(text) + 1
        at_its_end = one.x + width > 100
        x = max(0.0, one.x + one.width - width) if at_its_end else one.x
        row = next((row for row, labels in enumerate(rows) if not labels or _label_end(labels[-1]) <= x), None)
        if row is not None:
            rows[row].append(Label(x, width, row, text, at_its_end))
    for labels in rows:
        yield from _widened(labels)


def _label_end(label: Label) -> float:
    return label.x + label.width


def _widened(labels: Sequence[Label]) -> Iterator[Label]:
    """Yield the labels of a row, each with half of the free place between it and the next: a page may be narrow."""
    begin = 0.0
    for label, after in pairwise([*labels, None]):
        assert label is not None
        end = 100.0 if after is None else (_label_end(label) + after.x) / 2 if after.at_its_end else after.x
        x, end = (begin, _label_end(label)) if label.at_its_end else (label.x, end)
        yield replace(label, x=round(x, 2), width=round(min(end, 100.0) - x, 2))
        begin = end


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def _place(window: Window) -> str:
    return "management node" if window.host == NODE else window.host


def _end(window: Window, length: float) -> float:
    return length if window.ended is None else window.ended


def _span(window: Window, length: float) -> str:
    end = _end(window, length)
    began = duration_text(window.began)
    return began if end == window.began else f"{began} to {duration_text(end)}"


def _ticks(length: float, across: Across) -> Iterator[tuple[float, str]]:
    step = next((one for one in TICKS if length / one <= MOST_TICKS), TICKS[-1])
    moment = 0
    while moment <= length:
        yield across(moment), duration_text(moment)
        moment += step


def _marks(result: Result, across: Across) -> Iterator[Mark]:
    """Yield a mark for each step that was begun; the text of one that has not held where there is place for it."""
    free = 0.0
    for one in result.steps:
        if one.began is None:
            continue
        x = across(one.began)
        text = ""
        if one.verdict is not Verdict.HELD and x >= free:
            text, free = f"{SIGNS[one.verdict]} {one.number}", x + NEAR
        yield Mark(x, one, text)
