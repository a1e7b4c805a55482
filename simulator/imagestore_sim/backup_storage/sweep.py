"""The storages of one tick of the pings, in the order in which they are pinged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from imagestore_sim.backup_storage.records import MOST_AT_ONCE, Storage, StorageRecords
from imagestore_sim.clock import Spread


class Sweep:
    """Every tracked storage once, read a page at a time; those that answer slowly come last."""

    def __init__(self, records: StorageRecords, was_slow: Callable[[Storage], bool], spread: Spread) -> None:
        """`spread` says when each of them is to be pinged."""
        self._records = records
        self._was_slow = was_slow
        self._quick: deque[Storage] = deque()
        self._slow: deque[Storage] = deque()
        self._after = ""
        self._has_read_all = False
        self.spread = spread
        self.failed = False
        """Whether the last read has failed; `next` tries it again."""

    async def next(self) -> Storage | None:
        """Return the next storage, None after the last one. Raise StoreUnavailable."""
        while not self._quick and not self._has_read_all:
            self.failed = True
            await self._read()
            self.failed = False
        for some in (self._quick, self._slow):
            if some:
                return some.popleft()
        return None

    async def _read(self) -> None:
        page = await self._records.tracked_after(self._after)
        self._has_read_all = len(page) < MOST_AT_ONCE
        for storage in page:
            (self._slow if self._was_slow(storage) else self._quick).append(storage)
            self._after = storage.uuid
