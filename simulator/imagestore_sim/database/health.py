"""Health of the store: logs a streak of failures once, and retries each second until the store works again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TypeVar

from imagestore_sim.database.errors import CLOSED, StoreUnavailable
from imagestore_sim.tasks import Tasks

T = TypeVar("T")
logger = logging.getLogger(__name__)
CHECK_SECONDS = 1.0
RETRY_SECONDS = 2.0
"""Pause before a change that must be stored is retried while a problem is known.

The check alone is not enough: it may fail where the change would not, or fit on a disk where the change does not.
"""


class Side(StrEnum):
    """Part of the use of a store that can fail by itself; the value completes "cannot be ..."."""

    WRITE = "written"
    READ = "read"
    BEAT = "written by the heartbeat"
    """It has a connection of its own: what others write says nothing about it."""


class Health:
    """What is wrong with a store. While anything is, the store is checked each CHECK_SECONDS until it works again.

    All times are real, not the lab's: a disk fills up and a lock is held independently of the lab's clock.
    """

    def __init__(self, name: str, check: Callable[[], Awaitable[None]]) -> None:
        """Take the store's `name` for messages, and `check`, which reads and writes a little.

        `check` raises StoreUnavailable on failure, and reports its outcome here like any other use of the store.
        """
        self.failures = 0
        """Number of failed uses since the start."""
        self._name = name
        self._check = check
        self._problems: dict[Side, str] = {}
        self._logged: set[str] = set()
        """The problems that have been logged since the store worked last: several may take turns."""
        self._begun = False
        self._closed = False
        self._failing_since = 0.0
        self._works = asyncio.Event()
        self._works.set()
        self._checks = False
        """Whether a task checks the store, one at most: that of a problem that has just ended goes on with the next."""
        self._tasks = Tasks()

    def begin(self) -> None:
        """Log and retry failures from now on. Before this, the caller that opens the store handles them."""
        self._begun = True

    @property
    def has_begun(self) -> bool:
        """Whether the store is open: failures are logged, and it is checked until it works."""
        return self._begun

    @property
    def problem(self) -> str | None:
        """Why the store cannot be used, in one line; None while it works."""
        return next(iter(self._problems.values()), None)

    def failed(self, side: Side, reason: str) -> StoreUnavailable:
        """Record a failed use, start the checks, and return the error to raise."""
        text = f"{self._name}: cannot be {side}: {reason}"
        self.failures += 1
        if not self._begun:
            return StoreUnavailable(text)
        if not self._problems:
            self._failing_since = time.monotonic()  # real: see the class
            self._works.clear()
        if not self._checks and not self._closed:
            self._checks = True
            self._tasks.begin(self._check_until_it_works(), "checks of the store")
        if text not in self._logged:
            self._logged.add(text)
            logger.error("%s; it is tried again each second", text)
        self._problems[side] = text
        return StoreUnavailable(text)

    def worked(self, side: Side) -> None:
        """Record a successful use; log when it ends the last known problem."""
        if self._problems.pop(side, None) is not None and not self._problems:
            seconds = time.monotonic() - self._failing_since  # real: see the class
            logger.warning("%s: can be read and written again, after %.1f s", self._name, seconds)
            self._logged.clear()
            self._works.set()

    async def until_it_works(self) -> None:
        """Wait until no problem is known."""
        await self._works.wait()

    async def until_next_try(self) -> None:
        """Wait until no problem is known, for RETRY_SECONDS at most. Always yields to other tasks.

        Raise StoreUnavailable once the database is closed: no other try can succeed.
        """
        await asyncio.sleep(0)  # real: see the class
        if self._closed:
            raise StoreUnavailable(CLOSED)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):  # real: see the class
                await self._works.wait()

    async def insist(self, use: Callable[[], Awaitable[T]]) -> T:
        """Use the store again and again until it could be used; return what that use returned.

        Raise what else `use` raises, and StoreUnavailable once the database is closed.
        """
        while True:
            try:
                return await use()
            except StoreUnavailable:
                await self.until_next_try()

    async def close(self) -> None:
        """Cancel the checks, and end what tries again."""
        self._closed = True
        await self._tasks.close()

    async def _check_until_it_works(self) -> None:
        while self._problems and not self._closed:
            await asyncio.sleep(CHECK_SECONDS)  # real: see the class
            try:
                await self._check()
            except StoreUnavailable:
                continue
            except Exception:
                logger.exception("%s: the check of the store went wrong", self._name)
        self._checks = False
