"""A time limit for SQLite's read statements, which also ends them when the database is closed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

READ_SECONDS = 30.0
STEPS_BETWEEN_CHECKS = 20_000
"""Steps of SQLite's virtual machine between two checks of the time: less than a millisecond of work."""


class ReadTooLong(Exception):
    """A read that was interrupted at its time limit."""


class StatementTimeout:
    """Interrupts each statement of one connection after `seconds` of real time.

    SQLite calls the progress handler in the connection's thread; when that returns True the statement fails with
    SQLITE_INTERRUPT.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._deadline = float("inf")
        self._stopped = False

    def restart(self) -> None:
        """Begin to count for the next statement."""
        self._deadline = time.monotonic() + self.seconds  # real: a reader waits

    def stop_all(self) -> None:
        """Interrupt the running statement and every later one."""
        self._stopped = True

    def has_expired(self) -> bool:
        """Return whether the running statement must stop."""
        return self._stopped or time.monotonic() > self._deadline  # real: a reader waits

    def connect_function(self) -> Callable[..., sqlite3.Connection]:
        """Return a function with the signature of `sqlite3.connect` whose connections this limit applies to."""
        timeout = self

        class LimitedConnection(sqlite3.Connection):
            """Restarts the timeout at each statement."""

            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                timeout.restart()
                return super().execute(*arguments)

        def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = LimitedConnection(*arguments, **options)
            connection.set_progress_handler(self.has_expired, STEPS_BETWEEN_CHECKS)
            return connection

        return connect
