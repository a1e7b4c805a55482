"""The outcomes of probes: one as a text or many as a table for people, or as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from imagestore_sim.cli.probe_targets import Asked
from imagestore_sim.clock import Clock
from imagestore_sim.masking import on_one_line
from imagestore_sim.probe import Capacity, ProbeFailure, Reached
from imagestore_sim.units import size_text

Outcome = Capacity | Reached | ProbeFailure
Outcomes = Sequence[tuple[Asked, Outcome]]
ROWS_AROUND = 7
"""Rows of a terminal that the table's head and caption take."""
COLUMNS = ("target", "outcome", "available", "of", "free", "inodes", "ms")
FIRST_NUMBER = 2
LEAST_IMPORTANT = (6, 5, 3, 4, 2)
"""Columns that a narrow terminal goes without, in this order."""
AROUND_CELL = 3
"""Columns of the terminal that a cell takes beside its text."""
REFRESH_SECONDS = 0.2
"""How long outcomes are collected before the table is drawn again."""
WIDE = 1000
"""Columns of a table where there is no terminal: nothing is cut."""


def print_json(outcome: Outcome, asked: Asked | None = None, time: float | None = None) -> None:
    """Print the outcome on one line as a JSON object: sizes in bytes, phases in milliseconds.

    The object begins with the time (epoch seconds) and what was asked, if these are given.
    """
    head: dict[str, Any] = {} if time is None else {"time": round(time, 3)}
    if asked is not None:
        target = asked.target
        head |= {"name": asked.name, "host": target.hostname, "port": target.port, "url": target.url}
    print(orjson.dumps(head | _to_json(outcome)).decode(), flush=True)


def _to_json(outcome: Outcome) -> dict[str, Any]:
    phases = {phase: round(milliseconds, 3) for phase, milliseconds in outcome.phases.items()}
    if isinstance(outcome, ProbeFailure):
        return {"reason": outcome.reason, "message": outcome.message, "phases": phases}
    if isinstance(outcome, Reached):
        return {"mode": outcome.mode, "phases": phases}
    inodes = {"total": outcome.inodes.total, "available": outcome.inodes.available} if outcome.inodes else None
    return {
        "total": outcome.total,
        "available": outcome.available,
        "inodes": inodes,
        "readOnly": outcome.read_only,
        "method": outcome.method,
        "phases": phases,
    }


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print what was found, or the reason of the failure and what to do, then the milliseconds of each phase."""
    for line in _lines(outcome):
        console.print(line, soft_wrap=True, highlight=False)
    phases = ", ".join(f"{phase} {milliseconds:.1f}" for phase, milliseconds in outcome.phases.items())
    console.print(Text(f"milliseconds: {phases or 'none'}", style="dim"), soft_wrap=True)


def _lines(outcome: Outcome) -> Iterator[Text]:
    if isinstance(outcome, ProbeFailure):
        yield Text.assemble((outcome.reason, "bold red"), f": {on_one_line(outcome.message)}")
        yield Text(f"what to do: {outcome.advice}")
        return
    if isinstance(outcome, Reached):
        yield Text("the agent answers")
        return
    yield Text(f"total      {outcome.total:>20,} bytes ({size_text(outcome.total)})")
    yield Text(f"available  {outcome.available:>20,} bytes ({size_text(outcome.available)})")
    if outcome.inodes is not None:
        yield Text(f"inodes     {outcome.inodes.available:>20,} of {outcome.inodes.total:,} available")
    if outcome.read_only:
        yield Text("read-only", style="yellow")
    yield Text(f"method     {outcome.method:>20}")


def print_table(outcomes: Outcomes, console: Console, when: str = "") -> None:
    """Print a table of outcomes; `when` stands below it."""
    if not console.is_terminal:
        console.width = WIDE
    console.print(table_of(outcomes, when=when), highlight=False)


class ShownRounds(Protocol):
    """Shows the outcomes of rounds."""

    def one(self, asked: Asked, outcome: Outcome) -> None:
        """Show an outcome as it comes."""

    def whole(self, outcomes: Outcomes) -> None:
        """Show a round that is complete."""


@contextmanager
def watching(console: Console, clock: Clock, asked: Sequence[Asked]) -> Iterator[ShownRounds]:
    """Yield what shows rounds: a table that is kept up to date on a terminal, one below the other elsewhere."""
    if not console.is_terminal:
        yield _Printed(console, clock)
        return
    with Live(console=console, auto_refresh=False) as live:
        screen = _Screen(live, console, clock, asked)
        try:
            yield screen
        finally:
            screen.close()


class _Printed:
    """Prints a table for each complete round."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock

    def one(self, asked: Asked, outcome: Outcome) -> None:
        """Wait for the others."""

    def whole(self, outcomes: Outcomes) -> None:
        """Print the table."""
        print_table(outcomes, self._console, f", {self._clock.local()} UTC")


class _Screen:
    """Keeps a table up to date: a host that hangs does not hide the answers of the others."""

    def __init__(self, live: Live, console: Console, clock: Clock, asked: Sequence[Asked]) -> None:
        self._live = live
        self._console = console
        self._clock = clock
        self._asked = asked
        self._latest: dict[Asked, Outcome] = {}
        self._came = 0
        """Outcomes of the round that is under way."""
        self._due: asyncio.TimerHandle | None = None

    def one(self, asked: Asked, outcome: Outcome) -> None:
        """Show it soon, together with those that come by then."""
        self._latest[asked] = outcome
        self._came += 1
        if self._due is None:
            loop = asyncio.get_running_loop()
            self._due = loop.call_later(REFRESH_SECONDS, self._draw)  # real: a person looks at it

    def whole(self, outcomes: Outcomes) -> None:
        """Show the round."""
        self._latest = dict(outcomes)
        self._came = 0
        self._draw()

    def close(self) -> None:
        """Show nothing more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _draw(self) -> None:
        self.close()
        to_come = f", {len(self._asked) - self._came} to come" if self._came else ""
        outcomes = [(one, self._latest[one]) for one in self._asked if one in self._latest]
        rows = max(2, self._console.height - ROWS_AROUND)
        when = f"{to_come}, {self._clock.local()} UTC; Ctrl-C stops"
        self._live.update(table_of(outcomes, rows, when, self._console.width), refresh=True)


def table_of(outcomes: Outcomes, rows: int | None = None, when: str = "", width: int = WIDE) -> Group:
    """Return a table of outcomes, and below it `when` and why probes failed.

    `rows` bounds both together; if there are more outcomes, failures come first. Columns that do not fit into `width`
    are left out, the least important first.
    """
    shown = outcomes if rows is None or len(outcomes) <= rows else sorted(outcomes, key=_has_succeeded)[:rows]
    table = Table(box=SIMPLE_HEAD, expand=False, caption=_caption(outcomes, len(shown)) + when, caption_justify="left")
    lines = [(Text(on_one_line(asked.name)), *_cells(outcome)) for asked, outcome in shown]
    chosen = _fitting(lines, width)
    for column in chosen:
        table.add_column(COLUMNS[column], no_wrap=True, justify="right" if column >= FIRST_NUMBER else "left")
    for line in lines:
        table.add_row(*(line[column] for column in chosen))
    failed = [(asked, outcome) for asked, outcome in shown if isinstance(outcome, ProbeFailure)]
    most = len(failed) if rows is None else max(0, rows - len(shown))
    return Group(table, *(_why(asked, failure) for asked, failure in failed[:most]))


def _fitting(lines: Sequence[Sequence[Text]], width: int) -> list[int]:
    """Return the columns that fit into a width; the first two always do."""
    widths = [max([len(heading), *(line[column].cell_len for line in lines)]) for column, heading in enumerate(COLUMNS)]
    chosen = list(range(len(COLUMNS)))
    for unimportant in LEAST_IMPORTANT:
        if sum(widths[one] + AROUND_CELL for one in chosen) < width:
            break
        chosen.remove(unimportant)
    return chosen


def _has_succeeded(row: tuple[Asked, Outcome]) -> bool:
    return not isinstance(row[1], ProbeFailure)


def _caption(outcomes: Outcomes, shown: int) -> str:
    hidden = f", {len(outcomes) - shown} more not shown" if len(outcomes) > shown else ""
    return f"{sum(map(_has_succeeded, outcomes))} of {len(outcomes)} answered{hidden}"


def _why(asked: Asked, failure: ProbeFailure) -> Text:
    line = f"{on_one_line(asked.name)}: {on_one_line(failure.message)}; what to do: {failure.advice}"
    return Text(line, overflow="fold")


def _cells(outcome: Outcome) -> Iterator[Text]:
    """Yield the cells of an outcome after that of its target."""
    if isinstance(outcome, ProbeFailure):
        yield Text(outcome.reason, style="bold red")
        yield from (Text() for _ in range(4))
    elif isinstance(outcome, Reached):
        yield Text("answers", style="green")
        yield from (Text() for _ in range(4))
    else:
        yield Text("read-only", style="yellow") if outcome.read_only else Text("ok", style="green")
        yield Text(size_text(outcome.available))
        yield Text(size_text(outcome.total))
        yield _share(outcome.available, outcome.total)
        yield Text() if outcome.inodes is None else _share(outcome.inodes.available, outcome.inodes.total)
    yield Text(f"{sum(outcome.phases.values()):.1f}")


def _share(part: int, whole: int) -> Text:
    """Return how much is free, in red where it is less than a tenth."""
    share = part / whole if whole else 0.0
    return Text(f"{share:.0%}", style="red" if share < 0.1 else "")
