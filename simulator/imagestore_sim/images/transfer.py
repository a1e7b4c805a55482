"""Downloads of images to ImageStores: the bits come at the rate of their source, on the clock (domain 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from imagestore_sim.backup_storage.errors import BackupStorageError, NoSuchStorage
from imagestore_sim.backup_storage.records import Storage, StorageRecords
from imagestore_sim.clock import Clock
from imagestore_sim.images.bits import Bits, Place, install_path, place_of
from imagestore_sim.images.errors import BitsFailed, TransferFailed
from imagestore_sim.images.sources import ImageWeight
from imagestore_sim.images.space import Promise, Space

STEPS = 20
"""Into how many parts a download is divided: after each of them the file has grown."""


@dataclass(slots=True, eq=False)
class Progress:
    """How far the downloads of one call are, in bytes of all of its storages."""

    began: float
    """Seconds since the epoch."""
    promises: list[Promise] = field(default_factory=list)

    @property
    def percent(self) -> int:
        """Return the share that has come, in whole percent."""
        total = sum(one.size for one in self.promises)
        return 100 * sum(one.written for one in self.promises) // total if total else 0


class Transfers:
    """Brings images to the hosts of ImageStores, and knows how far each is."""

    def __init__(
        self,
        records: StorageRecords,
        bits: Bits,
        space: Space,
        clock: Clock,
        on_ended: Callable[[int, bool], None],
    ) -> None:
        """`on_ended` is called with the bytes that each transfer has brought, and whether it failed."""
        self._on_ended = on_ended
        self._records = records
        self._bits = bits
        self._space = space
        self._clock = clock
        self._running: dict[str, Progress] = {}

    def progress(self, job: str) -> Progress | None:
        """Return how far the downloads of a job are; None if none is under way."""
        return self._running.get(job)

    async def download(
        self, job: str, image_uuid: str, url: str, weight: ImageWeight, storages: Sequence[Storage]
    ) -> list[BackupStorageError]:
        """Bring an image to all storages at once; return the errors, in the order in which they came."""
        errors: list[BackupStorageError] = []
        with self._watched(job) as progress:

            async def one(storage: Storage) -> None:
                try:
                    await self._download(image_uuid, weight, storage, progress)
                    self._on_ended(weight.actual_size, False)
                except BitsFailed as failure:
                    errors.append(TransferFailed(url, storage.uuid, str(failure)))
                    self._on_ended(0, True)
                except BackupStorageError as failure:
                    errors.append(failure)
                    self._on_ended(0, True)

            async with asyncio.TaskGroup() as group:
                for storage in storages:
                    group.create_task(one(storage))
        return errors

    @contextmanager
    def _watched(self, job: str) -> Iterator[Progress]:
        progress = self._running[job] = Progress(self._clock.time())
        try:
            yield progress
        finally:
            del self._running[job]

    async def _download(self, image_uuid: str, weight: ImageWeight, storage: Storage, progress: Progress) -> None:
        place = place_of(storage.target, install_path(image_uuid))
        assert place is not None, "the install path of an image that is added names a file"
        if weight.error is not None:
            raise BitsFailed(weight.error)
        async with self._space.promised(storage, weight.actual_size) as promise:
            progress.promises.append(promise)
            await self._bits.begin(place)
            await self._fill(place, weight, storage, promise)
            await self._bits.finish(place, _metadata(image_uuid, weight))
        await self._space.measure(storage)

    async def _fill(self, place: Place, weight: ImageWeight, storage: Storage, promise: Promise) -> None:
        """Let the file grow at the rate of the source. Raise BitsFailed, NoSuchStorage."""
        for step in range(1, STEPS + 1):
            await self._clock.sleep(weight.actual_size / weight.rate / STEPS)
            if await self._records.load(storage.uuid) is None:
                raise NoSuchStorage(storage.uuid)
            size = weight.actual_size * step // STEPS
            await self._bits.grow(place, size)
            promise.written = size


def _metadata(image_uuid: str, weight: ImageWeight) -> Mapping[str, object]:
    """Return what stands beside an image's file."""
    return {
        "name": image_uuid,
        "id": image_uuid,
        "size": weight.size,
        "actualSize": weight.actual_size,
        "md5": weight.md5,
    }
