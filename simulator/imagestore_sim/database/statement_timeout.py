"""Reads that come to an end: after a while by themselves, and at once when the database is closed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

READ_SECONDS = 30.0
STEPS_BETWEEN_LOOKS = 20_000
"""Steps of SQLite's virtual machine: under a millisecond of work."""


class ReadTooLong(Exception):
    """A read that was ended before it had come to its end."""


class StatementTimeout:
    """Ends the statements of one connection that take too long. The times are the machine's."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = float("inf")
        self._ended = False

    def begin(self) -> None:
        """Count from now on."""
        self._until = time.monotonic() + self._seconds  # real: a reader waits

    def end(self) -> None:
        """Let no statement go on."""
        self._ended = True

    def is_over(self) -> bool:
        """Whether the statement that runs has to end."""
        return self._ended or time.monotonic() > self._until  # real: a reader waits

    def connector(self) -> Callable[..., sqlite3.Connection]:
        """Return a factory of connections that this limit holds for."""
        limit = self

        class Limited(sqlite3.Connection):
            """Counts from the beginning of each statement."""

            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                limit.begin()
                return super().execute(*arguments)

        def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = Limited(*arguments, **options)
            connection.set_progress_handler(self.is_over, STEPS_BETWEEN_LOOKS)
            return connection

        return connect
