"""Reads of the store as it was some seconds ago, while a fault wants them: as from a replica that lags behind."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.models import GlobalConfig

STEPS = 5
"""How many snapshots are taken in the time that reads lag behind: they lag up to a fifth more than that."""
LEAST_SECONDS = 0.05
"""Between two snapshots."""


@dataclass(eq=False)
class _Snapshot:
    """A read transaction that was begun at a moment, and sees the store as it was then."""

    taken: float
    connection: AsyncConnection
    closing: AsyncExitStack
    in_use: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def close(self) -> None:
        """End the transaction, after the reads that use it; to the end, even if the caller is cancelled."""
        await complete(self._close())

    async def _close(self) -> None:
        async with self.in_use:
            await self.closing.aclose()


class PastReads:
    """Snapshots of a store for one fault: as many as reads that lag `seconds` behind need, and two more."""

    def __init__(self, database: Database, clock: Clock, seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self._snapshots: deque[_Snapshot] = deque()

    async def keep(self) -> None:
        """Take more snapshots until the task is cancelled; then close all."""
        try:
            while True:
                await self._clock.sleep(max(LEAST_SECONDS, self._seconds / STEPS))
                await self.take()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close all snapshots, even if the caller is cancelled: a node may stop right after its faults are healed."""
        await complete(self._close())

    async def _close(self) -> None:
        while self._snapshots:
            await self._snapshots.pop().close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Let the reads of the current task see the store as it was, or as it was when the fault was set if later."""
        async with AsyncExitStack() as ends:
            snapshot = self._chosen()
            if snapshot is not None:
                await ends.enter_async_context(snapshot.in_use)
                if snapshot in self._snapshots:  # it has not been closed meanwhile
                    ends.enter_context(self._database.reading_from(snapshot.connection))
            yield

    def _chosen(self) -> _Snapshot | None:
        """Return the newest snapshot that is old enough, else the oldest; None before the first one."""
        latest = self._clock.monotonic() - self._seconds
        old = [one for one in self._snapshots if one.taken <= latest]
        return old[-1] if old else next(iter(self._snapshots), None)

    async def take(self) -> None:
        """Take a snapshot, unless the store cannot be read, and close those that no read needs any more."""
        async with AsyncExitStack() as opening:
            try:
                connection = await opening.enter_async_context(self._database.read_snapshot())
                await connection.execute(select(GlobalConfig.id).limit(1))  # SQLite begins with the first read
            except StoreUnavailable:  # the store itself logs it
                return
            self._snapshots.append(_Snapshot(self._clock.monotonic(), connection, opening.pop_all()))
        latest = self._clock.monotonic() - self._seconds
        while len(self._snapshots) > 1 and self._snapshots[1].taken <= latest:
            await self._snapshots.popleft().close()
