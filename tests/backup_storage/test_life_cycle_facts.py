"""The tests that the life-cycle facts name exist, and docs/life-cycle.md is up to date."""

from __future__ import annotations

from life_cycle_facts import missing


def test_every_test_that_the_table_names_is_there() -> None:
    assert list(missing()) == []
