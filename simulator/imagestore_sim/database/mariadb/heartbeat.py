"""The heartbeat's own way into a MariaDB: whatever else of this node is read or written, it waits for nothing of that.

A busy node loses its lease if its heart beats late. Its writes queue for one connection, its reads for a few.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.errors import CLOSED, StoreConflict, StoreUnavailable, describe, is_conflict, original
from imagestore_sim.database.health import Health, Side
from imagestore_sim.database.mariadb.connections import (
    MariaDbConnections,
    OpenConnection,
    begun,
    conflict_text,
    is_broken,
)

NOW = "SELECT UNIX_TIMESTAMP(NOW(6))"
"""The server's time, in seconds since the epoch."""


class Heartbeats:
    """Beats one after the other, each on the connection that is kept for them."""

    def __init__(self, connections: MariaDbConnections, health: Health) -> None:
        self._connections = connections
        self._health = health
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def beat(self) -> AsyncIterator[tuple[AsyncConnection, float]]:
        """Provide a connection on which each statement is committed by itself, and the server's time.

        Raise StoreUnavailable, StoreConflict.
        """
        async with self._lock:
            try:
                if self._connections.closed:
                    raise StoreUnavailable(CLOSED)
                opened, now = await begun(self._connections.heart, _ask)
            except Exception as error:
                raise (self._failed(error) if is_broken(error) else error) from error
            try:
                yield opened.connection, now
            except BaseException:  # an answer may still be on its way
                await complete(self._connections.heart.drop(opened))
                raise
            self._health.worked(Side.BEAT)

    async def check(self) -> None:
        """Ask the server for its time as a heartbeat does. Raise StoreUnavailable."""
        async with self.beat():
            pass

    def _failed(self, error: Exception) -> StoreUnavailable:
        if isinstance(error, StoreUnavailable):  # reported to Health where it was raised
            return error
        cause = original(error)
        if is_conflict(cause):
            return StoreConflict(conflict_text(cause))
        return self._health.failed(Side.BEAT, describe(cause))


async def _ask(opened: OpenConnection) -> float:
    async with opened.driver.cursor() as cursor:
        await cursor.execute(NOW)
        ((seconds,),) = await cursor.fetchall()
    return float(seconds)
