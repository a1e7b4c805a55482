"""Every API cites where its facts come from, and the fidelity page shows it."""

from __future__ import annotations

from generators.fidelity import page
from imagestore_sim.api import all_handlers


def test_every_api_has_a_source() -> None:
    assert [one.__name__ for one in all_handlers().by_message if not one.api.source] == []


def test_no_cell_breaks_the_tables() -> None:
    rows = [line for line in page().splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3, 4, 6}  # leniencies, recorded answers, APIs
