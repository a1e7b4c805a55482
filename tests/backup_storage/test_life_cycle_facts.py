"""The tests that the life-cycle facts name exist, and docs/life-cycle.md is up to date."""

from __future__ import annotations

from pathlib import Path

from life_cycle_facts import missing, render

PAGE = Path(__file__).parents[2] / "docs" / "life-cycle.md"


def test_every_test_that_the_table_names_is_there() -> None:
    assert list(missing()) == []


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render(), "make life-cycle"
