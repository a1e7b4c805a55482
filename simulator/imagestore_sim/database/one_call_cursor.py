"""SQLAlchemy's cursor and connection for aiosqlite, with one call of SQLite's thread for each statement.

SQLAlchemy's own cursor calls the thread four times: to make a cursor, execute, fetch, and close. Each call wakes two
threads, which takes longer than SQLite does for a row.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from typing_extensions import override

from imagestore_sim.database import without_thread
from imagestore_sim.database.without_thread import ConnectionWithoutThread


@dataclass(slots=True)
class Outcome:
    """What a statement has left behind, under the names of a DB-API cursor."""

    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None
    arraysize: int = 1
    rows: list[Any] = field(default_factory=list)


class OneCallCursor(AsyncAdapt_aiosqlite_cursor):
    """Executes a statement, fetches all its rows and closes SQLite's cursor in one call of the thread."""

    __slots__ = ()

    @override
    def _make_new_cursor(self, connection: Any) -> Any:
        return Outcome()

    @override
    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    @override
    async def _execute_async(self, operation: Any, parameters: Any) -> None:
        await self._run(lambda cursor: cursor.execute(operation, parameters or ()))

    @override
    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> None:
        await self._run(lambda cursor: cursor.executemany(operation, seq_of_parameters))

    async def _run(self, execute: Callable[[sqlite3.Cursor], object]) -> None:
        async with self._adapt_connection._execute_mutex:
            # aiosqlite has no public function for it. That its own futures are seen by virtual time is needed, too.
            outcome = await self._connection._execute(partial(_outcome, self._connection._conn, execute))
        self._cursor = outcome
        self._rows = deque(outcome.rows)

    @override
    async def _async_soft_close(self) -> None:
        """Keep the rows. SQLite's cursor is closed already."""

    @override
    def close(self) -> None:
        self._rows.clear()


def _outcome(connection: sqlite3.Connection, execute: Callable[[sqlite3.Cursor], object]) -> Outcome:
    """Execute a statement; call it in the connection's thread."""
    cursor = connection.cursor()
    try:
        execute(cursor)
        rows = cursor.fetchall() if cursor.description else []
        return Outcome(cursor.description, cursor.rowcount, cursor.lastrowid, cursor.arraysize, rows)
    finally:
        cursor.close()


class OneCallConnection(AsyncAdapt_aiosqlite_connection):
    """Makes cursors of the class OneCallCursor."""

    __slots__ = ()
    _cursor_cls = OneCallCursor


class OneCallModule(AsyncAdapt_aiosqlite_dbapi):
    """Stands for the module aiosqlite; connects with OneCallConnection."""

    @override
    def connect(self, *arg: Any, **kw: Any) -> OneCallConnection:
        if without_thread.is_wanted():
            kw["async_creator_fn"] = ConnectionWithoutThread
        return OneCallConnection(self, super().connect(*arg, **kw)._connection)
