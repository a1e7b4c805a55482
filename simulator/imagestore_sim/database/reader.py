"""Reads of a SQLite file: through SQLAlchemy, past it in a thread, or past it on the event loop."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVarTuple, cast

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.at_once import runs_at_once
from imagestore_sim.database.connections import BROKEN, Connections, StoreConnection
from imagestore_sim.database.errors import CLOSED, StoreUnavailable, describe, original, reason_of
from imagestore_sim.database.health import Health, Side
from imagestore_sim.database.lazy_connection import LazyConnection
from imagestore_sim.database.statement_timeout import ReadTooLong

Ts = TypeVarTuple("Ts")
SHORT_SECONDS = 0.002
"""Processor time that a statement may take on the event loop."""
STEPS_BETWEEN_CHECKS = 1000
"""Steps of SQLite's virtual machine between two checks of that time."""
TRIES_LEFT_OUT = 32
MOST_LONG = 256
"""Statements that are remembered to be long."""


class Reader:
    """Reads what is committed. Its methods raise StoreUnavailable, and drop the connection that failed."""

    def __init__(self, connections: Connections, health: Health) -> None:
        self._connections = connections
        self._health = health
        self._long: dict[str, int] = {}
        """Statements that took long, with the number of calls for which they are not tried on the event loop."""

    async def read(self, statement: Select[*Ts], parameters: Mapping[str, object] | None = None) -> Sequence[Row[*Ts]]:
        """Return all rows of `statement`."""
        async with self._connections.reader_lock, self._reading(self._connections.reader) as reader:
            return (await reader.connection.execute(statement, parameters)).all()

    async def fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return all rows of compiled SQL, past SQLAlchemy. Raise ReadTooLong after the time limit."""
        async with self._reading(self._connections.raw_reader) as reader:
            try:
                rows = await reader.driver.execute_fetchall(sql, parameters)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                    raise ReadTooLong(f"not read within {self._connections.timeout.seconds:g} s") from None
                raise
        return cast("list[tuple[Any, ...]]", rows)  # without a row factory they are plain tuples

    def fetch_at_once(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]] | None:
        """Return all rows of compiled SQL, on the event loop; None if that is not possible now.

        Raise sqlite3.Error for a mistake in the statement.
        """
        if self._connections.quick_reader is None:
            return None
        try:
            return self._connections.quick_reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            if reason_of(error) is None:
                raise
            self._connections.close_quick_reader()
            return None

    def fetch_if_short(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]] | None:
        """Return all rows of compiled SQL, on the event loop; None after SHORT_SECONDS, or if that is not possible now.

        A statement that has taken longer is not tried again for its next TRIES_LEFT_OUT calls.
        """
        quick, left_out = self._connections.quick_reader, self._long.get(sql, 0)
        if quick is None or left_out:
            if not runs_at_once():  # else the call is made again
                self._leave_out(sql, left_out - 1)
            return None
        ends = time.thread_time() + SHORT_SECONDS
        quick.set_progress_handler(lambda: time.thread_time() > ends, STEPS_BETWEEN_CHECKS)
        try:
            return quick.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                self._leave_out(sql, TRIES_LEFT_OUT)
            elif reason_of(error) is None:
                raise
            else:
                self._connections.close_quick_reader()
            return None
        finally:
            if self._connections.quick_reader is not None:
                quick.set_progress_handler(None, 0)

    def _leave_out(self, sql: str, calls: int) -> None:
        """Try a statement no more on the event loop for so many calls."""
        self._long.pop(sql, None)
        if calls > 0:
            self._long[sql] = calls
        if len(self._long) > MOST_LONG:
            del self._long[next(iter(self._long))]

    def make_quick(self) -> None:
        """Open the connection for `fetch_at_once`, unless it is open or cannot be opened now."""
        self._connections.open_quick_reader()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Provide a connection on which every read sees the same state, whatever is committed meanwhile."""
        async with self._connections.snapshot() as lazy, self._reading(lazy) as reader:
            await reader.run("BEGIN")
            yield reader.connection

    @asynccontextmanager
    async def _reading(self, lazy: LazyConnection[StoreConnection]) -> AsyncIterator[StoreConnection]:
        """Provide the connection; drop it if the store fails, but not for a mistake in a statement."""
        if self._connections.closed:
            raise StoreUnavailable(CLOSED)
        connection = None
        try:
            connection = await lazy.get()
            yield connection
        except StoreUnavailable:  # reported to Health where it was raised
            await lazy.drop(connection)
            raise
        except BROKEN as error:
            if connection is not None and reason_of(original(error)) is None:
                raise
            await lazy.drop(connection)
            raise self._health.failed(Side.READ, describe(error)) from error
        self._health.worked(Side.READ)
