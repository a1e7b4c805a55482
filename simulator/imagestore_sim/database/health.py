"""Whether the store works: what failed last, said once, and what has worked since."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum

from imagestore_sim.database.errors import StoreUnavailable
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
CHECK_SECONDS = 1.0
RETRY_SECONDS = 2.0
"""After how long a change that must be stored is tried again while something is known to be wrong: the check may fail
where the change would not, or fit on a disk where the change does not."""


class Side(StrEnum):
    """What can fail by itself."""

    WRITE = "written"
    READ = "read"


class Health:
    """What is wrong with a store. While something is, the store is tried once a second until it works again.

    The machine's time counts, not the lab's: a disk is full and a lock is held however the lab's clock runs.
    """

    def __init__(self, name: str, check: Callable[[], Awaitable[None]]) -> None:
        """`check` reads and writes a little; it raises StoreUnavailable where that fails, and tells its outcome here
        as any other use of the store does."""
        self.failures = 0
        """Uses that have failed since the start."""
        self._name = name
        self._check = check
        self._problems: dict[Side, str] = {}
        self._begun = False
        self._since = 0.0
        self._works = asyncio.Event()
        self._works.set()
        self._tasks = Tasks()

    def begin(self) -> None:
        """Log what fails from now on, and try it again. Before, it is for those who open the store."""
        self._begun = True

    @property
    def problem(self) -> str | None:
        """Why the store cannot be used, in one line; None while it works."""
        return next(iter(self._problems.values()), None)

    def failed(self, side: Side, why: str) -> StoreUnavailable:
        """A use of the store failed; answers what to raise."""
        text = f"{self._name}: cannot be {side}: {why}"
        self.failures += 1
        if not self._begun:
            return StoreUnavailable(text)
        if not self._problems:
            self._since = time.monotonic()  # real: see above
            self._works.clear()
            self._tasks.begin(self._try_until_it_works(), "checks of the store")
        if self._problems.get(side) != text:
            logger.error("%s; it is tried again each second", text)
        self._problems[side] = text
        return StoreUnavailable(text)

    def worked(self, side: Side) -> None:
        """A use of the store succeeded."""
        if self._problems.pop(side, None) is not None and not self._problems:
            seconds = time.monotonic() - self._since  # real: see above
            logger.warning("%s: can be read and written again, after %.1f s", self._name, seconds)
            self._works.set()

    async def until_it_works(self) -> None:
        """Return as soon as nothing is known to be wrong."""
        await self._works.wait()

    async def until_next_try(self) -> None:
        """Return as soon as nothing is known to be wrong, or after RETRY_SECONDS; never at once."""
        await asyncio.sleep(0)  # real: see above
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._works.wait(), RETRY_SECONDS)  # real: see above

    async def close(self) -> None:
        """Check no more."""
        await self._tasks.close()

    async def _try_until_it_works(self) -> None:
        while self._problems:
            await asyncio.sleep(CHECK_SECONDS)  # real: see above
            try:
                await self._check()
            except StoreUnavailable:
                continue
            except Exception:
                logger.exception("%s: the check of the store went wrong", self._name)
