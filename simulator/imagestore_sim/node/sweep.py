"""Removes what calls have begun that no node carries out any more, as the start of an only node does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from imagestore_sim.clock import Clock
from imagestore_sim.cluster import Peers
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks

EVERY_SECONDS = 30.0
Remove = Callable[[], Awaitable[None]]


class Sweep:
    """Calls `removals` when a node has left, and every 30 seconds, where several nodes share the store."""

    def __init__(self, removals: Sequence[Remove], peers: Peers, clock: Clock, supervisor: Supervisor) -> None:
        self._removals = removals
        self._peers = peers
        self._clock = clock
        self._supervisor = supervisor
        self._node_left = asyncio.Event()
        self._tasks = Tasks()
        peers.on_left(lambda _: self._node_left.set())

    def start(self) -> None:
        """Begin."""
        self._supervisor.keep(self._tasks, "removal of what calls have left", self._wait, lambda _: self._sweep())

    async def close(self) -> None:
        """End."""
        await self._tasks.close()

    async def _wait(self) -> None:
        await self._clock.sleep_unless(self._node_left.wait(), EVERY_SECONDS)
        self._node_left.clear()

    async def _sweep(self) -> None:
        if self._peers.uuid in self._peers.members:
            for remove in self._removals:
                await remove()
