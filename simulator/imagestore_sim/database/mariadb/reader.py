"""Reads of a MariaDB. One whose connection was lost is repeated once, on another connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import Row, Select, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import QueuePool

from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.errors import CLOSED, StoreUnavailable, describe, original, reason_of
from imagestore_sim.database.health import Health, Side
from imagestore_sim.database.mariadb.connections import Lost, MariaDbConnections
from imagestore_sim.database.mariadb.opening import NotConnected
from imagestore_sim.database.mariadb.reasons import TOO_LONG, code_of, is_mariadb
from imagestore_sim.database.mariadb.session import LOCK_SECONDS, READ_SECONDS
from imagestore_sim.database.statement_timeout import ReadTooLong

_PAUSE_SECONDS = 0.05
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class MariaDbReader:
    """Reads what is committed. Its methods raise StoreUnavailable."""

    def __init__(self, connections: MariaDbConnections, health: Health) -> None:
        self._connections = connections
        self._health = health
        self._in_use = 0

    async def read(self, statement: Select[*Ts], parameters: Mapping[str, object] | None = None) -> Sequence[Row[*Ts]]:
        """Return all rows of `statement`."""

        async def once() -> Sequence[Row[*Ts]]:
            async with self._connections.readers.connect() as connection:
                self._in_use += 1
                try:
                    return (await connection.execute(statement, parameters)).all()
                finally:
                    self._in_use -= 1

        async def twice() -> Sequence[Row[*Ts]]:
            try:
                return await once()
            except Lost:
                return await once()

        return await self._reading(lambda: _once_one_is_free(twice, self._leave_room))

    async def _leave_room(self) -> bool:
        """Return whether a connection of SQLAlchemy's that reads is free soon; close idle ones of the others for it."""
        others = self._connections.raw_readers
        return self._in_use > 0 or others.close_idle() or others.has_some or self._idle > 0

    async def _leave_raw_room(self) -> bool:
        """Return whether a connection past SQLAlchemy is free soon; close an idle one of SQLAlchemy's for it."""
        if not self._connections.raw_readers.has_some and self._idle > 0:
            with suppress(NotConnected):  # one that was lost while it was idle
                async with self._connections.readers.connect() as connection:
                    await connection.invalidate()
            return True
        return self._in_use > 0 or self._connections.raw_readers.has_some

    @property
    def _idle(self) -> int:
        pool = self._connections.readers.sync_engine.pool
        return pool.checkedin() if isinstance(pool, QueuePool) else 0

    async def fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return all rows of compiled SQL, past SQLAlchemy. Raise ReadTooLong after the time limit."""
        read = partial(self._connections.raw_readers.fetch, sql, parameters)
        return await self._reading(lambda: _once_one_is_free(read, self._leave_raw_room))

    def fetch_at_once(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]] | None:
        """Return None: a server's answer has to be waited for."""
        return None

    def fetch_if_short(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]] | None:
        """Return None, see `fetch_at_once`."""
        return None

    def make_quick(self) -> None:
        """Do nothing, see `fetch_at_once`."""

    async def open(self) -> None:
        """Open a connection of either kind: later there may be none left. Raise StoreUnavailable."""
        await self.read(select(literal(1)))
        await self.fetch("SELECT 1", ())

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Provide a connection on which every read sees the same state, whatever is committed meanwhile."""
        opened = await self._reading(self._connections.open_snapshot)
        try:
            yield opened.connection
        except Lost as error:
            raise self._health.failed(Side.READ, describe(error.__cause__ or error)) from error
        finally:
            await complete(opened.close())

    async def _reading(self, read: Callable[[], Awaitable[T]]) -> T:
        """Return what `read` returns; report to Health whether the store works."""
        if self._connections.closed:
            raise StoreUnavailable(CLOSED)
        try:
            result = await read()
        except StoreUnavailable:  # reported to Health where it was raised
            raise
        except Exception as error:
            cause = error.__cause__ if isinstance(error, Lost) and error.__cause__ is not None else original(error)
            if is_mariadb(cause) and code_of(cause) == TOO_LONG:
                raise ReadTooLong(f"not read within {READ_SECONDS} s") from None
            if reason_of(cause) is None and not isinstance(cause, OSError):
                raise
            raise self._health.failed(Side.READ, describe(cause)) from error
        self._health.worked(Side.READ)
        return result


async def _once_one_is_free(read: Callable[[], Awaitable[T]], leave_room: Callable[[], Awaitable[bool]]) -> T:
    """Return what `read` returns. Where the server accepts no more connections, wait for one that this node has."""
    end = time.monotonic() + LOCK_SECONDS  # real: the server is another process
    is_worth_it = False  # the server takes a moment to forget a connection that was closed
    while True:
        try:
            return await read()
        except NotConnected as error:
            is_worth_it = error.has_too_many and (await leave_room() or is_worth_it)
            if not is_worth_it or time.monotonic() >= end:  # real: see above
                raise
        await asyncio.sleep(_PAUSE_SECONDS)  # real: see above
