"""Downloads of images to ImageStores: the bits come at the rate of their source, on the clock (domain 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from imagestore_sim.backup_storage.errors import BackupStorageError
from imagestore_sim.backup_storage.records import Storage, StorageRecords
from imagestore_sim.clock import Clock
from imagestore_sim.images.bits import Bits, Place, place_of
from imagestore_sim.images.errors import BitsFailed, TransferFailed
from imagestore_sim.images.sources import ImageWeight
from imagestore_sim.images.space import Promise, Space
from imagestore_sim.tasks import together

STEPS = 20
"""Into how many parts a download is divided: after each of them the file has grown."""


class Kind(Enum):
    """What a transfer does: bring an image from its url, or from another ImageStore, or write an export."""

    DOWNLOAD = auto()
    COPY = auto()
    EXPORT = auto()


class Part(Protocol):
    """What comes to one storage: `size` bytes in all, of which `written` are in its file."""

    @property
    def size(self) -> int:
        """The bytes in all."""

    @property
    def written(self) -> int:
        """The bytes that are in the file."""


@dataclass(slots=True, eq=False)
class Progress:
    """How far the transfers of one call are, in bytes of all of its storages."""

    kind: Kind
    parts: list[Part] = field(default_factory=list)
    under_way: int = 0
    """The transfers that run."""

    @property
    def percent(self) -> int:
        """Return the share that has come, in whole percent."""
        total = sum(one.size for one in self.parts)
        return 100 * sum(one.written for one in self.parts) // total if total else 0

    @contextmanager
    def counting(self, part: Part) -> Iterator[None]:
        """Count a part from now on, unless the block that brings it fails: then no more of it comes."""
        self.parts.append(part)
        try:
            yield
        except BaseException:
            self.parts.remove(part)
            raise


@dataclass(frozen=True, slots=True)
class Incoming:
    """An image that comes to storages: its install path there, and the url that errors name.

    For an export it is the path of the export, and `source` is the storage itself.
    """

    image_uuid: str
    path: str
    url: str
    weight: ImageWeight
    source: Storage | None = None
    """The ImageStore that has its bits; None if they come from elsewhere."""
    original: str = ""
    """Their install path there; '' if it is the same."""


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
        self.bits = bits
        self._space = space
        self._clock = clock
        self._running: dict[str, Progress] = {}

    def progress(self, job: str) -> Progress | None:
        """Return how far the images of a job are; None if none is under way."""
        return self._running.get(job)

    async def bring(self, job: str, image: Incoming, storages: Sequence[Storage]) -> list[BackupStorageError]:
        """Bring an image to all storages at once; return the errors, in the order in which they came."""
        errors: list[BackupStorageError] = []
        with self.watched(job, Kind.DOWNLOAD if image.source is None else Kind.COPY) as progress:

            async def one(storage: Storage) -> None:
                try:
                    await self._bring(image, storage, progress)
                    self._on_ended(image.weight.actual_size, False)
                except BitsFailed as failure:
                    errors.append(TransferFailed(image.url, storage.uuid, str(failure)))
                    self._on_ended(0, True)
                except BackupStorageError as failure:
                    errors.append(failure)
                    self._on_ended(0, True)

            await together(*map(one, storages))
        return errors

    async def export(self, job: str, export: Incoming, storage: Storage) -> None:
        """Write an export to its storage. Raise NotEnoughSpace, BitsFailed, NoSuchStorage."""
        with self.watched(job, Kind.EXPORT) as progress:
            await self._bring(export, storage, progress)

    @contextmanager
    def watched(self, job: str, kind: Kind) -> Iterator[Progress]:
        """Tell how far a transfer is while the block runs it; the parts of its storages are to be counted.

        Transfers of one job that run at once share what they tell: the uploads of an image to several storages do.
        """
        progress = self._running.setdefault(job, Progress(kind))
        progress.under_way += 1
        try:
            yield progress
        finally:
            progress.under_way -= 1
            if not progress.under_way:
                del self._running[job]

    async def _bring(self, image: Incoming, storage: Storage, progress: Progress) -> None:
        place = place_of(storage.target, image.path)
        assert place is not None, "the install path of an image that comes names a file"
        if image.weight.error is not None:
            raise BitsFailed(image.weight.error)
        await self._check_source(image)
        async with self._space.promised(storage, image.weight.actual_size) as promise:
            progress.parts.append(promise)
            await self.bits.begin(place)
            await self._fill(place, image, storage, promise)
            await self.bits.finish(place, _metadata(image.image_uuid, image.weight))
        await self._space.measure(storage)

    async def _fill(self, place: Place, image: Incoming, storage: Storage, promise: Promise) -> None:
        """Let the file grow at the rate of the source. Raise BitsFailed, NoSuchStorage."""
        weight = image.weight
        for step in range(1, STEPS + 1):
            await self._clock.sleep(weight.actual_size / weight.rate / STEPS)
            await self._check_source(image)
            await self._records.load_existing(storage.uuid)
            size = weight.actual_size * step // STEPS
            await self.bits.grow(place, size)
            promise.written = size

    async def _check_source(self, image: Incoming) -> None:
        """Look whether the bits that are copied are still there. Raise BitsFailed, NoSuchStorage."""
        if image.source is None:
            return
        place = place_of((await self._records.load_existing(image.source.uuid)).target, image.original or image.path)
        assert place is not None, "the install path of an image that is copied names a file"
        await self.bits.check(place, image.weight.actual_size)


def _metadata(image_uuid: str, weight: ImageWeight) -> Mapping[str, object]:
    """Return what stands beside an image's file."""
    return {
        "name": image_uuid,
        "id": image_uuid,
        "size": weight.size,
        "actualSize": weight.actual_size,
        "md5": weight.md5,
    }
