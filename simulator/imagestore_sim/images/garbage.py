"""Bits that no record names any more: removed at once where the host answers, else later (observed 13).

The transaction that deletes the record writes a row for them, their note, so that a kill loses no file. Nothing is
removed without a note, not even what a cancelled or failed transfer has written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence

from sqlalchemy import ColumnElement, Row, delete, insert, null, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import BackupStorageError, NoSuchStorage
from imagestore_sim.backup_storage.events import STATUS_CHANGED, Events, Subscription
from imagestore_sim.backup_storage.image_events import ImageEvents
from imagestore_sim.backup_storage.records import IMAGE_STORE_TYPE, Status, Storage, StorageRecords
from imagestore_sim.backup_storage.tags import delete_tags
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import PastOwner, Peers, is_orphan
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.database.models import BackupStorage, Image, ImageBackupStorageRef, ImageGarbage
from imagestore_sim.database.models import InstallPathRecycle as Trash
from imagestore_sim.database.zstack_global_config import integer
from imagestore_sim.images.bits import Bits, bits_path, paths_of, place_of
from imagestore_sim.images.errors import BitsFailed, DownloadFailed
from imagestore_sim.images.rows import UPLOAD
from imagestore_sim.images.space import Space
from imagestore_sim.tasks import Tasks, together, until_done_or_set

logger = logging.getLogger(__name__)
INTERVAL = integer("image", "deletion.gcInterval")
"""Seconds between two attempts to remove bits that could not be removed, or that nobody has come to remove."""
EVENTS_WAITING = 100
"""Events that wait to be read while bits are removed; more are dropped, and count as one that a host is back."""
Ref = ImageBackupStorageRef
Left = Row[int, str, str, bool]
"""Bits that are left: the id of their note, the image, the install path, and whether a record names them."""
_NAMED = (
    select(Ref.id)
    .where(Ref.backupStorageUuid == ImageGarbage.backupStorageUuid, Ref.installPath == ImageGarbage.installPath)
    .exists()
    .label("named")
)


class Garbage:
    """Removes bits from hosts, and tries again when a storage is Connected again, or after `deletion.gcInterval`."""

    def __init__(
        self,
        database: Database,
        records: StorageRecords,
        bits: Bits,
        space: Space,
        configuration: GlobalConfiguration,
        events: Events,
        clock: Clock,
        peers: Peers,
        *,
        writes: bool,
    ) -> None:
        """Without `writes` no image has bits, and there is never anything to remove."""
        self._database = database
        self._records = records
        self._bits = bits
        self._space = space
        self._configuration = configuration
        self._events = events
        self._image_events = ImageEvents(events)
        self._clock = clock
        self._peers = peers
        self._writes = writes
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._written: dict[tuple[str, str], asyncio.Event] = {}
        """The storages and install paths whose bits are coming; nothing is removed there until the event is set."""
        self._passed_over: set[tuple[str, str]] = set()
        """Those of them that have a note: their record was deleted meanwhile."""
        self._tasks = Tasks()
        self._collecting: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        """Set when there may be more to remove than the last round has found."""
        self._hosts_keep_some = False
        """Whether the last round has left some: the next one waits for the hosts."""

    def carries(self, storage: Storage) -> bool:
        """Return whether images on this storage have bits on its host."""
        return self._writes and storage.tracked and storage.type == IMAGE_STORE_TYPE

    async def open(self) -> None:
        """Delete the images that an earlier run was still adding when it ended, and begin to remove their bits."""
        await self.drop_half_added()
        self.collect_later()

    async def drop_half_added(self) -> None:
        """Delete the images that no call is adding any more; remove their bits, and those that other nodes noted."""
        async with self._database.atomic(), self._database.transaction() as connection:
            dropped = await self._drop(connection, is_orphan(Image.addedByJob, self._peers))
        if dropped or not self._hosts_keep_some:  # else each sweep would ask again the hosts that have refused
            self.collect_later()

    async def close(self) -> None:
        """Stop removing bits. The next `open` removes those that are left."""
        await self._tasks.close()

    async def undo(self, job: str, why: str = "") -> None:
        """Delete the images that a job is adding, waiting as long as the store cannot be written, and their bits.

        `why` is the error of their transfer.
        """

        async def drop() -> Sequence[str]:
            async with self._database.atomic(), self._database.transaction() as connection:
                return await self._drop(connection, Image.addedByJob == job, why)

        for image_uuid in await self._database.health.insist(drop):
            await self.collect(image_uuid)

    async def _drop(self, connection: AsyncConnection, which: ColumnElement[bool], why: str = "") -> Sequence[str]:
        """Delete images with their refs and tags, and note their bits; return the uuids."""
        images = (await connection.execute(select(Image.uuid, Image.url).where(which).order_by(Image.uuid))).all()
        if not images:  # as at most starts
            return []
        uuids = [image.uuid for image in images]
        for uuid, url in images:
            columns = select(Ref.backupStorageUuid, Ref.installPath).where(Ref.imageUuid == uuid)
            refs = (await connection.execute(columns.order_by(Ref.backupStorageUuid))).all()
            await self.note(connection, uuid, [(ref.backupStorageUuid, ref.installPath) for ref in refs])
            if why:
                await self._record_failure(connection, uuid, url, why)
            await self._image_events.removed(connection, uuid, [ref.backupStorageUuid for ref in refs])
        await connection.execute(delete(Image).where(Image.uuid.in_(uuids)))
        await delete_tags(connection, uuids)
        return uuids

    async def _record_failure(self, connection: AsyncConnection, image_uuid: str, url: str | None, why: str) -> None:
        await self._image_events.download_failed(connection, image_uuid, why)
        if str(url).startswith(UPLOAD):
            await self._image_events.tracked(connection, image_uuid, why)

    @contextlib.asynccontextmanager
    async def adding(self, image_uuid: str, job: str, path: str, storages: Sequence[Storage]) -> AsyncIterator[None]:
        """Let the block bring the bits of an image; if it fails, delete what `job` has added, and the bits.

        The caller that cancels it deletes the records and notes the bits, by `undo` or before that. A node that stops
        leaves both to the next `open`.
        """
        try:
            async with self.writing(path, storages):
                yield
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            giving_up = self._give_up(image_uuid, job, _reason(error))
            await self._tasks.to_its_end(giving_up, f"removal of what was added of image {image_uuid}")
            raise

    @contextlib.asynccontextmanager
    async def exporting(self, image_uuid: str, path: str, storage: Storage) -> AsyncIterator[None]:
        """Let the block write an export of an image; if it fails, or the node is killed, remove the file.

        A note of the file stands until the block ends it with `forget`, in the transaction that records the export.
        """
        try:
            async with self.writing(path, [storage]):
                async with self._database.transaction() as connection:
                    await self.note(connection, image_uuid, [(storage.uuid, path)])
                yield
        except asyncio.CancelledError:
            self.collect_soon(image_uuid)
            raise
        except BaseException:
            await self._tasks.to_its_end(self.collect(image_uuid), f"removal of {path}")
            raise

    async def forget(self, connection: AsyncConnection, storage_uuid: str, path: str) -> bool:
        """Delete the note of bits, in the caller's transaction: a record names them, or they are gone.

        Return False if there is none any more: another node has removed the bits.
        """
        these = (ImageGarbage.installPath == path, ImageGarbage.backupStorageUuid == storage_uuid)
        return (await connection.execute(delete(ImageGarbage).where(*these))).rowcount > 0

    async def _give_up(self, image_uuid: str, job: str, why: str) -> None:
        await self.undo(job, why)
        await self.collect(image_uuid)  # also what was noted by a deletion meanwhile

    @contextlib.asynccontextmanager
    async def writing(self, path: str, storages: Sequence[Storage]) -> AsyncIterator[None]:
        """Let the block bring bits to a path of the storages, in place of those that are still to be removed there.

        Wait for another one that writes there. No bits are removed at the path while the block runs; if they get a note
        meanwhile, they are after it.
        """
        places = [(one.uuid, path) for one in storages]
        while busy := next(filter(None, map(self._written.get, places)), None):
            await busy.wait()
        ended = asyncio.Event()
        self._written.update(dict.fromkeys(places, ended))
        try:
            await self._reclaim(path, [one.uuid for one in storages])
            yield
        finally:
            for place in places:
                del self._written[place]
            ended.set()
            if not self._passed_over.isdisjoint(places):
                self._passed_over.difference_update(places)
                self._tasks.begin(self._collect_or_later(ImageGarbage.installPath == path), f"removal of {path}")

    async def note(self, connection: AsyncConnection, image_uuid: str, bits: Iterable[tuple[str, str]]) -> None:
        """Note the bits of an image by storage and the install path of its ref, in the caller's transaction."""
        if not self._writes:
            return
        with_bits = (BackupStorage.type == IMAGE_STORE_TYPE, BackupStorage.tracked.is_(True))
        for storage, path in bits:
            found = select(BackupStorage.uuid).where(BackupStorage.uuid == storage, *with_bits)
            if await connection.scalar(found) is not None:
                there = {"backupStorageUuid": storage, "installPath": bits_path(image_uuid, path)}
                row = {"imageUuid": image_uuid, **there}
                await connection.execute(insert(ImageGarbage).values(**row))

    async def collect(self, image_uuid: str) -> None:
        """Remove the bits of an image that is gone, from the hosts that answer; from the others later.

        While the store is away, or if the caller is cancelled, the rest is removed later.
        """
        await self._collect_or_later(ImageGarbage.imageUuid == image_uuid)

    async def _collect_or_later(self, which: ColumnElement[bool]) -> None:
        try:
            left = await self._collect(which)
        except StoreUnavailable:
            self.collect_later()
        except BaseException:
            self.collect_later()
            raise
        else:
            if left and not self._hosts_keep_some:  # else the rounds wait for the hosts already
                self.collect_later()

    async def all_bits(self, connection: AsyncConnection) -> set[tuple[str, str, str]]:
        """Return image, storage and path of all bits: of images, also of those that come, exports, trash, and notes."""
        images = select(Ref.imageUuid, Ref.backupStorageUuid, Ref.installPath, Ref.exportUrl)
        trash = select(Trash.resourceUuid, Trash.storageUuid, Trash.installPath, null())
        left = select(ImageGarbage.imageUuid, ImageGarbage.backupStorageUuid, ImageGarbage.installPath, null())
        found: set[tuple[str, str, str]] = set()
        for columns in (images, trash, left):
            for image, storage, first, url in await connection.execute(columns):
                found |= {(image, storage, path) for path in paths_of(bits_path(image, first), url)}
        return found

    def collect_soon(self, image_uuid: str) -> None:
        """Do what `collect` does, in the background."""
        if self._writes:
            self._tasks.begin(self.collect(image_uuid), f"removal of the bits of image {image_uuid}")

    async def _reclaim(self, path: str, storages: Sequence[str]) -> None:
        """Leave the bits at a path of these storages alone: others take their place."""
        for storage in storages:
            async with self._turns[storage], self._database.transaction() as connection:
                await self.forget(connection, storage, path)

    def collect_later(self) -> None:
        """Remove all bits that are left as soon as it is possible, in the background."""
        if not self._writes:
            return
        self._again.set()
        if self._collecting is None or self._collecting.done():
            self._collecting = self._tasks.begin(self._collect_all(), "removal of the bits of images")

    async def _collect_all(self) -> None:
        """Remove all bits that are left, in rounds without end: a cancelled call leaves its bits to them."""
        while True:
            self._again.clear()
            with self._events.subscribe(EVENTS_WAITING) as events:
                try:
                    self._hosts_keep_some = bool(await self._collect(true(), owned=True))
                except StoreUnavailable:
                    await self._database.health.until_next_try()
                    continue
                except Exception:
                    logger.exception("bits that are left could not be removed")
                    self._hosts_keep_some = True
                if self._hosts_keep_some:
                    await self._clock.sleep_unless(self._until_worth_it(events), self._interval)
                    continue
            await self._clock.sleep_unless(self._again.wait(), self._interval)

    @property
    def _interval(self) -> int:
        return max(1, self._configuration.get(INTERVAL))

    async def _until_worth_it(self, events: Subscription) -> None:
        connected = asyncio.ensure_future(_until_connected(events))
        try:
            await until_done_or_set(connected, self._again)
        finally:
            connected.cancel()

    async def _collect(self, which: ColumnElement[bool], *, owned: bool = False) -> int:
        """Try to remove bits, on all hosts at once, or on those of `owned` storages; return how many are left."""
        storages = select(ImageGarbage.backupStorageUuid).where(which).distinct()
        rows = await self._database.read(storages)
        uuids = sorted(row[0] for row in rows if not owned or self._peers.is_ours(row[0]))
        return sum(await together(*(self._collect_on(uuid, which) for uuid in uuids)))

    async def _collect_on(self, storage_uuid: str, which: ColumnElement[bool]) -> int:
        """Try to remove bits from the host of a storage, up to the first failure; return how many are left."""
        async with self._turns[storage_uuid]:
            storage, rows = await self._records.load(storage_uuid), await self._left(storage_uuid, which)
            if storage is None:
                return 0  # and the rows are gone with it
            if storage.status is not Status.CONNECTED:
                return len(rows)
            for done, row in enumerate(rows):
                try:
                    await self._remove(storage, row)
                except BitsFailed as failure:
                    where = f"the bits of image {row.imageUuid} are left at {row.installPath}"
                    logger.warning("%s: %s: %s", storage.where, where, failure)
                    return len(rows) - done
                except PastOwner:
                    return len(rows) - done  # the node that owns the storage now removes them
        return 0

    async def free(self, storage_uuid: str, path: str | None = None) -> int:
        """Remove all bits that are left on a storage, or those at one path; return how many bytes that freed.

        Raise BitsFailed at the first that its host keeps, and for a storage that is not Connected; NoSuchStorage.
        """
        which = true() if path is None else ImageGarbage.installPath == path
        async with self._turns[storage_uuid]:
            storage = await self._records.load_existing(storage_uuid)
            if storage.status is not Status.CONNECTED:
                raise BitsFailed(f"image store[uuid:{storage_uuid}] is in status {storage.status}")
            return sum([await self._remove(storage, row) for row in await self._left(storage_uuid, which)])

    async def _left(self, storage_uuid: str, which: ColumnElement[bool]) -> Sequence[Left]:
        """Return the bits that are left on a storage, but for those at paths that are being written.

        A note of bits that a record names by now is deleted: records were put back, or added, over what was left.
        """
        columns = select(ImageGarbage.id, ImageGarbage.imageUuid, ImageGarbage.installPath, _NAMED)
        there = columns.where(which, ImageGarbage.backupStorageUuid == storage_uuid).order_by(ImageGarbage.id)
        left = []
        for row in await self._database.read(there):
            if (place := (storage_uuid, row.installPath)) in self._written:
                self._passed_over.add(place)
            elif row.named:
                async with self._database.transaction() as connection:
                    await self.forget(connection, storage_uuid, row.installPath)
            else:
                left.append(row)
        return left

    async def _remove(self, storage: Storage, row: Left) -> int:
        """Remove bits and their note, and measure the space; return the bytes. Raise BitsFailed."""
        size, place = 0, place_of(storage.target, row.installPath)
        if place is not None:
            size = await self._bits.remove(place)
            with contextlib.suppress(NoSuchStorage):
                await self._space.measure(storage)
        async with self._database.atomic(), self._database.transaction() as connection:
            removed = await connection.execute(delete(ImageGarbage).where(ImageGarbage.id == row.id))
            if not removed.rowcount:
                return 0  # another node has removed them meanwhile
            await self._image_events.bits_removed(connection, row.imageUuid, storage.uuid, row.installPath)
        return size


def _reason(error: BaseException) -> str:
    """Return why bits did not come; '' for what is no error of their transfer."""
    if isinstance(error, DownloadFailed):
        return error.cause
    return str(error) if isinstance(error, BackupStorageError) else ""


async def _until_connected(events: Subscription) -> None:
    """Wait for an event that a storage is Connected, or for one that was dropped."""
    while not events.dropped:
        event = await events.get()
        if event.path == STATUS_CHANGED and event.content["newStatus"] == Status.CONNECTED:
            return
