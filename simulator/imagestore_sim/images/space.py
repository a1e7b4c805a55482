"""Space for images that are still coming: no two adds are promised the same bytes (domain 3.7)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from imagestore_sim.backup_storage.capacity import CapacityStore
from imagestore_sim.backup_storage.errors import NoSuchStorage
from imagestore_sim.backup_storage.global_config import RESERVED_CAPACITY
from imagestore_sim.backup_storage.records import Storage
from imagestore_sim.backup_storage.resource_config import ResourceConfigs
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.cluster import PastOwner
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.database.cancellation import complete
from imagestore_sim.images.bits import Bits


@dataclass(slots=True, eq=False)
class Promise:
    """Bytes that a storage owes an image: `size` in all, of which `written` are in its file."""

    size: int
    written: int = 0


class Space:
    """Promises the space of hosts. What is promised and not yet written is not promised again."""

    def __init__(self, bits: Bits, status: StatusStore, capacities: CapacityStore, settings: ResourceConfigs) -> None:
        self._bits = bits
        self._status = status
        self._capacities = capacities
        self._settings = settings
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._promises: defaultdict[str, set[Promise]] = defaultdict(set)

    @asynccontextmanager
    async def promised(self, storage: Storage, size: int) -> AsyncIterator[Promise]:
        """Promise `size` bytes while the block runs; if it fails, give back what was taken off the capacity.

        Raise NotEnoughSpace unless more than that are available beside `reservedCapacity` and all other promises;
        BitsFailed if the host does not answer; NoSuchStorage.
        """
        promise = Promise(size)
        async with self._turns[storage.uuid]:
            # What is owed is added up first: bytes that come meanwhile then count twice, never not at all.
            owed = sum(one.size - one.written for one in self._promises[storage.uuid])
            await self.measure(storage)
            reserved = await self._settings.value(RESERVED_CAPACITY, storage.uuid)
            await self._reserve(storage, size, reserved + owed)
            self._promises[storage.uuid].add(promise)
        try:
            yield promise
        except BaseException:
            await self._give_back(storage, size)
            raise
        finally:
            self._forget(storage.uuid, promise)

    async def measure(self, storage: Storage) -> None:
        """Write the capacity that the host has now. Raise BitsFailed, NoSuchStorage.

        A node that has lost the storage to another meanwhile writes none: its owner does, with the next ping.
        """
        found = await self._bits.space(storage.target)
        with suppress(PastOwner):
            await self._status.write_capacity(storage, found)

    async def _reserve(self, storage: Storage, size: int, reserved: int) -> None:
        """Take the bytes off the capacity. If the caller is cancelled as that is written, give them back."""
        taken = False

        async def take() -> None:
            nonlocal taken
            await self._capacities.reserve(storage.uuid, size, reserved=reserved)
            taken = True

        try:
            await complete(take())
        except asyncio.CancelledError:
            if taken:
                await self._give_back(storage, size)
            raise

    async def _give_back(self, storage: Storage, size: int) -> None:
        try:
            await self._capacities.give_back(storage.uuid, size)
        except (NoSuchStorage, StoreUnavailable):
            return  # it was deleted with its capacity, or the next ping measures it

    def _forget(self, uuid: str, promise: Promise) -> None:
        self._promises[uuid].discard(promise)
        if not self._promises[uuid]:
            del self._promises[uuid]
