"""Time: everything that waits or reads the time takes it from here, so that it can be real or virtual."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, tzinfo
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What a room may ask of time. Seconds everywhere, as floats."""

    def time(self) -> float:
        """Seconds since the epoch: for dates that people and clients read."""

    def monotonic(self) -> float:
        """Seconds that only ever go forward: for measuring how long something took."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; zero or less lets others run once."""

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """The result of `awaitable`, which is cancelled after `seconds`. Raises TimeoutError."""

    def local(self, seconds: float | None = None) -> datetime:
        """The node's own wall clock (no zone attached, whole seconds) now, or at `seconds` since the epoch."""


class RealClock:
    """The machine's time."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self.zone = zone

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        return await asyncio.wait_for(awaitable, seconds)

    def local(self, seconds: float | None = None) -> datetime:
        moment = datetime.fromtimestamp(self.time() if seconds is None else seconds, self.zone)
        return moment.replace(tzinfo=None, microsecond=0)
