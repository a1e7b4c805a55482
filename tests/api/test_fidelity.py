"""The fidelity page is up to date, and every API cites where its facts come from."""

from __future__ import annotations

from pathlib import Path

from imagestore_sim.api import all_handlers
from imagestore_sim.parity.fidelity import page

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"


def test_the_page_follows_the_declarations() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make fidelity"


def test_every_api_has_a_source() -> None:
    assert [one.__name__ for one in all_handlers().by_message if not one.api.source] == []


def test_no_cell_breaks_the_tables() -> None:
    rows = [line for line in page().splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3, 4, 6}  # leniencies, recorded answers, APIs
