"""Connections past SQLAlchemy for compiled SQL: rows as SQLite would return them, dates as texts among them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from imagestore_sim.database.mariadb.reasons import is_lost

MOST = 8
"""Connections that read at once; further reads wait for one of them."""


class RawReaders:
    """A pool of asyncmy's connections."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._idle: list[Any] = []
        self._open: set[Any] = set()
        self._free = asyncio.Semaphore(MOST)

    @property
    def has_some(self) -> bool:
        """Whether it has connections, idle ones or others that will be."""
        return bool(self._open)

    async def fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return all rows. A connection that was lost while it was idle is replaced once. Raise asyncmy's errors."""
        async with self._free:
            was_idle = bool(self._idle)
            try:
                return await self._fetch(sql, parameters)
            except Exception as error:
                if not was_idle or not is_lost(error):
                    raise
            self.close_idle()  # the others were most likely lost as well
            return await self._fetch(sql, parameters)

    async def _fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        async with self._connection() as connection, connection.cursor() as cursor:
            await cursor.execute(sql, tuple(parameters) or None)
            return list(await cursor.fetchall())

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        connection = self._idle.pop() if self._idle else await self._connect()
        self._open.add(connection)
        try:
            yield connection
        except BaseException:
            if not connection.connected:
                self._open.discard(connection)
            raise
        finally:
            if connection.connected and connection in self._open:
                self._idle.append(connection)

    def close_idle(self) -> bool:
        """Close the connections that are idle. Return whether there was one."""
        had_some = bool(self._idle)
        for connection in self._idle:
            self._open.discard(connection)
            connection.close()
        self._idle.clear()
        return had_some

    def close(self) -> None:
        """Close every connection, also one on which a statement runs."""
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._idle.clear()
