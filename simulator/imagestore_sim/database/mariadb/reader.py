"""Reads of a MariaDB. One whose connection was lost is repeated once, on another connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.errors import CLOSED, StoreUnavailable, describe, original, reason_of
from imagestore_sim.database.health import Health, Side
from imagestore_sim.database.mariadb.connections import Lost, MariaDbConnections
from imagestore_sim.database.mariadb.reasons import TOO_LONG, code_of, is_mariadb
from imagestore_sim.database.mariadb.session import READ_SECONDS
from imagestore_sim.database.statement_timeout import ReadTooLong

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class MariaDbReader:
    """Reads what is committed. Its methods raise StoreUnavailable."""

    def __init__(self, connections: MariaDbConnections, health: Health) -> None:
        self._connections = connections
        self._health = health

    async def read(self, statement: Select[*Ts], parameters: Mapping[str, object] | None = None) -> Sequence[Row[*Ts]]:
        """Return all rows of `statement`."""

        async def once() -> Sequence[Row[*Ts]]:
            async with self._connections.readers.connect() as connection:
                return (await connection.execute(statement, parameters)).all()

        async def twice() -> Sequence[Row[*Ts]]:
            try:
                return await once()
            except Lost:
                return await once()

        return await self._reading(twice)

    async def fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return all rows of compiled SQL, past SQLAlchemy. Raise ReadTooLong after the time limit."""
        return await self._reading(lambda: self._connections.raw_readers.fetch(sql, parameters))

    def fetch_at_once(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]] | None:
        """Return None: a server's answer has to be waited for."""
        return None

    def fetch_if_short(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]] | None:
        """Return None, see `fetch_at_once`."""
        return None

    def make_quick(self) -> None:
        """Do nothing, see `fetch_at_once`."""

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
