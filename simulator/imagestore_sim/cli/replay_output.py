"""What `replay` prints: a progress bar, a line for each scenario, what did not hold, and counts."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from imagestore_sim.masking import on_one_line
from imagestore_sim.scenario.library import read_library
from imagestore_sim.scenario.play.results import Result, Verdict
from imagestore_sim.units import duration_text

ORDER = (Verdict.FAILED, Verdict.UNKNOWN, Verdict.HELD)
COLOURS = {Verdict.HELD: "green", Verdict.FAILED: "red", Verdict.UNKNOWN: "yellow"}


@contextlib.contextmanager
def progress(console: Console, count: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar if the console is a terminal. Yield what to call after each of `count` scenarios."""
    if not console.is_terminal or count == 1:
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("playing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("playing", total=count)
        yield lambda: bar.advance(task)


def print_result(console: Console, result: Result) -> None:
    """Print the verdict of one scenario, and each step and invariant that did not hold."""
    colour = COLOURS[result.verdict]
    word = "interrupted" if result.interrupted else result.verdict
    took = f"{duration_text(round(result.length, 1))} in {result.seconds:.1f}s"
    console.print(f"[{colour}]{word:7}[/] {escape(result.file)}: {escape(result.title)} [dim]({took})[/]")
    if result.problem:
        console.print(f"        could not be played to its end: {_plain(result.problem)}")
    if result.missed_order:
        console.print(f"        [yellow]note[/] {_plain(result.missed_order)}")
    for one in result.wrong:
        when = "" if one.began is None else f" at {duration_text(one.began)}"
        console.print(f"        [{COLOURS[one.verdict]}]{one.verdict}[/] {_name(one.kind, one.number)}{when}:"
                      f" {_plain(one.text)}")  # fmt: skip
        console.print(f"          seen: {_plain(one.seen)}")


def _plain(text: str) -> str:
    """Return text of a node or a host without markup and control characters."""
    return escape(on_one_line(text))


def _name(kind: str, number: int) -> str:
    return f"invariant {number}" if kind == "invariant" else f"step {number}"


def print_report_path(console: Console, page: Path) -> None:
    """Print where the report is."""
    console.print(f"report: {escape(str(page))}")


def print_stories() -> None:
    """Print the name, the title and the faults of each story of the library."""
    stories = read_library()
    width = max((len(one.name) for one in stories), default=0)
    for one in stories:
        faults = f" ({', '.join(one.faults)})" if one.faults else ""
        typer.echo(f"{one.name:{width}}  {one.scenario.title}{faults}")


def print_failures(console: Console, results: Sequence[Result], again: Callable[[Result], str]) -> None:
    """Print what did not hold, the failed ones first, with the command that plays each again."""
    wrong = [one for verdict in ORDER[:-1] for one in results if one.verdict is verdict and not one.interrupted]
    for result in wrong:
        if len(results) > 1:
            console.print(f"[{COLOURS[result.verdict]}]{result.verdict:7}[/] {escape(result.file)}: {_reason(result)}")
        console.print(f"        to run it again: {escape(again(result))}")


def _reason(result: Result) -> str:
    if result.problem or not result.wrong:
        return _plain(result.problem)
    first, *more = sorted(result.wrong, key=lambda one: ORDER.index(one.verdict))
    rest = f" (and {len(more)} more)" if more else ""
    return f"{_name(first.kind, first.number)}: {_plain(first.text)}{rest}"


def print_summary(console: Console, results: Sequence[Result], count: int, seconds: float) -> None:
    """Print how many of `count` scenarios had which verdict, and the `seconds` that they took."""
    verdicts = Counter(result.verdict for result in results)
    parts = [f"{verdicts[one]} {one}" for one in ORDER if verdicts[one] or one is Verdict.HELD]
    if count > len(results):
        parts.append(f"{count - len(results)} not played")
    console.print(f"{', '.join(parts)} in {seconds:.1f}s")
