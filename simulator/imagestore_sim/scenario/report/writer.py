"""Writes the results of scenarios: a page for people, JUnit XML for CI systems, and event logs as JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from imagestore_sim.scenario.play.results import Result
from imagestore_sim.scenario.report.junit import junit
from imagestore_sim.scenario.report.page import Making, html

PAGE, JUNIT, EVENTS = "index.html", "junit.xml", "events"


def write_reports(folder: Path, results: Sequence[Result], making: Making) -> Path:
    """Write the reports into `folder`, which is created; return the file of the page. Raise OSError."""
    (folder / EVENTS).mkdir(parents=True, exist_ok=True)
    names = _names(results)
    for name, result in zip(names, results, strict=True):
        (folder / EVENTS / f"{name}.jsonl").write_bytes(event_log(result))
    junit(results).write(str(folder / JUNIT), pretty=True)
    page = folder / PAGE
    page.write_text(html(list(zip(names, results, strict=True)), making), encoding="utf-8")
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
