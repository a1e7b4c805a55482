"""Draws a thumbnail of a story: a line of status for each storage, its faults behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from imagestore_sim.scenario.play.results import Lane, Result, Window

COLUMNS = 120
"""Columns of the drawing; what is shorter than one still fills one."""
SCALE = 2
WRONG = "window"
PITCH, HIGHEST = 14.0, 56.0


@dataclass(frozen=True, slots=True)
class Stroke:
    """How a kind of line is drawn, in shares of the pitch, so that it can be told from others without its colour."""

    middle: float
    width: float
    dashes: str = ""


STATUSES = {
    "Connected": Stroke(0.5, 0.5),
    "Connecting": Stroke(0.5, 0.5, "2 1"),
    "Disconnected": Stroke(0.675, 0.15),
}
"""Of several statuses in a column, the last one in this order is drawn: a thin line at the foot is Disconnected."""
ORDER = tuple(STATUSES)
WINDOW = Stroke(0.5, 1.0)
STYLE = (
    "path{fill:none}.connected{stroke:#3fa56f}.connecting{stroke:#e0a72e}.disconnected{stroke:#d65252}"
    ".window{stroke:#7a4fd0;stroke-opacity:.3}"
    "@media(prefers-color-scheme:dark){.window{stroke:#a884f5;stroke-opacity:.4}}"
)
Run = tuple[int, int]


def thumbnail(result: Result, *, alone: bool = False) -> str:
    """Return an SVG element; with `alone`, one that is a file: with its namespace and its colours."""
    pitch = min(PITCH, HIGHEST / max(1, len(result.lanes)))
    height = max(PITCH, pitch * len(result.lanes))
    style = f"<style>{STYLE}</style>" if alone else ""
    namespace = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    width = COLUMNS * SCALE
    drawn = "".join(_paths(result, pitch))
    return (
        f'<svg{namespace} class="thumbnail" viewBox="0 0 {width} {height:g}" width="{width}" height="{height:g}"'
        f' preserveAspectRatio="none" aria-hidden="true">{style}{drawn}</svg>'
    )


def _paths(result: Result, pitch: float) -> Iterator[str]:
    length = max(result.length, 0.001)
    yield _path(WRONG, [_wrong(result.windows, lane.host, length) for lane in result.lanes], pitch, WINDOW)
    statuses = [_columns(lane, length) for lane in result.lanes]
    for status, stroke in STATUSES.items():
        yield _path(status, statuses, pitch, stroke)


def _path(kind: str, lanes: Sequence[Sequence[str]], pitch: float, stroke: Stroke) -> str:
    """Return one path for all columns of a kind; '' if there are none."""
    lines = [
        f"M{begin * SCALE} {(number + stroke.middle) * pitch:.4g}h{(end - begin) * SCALE}"
        for number, lane in enumerate(lanes)
        for found, (begin, end) in _runs(lane)
        if found == kind
    ]
    if not lines:
        return ""
    dashes = f' stroke-dasharray="{stroke.dashes}"' if stroke.dashes else ""
    width = f"{stroke.width * pitch:.3g}"
    return f'<path class="{kind.lower()}" stroke-width="{width}"{dashes} d="{"".join(lines)}"/>'


def _column(seconds: float, length: float) -> int:
    return min(COLUMNS - 1, max(0, int(seconds / length * COLUMNS)))


def _columns(lane: Lane, length: float) -> list[str]:
    """Return the status to draw in each column; '' where there is no record."""
    seen = [""] * COLUMNS
    for (began, status), (ended, _) in pairwise([*lane.statuses, (length, "")]):
        for column in range(_column(began, length), _column(ended, length) + 1):
            if status and (not seen[column] or ORDER.index(status) > ORDER.index(seen[column])):
                seen[column] = status
    return seen


def _runs(column: Sequence[str]) -> Iterator[tuple[str, Run]]:
    """Yield runs of equal columns: their status, their first column, and the one after their last."""
    begin = 0
    for status, group in groupby(column):
        end = begin + sum(1 for _ in group)
        yield status, (begin, end)
        begin = end


def _wrong(windows: Sequence[Window], host: str, length: float) -> list[str]:
    """Return WRONG for each column in which something is wrong with the host or the node, else ''."""
    seen = [""] * COLUMNS
    for window in windows:
        if window.host in (host, "node"):
            ended = length if window.ended is None else window.ended
            for column in range(_column(window.began, length), _column(ended, length) + 1):
                seen[column] = WRONG
    return seen
