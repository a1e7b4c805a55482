"""Counts the statements that SQLAlchemy has SQLite carry out, and the rows that they return."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from imagestore_sim.database import one_call_cursor
from imagestore_sim.database.one_call_cursor import Outcome


class Statements:
    """How many there were, and their rows, since it was made or cleared."""

    def __init__(self) -> None:
        self.clear()
        self._plain = one_call_cursor._outcome

    def clear(self) -> None:
        self.count = self.rows = 0

    def outcome(self, connection: sqlite3.Connection, execute: Callable[[sqlite3.Cursor], object]) -> Outcome:
        done = self._plain(connection, execute)
        self.count += 1
        self.rows += len(done.rows)
        return done


def count_statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Count from now on until the end of the test."""
    counted = Statements()
    monkeypatch.setattr(one_call_cursor, "_outcome", counted.outcome)
    return counted
