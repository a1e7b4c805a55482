"""The clock of one node of several in a process: it may be ahead of the others' time, and stand still with its node."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TypeVar

from imagestore_sim.clock import Clock
from imagestore_sim.cluster.links import Links

T = TypeVar("T")


class NodeClock:
    """A clock on top of another one. While its node is paused, time passes, and no sleep ends."""

    def __init__(self, base: Clock, links: Links) -> None:
        self.base = base
        """The time of the world, and of a store without a clock of its own."""
        self._links = links

    @property
    def jumps(self) -> bool:
        """Whether the time below moves on by itself to whatever is due next."""
        return self.base.jumps

    def time(self) -> float:
        """Return the seconds since the epoch, as this node believes."""
        return self.base.time() + self._links.skew

    def monotonic(self) -> float:
        """Return seconds that never go back, whatever is set as the time."""
        return self.base.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`, and then while the node is paused."""
        await self.base.sleep(seconds)
        await self._links.until_running()

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Return the result of `awaitable`. After `seconds`, cancel it and raise TimeoutError."""
        return await self.base.wait_for(awaitable, seconds)

    async def sleep_unless(self, awaitable: Awaitable[object], seconds: float) -> bool:
        """Wait for `seconds`, unless `awaitable` is done before. Return whether it is; else it is cancelled."""
        return await self.base.sleep_unless(awaitable, seconds)

    def local(self, seconds: float | None = None) -> datetime:
        """Return the node's local time, now or at `seconds` since the epoch: naive, in whole seconds."""
        return self.base.local(self.time() if seconds is None else seconds)

    def outside(self) -> AbstractContextManager[None]:
        """Skip no time while the block runs."""
        return self.base.outside()
