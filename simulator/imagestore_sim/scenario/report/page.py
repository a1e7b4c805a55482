"""Writes the page of a report: one file, which needs no network and no script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import jinja2
import markupsafe

from imagestore_sim import __version__
from imagestore_sim.scenario.play.results import Result, StepResult, Verdict
from imagestore_sim.scenario.report.drawing import SIGNS, Drawing, draw
from imagestore_sim.scenario.report.thumbnail import thumbnail
from imagestore_sim.units import duration_text

ORDER = (Verdict.FAILED, Verdict.UNKNOWN, Verdict.HELD)
"""What needs a look comes first."""
MOST_REQUESTS = 500
"""Requests that are listed of a scenario; its event log has all of them."""


@dataclass(frozen=True, slots=True)
class Making:
    """How and when the results came about: for people, and in no event log."""

    written: datetime
    """By the machine's clock, with its zone."""
    command: str
    """What was run."""
    again: Callable[[Result], str]
    """Returns the command that plays one result's scenario again as it was played."""


@dataclass(frozen=True, slots=True)
class Section:
    """One scenario on the page."""

    name: str
    result: Result
    drawing: Drawing
    again: str

    @property
    def first_wrong(self) -> str:
        """What did not hold first, in a line; '' if all did."""
        if self.result.problem:
            return f"not played to its end: {self.result.problem}"
        return next((_wrong(one) for verdict in ORDER for one in self.result.wrong if one.verdict is verdict), "")


def _wrong(one: StepResult) -> str:
    when = f" at {duration_text(one.began)}" if one.began is not None and one.kind != "invariant" else ""
    seen = f"; seen: {one.seen}" if one.seen else ""
    return f"{'invariant' if one.kind == 'invariant' else 'step'} {one.number}{when}: {one.text}{seen}"


def html(results: Sequence[tuple[str, Result]], making: Making) -> str:
    """Return the page of results with their names: those that failed first, then the unknown ones."""
    ordered = sorted(results, key=lambda one: ORDER.index(one[1].verdict))
    sections = [Section(name, result, draw(result), making.again(result)) for name, result in ordered]
    counts = {verdict: sum(one.result.verdict is verdict for one in sections) for verdict in ORDER}
    parts = [(verdict, f"{number} {verdict}") for verdict, number in counts.items() if number]
    parts = parts or [(Verdict.HELD, f"0 {Verdict.HELD}")]
    return _template().render(
        sections=sections, parts=parts, making=making, version=__version__, most_requests=MOST_REQUESTS
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("imagestore_sim.scenario.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration_text
    environment.filters["count"] = counted
    environment.filters["sign"] = SIGNS.__getitem__
    environment.filters["thumbnail"] = lambda result: markupsafe.Markup(thumbnail(result))  # noqa: S704 - drawn here
    return environment.get_template("report.html.j2")


def counted(things: Sequence[object], one: str, many: str = "") -> str:
    """Return how many things there are: `1 request`, `2 requests`."""
    return f"{len(things)} {one if len(things) == 1 else many or one + 's'}"
