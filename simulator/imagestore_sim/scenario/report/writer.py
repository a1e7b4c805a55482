"""Writes the results of scenarios: a page for people, JUnit XML for CI systems, and event logs as JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import jinja2
import junitparser
import markupsafe
import orjson

from imagestore_sim.scenario.play.results import Lane, Result, StepResult, Verdict, Window
from imagestore_sim.scenario.report.thumbnail import thumbnail
from imagestore_sim.units import duration_text, size_text

PAGE, JUNIT, EVENTS = "index.html", "junit.xml", "events"
# The drawing, in its own units.
LEFT, RIGHT, WIDTH = 8.0, 892.0, 900.0
BAND, GAP = 22.0, 24.0  # of a lane: its status with its frame, and what is between two
HEIGHTS = ((3, 96.0), (8, 56.0), (1000, 26.0))  # of a curve, for up to so many lanes
SHORTEST = 2.0
MOST_TICKS = 8
Across = Callable[[float], float]
NewBlock = Callable[[float, float, str, str], "Block"]
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800)


def write_reports(folder: Path, results: Sequence[Result]) -> Path:
    """Write the reports into `folder`, which is created; return the file of the page. Raise OSError."""
    (folder / EVENTS).mkdir(parents=True, exist_ok=True)
    for name, result in zip(_names(results), results, strict=True):
        (folder / EVENTS / f"{name}.jsonl").write_bytes(event_log(result))
    junit(results).write(str(folder / JUNIT), pretty=True)
    page = folder / PAGE
    page.write_text(html(results), encoding="utf-8")
    return page


def event_log(result: Result) -> bytes:
    """Return the steps, events, requests and verdicts of a run as JSON lines: alike for the same file and seed."""
    head = {"at": 0.0, "kind": "scenario", "title": result.title, "seed": result.seed}
    return b"".join(orjson.dumps(entry) + b"\n" for entry in (head, *result.log))


def _names(results: Sequence[Result]) -> list[str]:
    """Return a name for each result: that of its file, with a number if it was taken."""
    names: list[str] = []
    for result in results:
        name = stem = Path(result.file).stem or "scenario"
        number = 2
        while name in names:
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    return names


# JUnit


def junit(results: Sequence[Result]) -> junitparser.JUnitXml:
    """Return a suite for each scenario, with a case for each step and invariant.

    A failed case is a failure, an unknown one an error.
    """
    xml = junitparser.JUnitXml("imagestore-sim replay")
    for result in results:
        suite = junitparser.TestSuite(result.title)
        suite.add_property("file", result.file)
        suite.add_property("seed", str(result.seed))
        suite.add_property("clock", result.clock)
        for one in result.checks:
            suite.add_testcase(_case(result, one))
        if result.problem:
            case = junitparser.TestCase("the scenario is played to its end", result.file)
            case.result = [junitparser.Error(result.problem)]
            suite.add_testcase(case)
        xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    for suite in xml:  # their times were summed up from the cases, which have none; equal runs share one
        properties = {one.name: one.value for one in suite.properties()}  # type: ignore[no-untyped-call]
        played = [
            one.seconds for one in results if (one.file, str(one.seed)) == (properties["file"], properties["seed"])
        ]
        suite.time = round(sum(played), 3)
    xml.time = round(sum(result.seconds for result in results), 3)
    return xml


def _case(result: Result, one: StepResult) -> junitparser.TestCase:
    when = "" if one.began is None or one.kind == "invariant" else f" at {duration_text(one.began)}"
    case = junitparser.TestCase(f"{one.kind} {one.number}{when}: {one.text}", result.file)
    text = f"expected: {one.text}\nseen: {one.seen}"
    if one.verdict is Verdict.FAILED:
        case.result = [junitparser.Failure(one.seen or "failed", "failed")]
        case.result[0].text = text
    elif one.verdict is Verdict.UNKNOWN:
        case.result = [junitparser.Error(one.seen or "never evaluated", "unknown")]
        case.result[0].text = text
    return case


# The page


def html(results: Sequence[Result]) -> str:
    """Return the page, which needs no network and no other file."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("imagestore_sim.scenario.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration_text
    environment.filters["thumbnail"] = lambda result: markupsafe.Markup(thumbnail(result))  # noqa: S704 - drawn here
    drawings = [(name, result, draw(result)) for name, result in zip(_names(results), results, strict=True)]
    counts = {one: sum(result.verdict is one for result in results) for one in Verdict}
    return environment.get_template("report.html.j2").render(drawings=drawings, counts=counts)


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle in a lane: a status, or the window of a fault."""

    x: float
    width: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class DrawnLane:
    """The drawing of one storage."""

    name: str
    host: str
    blocks: list[Block]
    windows: list[Block]
    used: str
    """The points of a polygon: the used capacity."""
    total: str
    """The points of a line: the total capacity."""
    largest: str
    now: str
    y: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """The drawing of one scenario."""

    lanes: list[DrawnLane]
    node: list[Block]
    ticks: list[tuple[float, str]]
    marks: list[tuple[float, StepResult]]
    height: float
    curve: float
    """The height of a curve."""
    width: float = WIDTH


def draw(result: Result) -> Drawing:
    """Draw lanes of status with the windows of faults, and curves of capacity, over one axis of time."""
    length = max(result.length, 0.001)

    def across(seconds: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * min(max(seconds, 0.0), length) / length, 2)

    def block(began: float, ended: float, kind: str, text: str) -> Block:
        x = across(began)
        return Block(x, max(SHORTEST, round(across(ended) - x, 2)), kind, text)

    def windows(host: str) -> list[Block]:
        return [
            block(one.began, _end(one, length), "window", f"{one.text}: {_span(one, length)}")
            for one in result.windows
            if one.host == host
        ]

    curve = next(height for most, height in HEIGHTS if len(result.lanes) <= most)
    lanes = [
        _draw_lane(lane, 24.0 + number * (GAP + BAND + curve), curve, length, across, block, windows(lane.host))
        for number, lane in enumerate(result.lanes)
    ]
    marks = [(across(one.began), one) for one in result.steps if one.began is not None]
    height = 34.0 + len(lanes) * (GAP + BAND + curve)
    return Drawing(lanes, windows("node"), list(_ticks(length, across)), marks, height, curve)


def _draw_lane(
    lane: Lane, y: float, curve: float, length: float, across: Across, block: NewBlock, windows: list[Block]
) -> DrawnLane:
    statuses = [*lane.statuses, (length, "")]
    blocks = [
        block(began, ended, status.lower(), f"{status}: {duration_text(began)} to {duration_text(ended)}")
        for (began, status), (ended, _) in pairwise(statuses)
        if status
    ]
    top = max((total for _, total, _ in lane.capacities), default=0)
    used: list[tuple[float, float]] = []
    total: list[tuple[float, float]] = []
    points = [one for one in lane.capacities if one[1]]
    ends = [*(one[0] for one in points[1:]), length]
    for (began, whole, available), ended in zip(points, ends, strict=False):
        for moment in (began, ended):
            used.append((across(moment), _level(whole - available, top, curve)))
            total.append((across(moment), _level(whole, top, curve)))
    area = [(used[0][0], curve), *used, (used[-1][0], curve)] if used else []
    last = lane.capacities[-1] if lane.capacities else (0.0, 0, 0)
    now = f"{size_text(last[2])} of {size_text(last[1])} available at the end" if last[1] else "never measured"
    return DrawnLane(lane.name, lane.host, blocks, windows, _points(area), _points(total), size_text(top), now, y)


def _level(size: int, top: int, curve: float) -> float:
    return round(curve - (curve - 4) * max(0, size) / top, 2) if top else curve


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _end(window: Window, length: float) -> float:
    return length if window.ended is None else window.ended


def _span(window: Window, length: float) -> str:
    return f"{duration_text(window.began)} to {duration_text(_end(window, length))}"


def _ticks(length: float, across: Across) -> Iterator[tuple[float, str]]:
    step = next((one for one in TICKS if length / one <= MOST_TICKS), TICKS[-1])
    moment = 0
    while moment <= length:
        yield across(moment), duration_text(moment)
        moment += step
