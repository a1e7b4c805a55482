"""Images that clients send themselves: `upload://` (domain 8.6).

AddImage answers at once with the address to send to; then the bytes come, in one request or in pieces. ZStack's tracker
asks the storage every three seconds how far the upload is, and gives it up when nothing comes. A simulator storage
knows no uploads, so that each of these questions fails. On any other storage no image waits for an upload.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import BackupStorageError
from imagestore_sim.backup_storage.image_events import ImageEvents
from imagestore_sim.backup_storage.image_life import ImageLife
from imagestore_sim.backup_storage.records import Storage, StorageRecords
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import Bus, CallBroken, NodeGone, Peers
from imagestore_sim.cluster.bus import Content
from imagestore_sim.database import Database, OutcomeUnknown, StoreUnavailable
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.database.locks import lock
from imagestore_sim.database.models import Image, ImageBackupStorageRef
from imagestore_sim.database.zstack_global_config import integer
from imagestore_sim.images.bits import Place, install_path, place_of
from imagestore_sim.images.garbage import Garbage
from imagestore_sim.images.rows import DOWNLOADING, READY, UPLOAD, ImageRows
from imagestore_sim.images.space import Promise, Space
from imagestore_sim.images.transfer import Kind, Transfers
from imagestore_sim.rest.errors import ErrorCode
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
PATH = "/imagestore/upload"
TOLERANCE = integer("image", "upload.failure.tolerance.count")
"""How many failed questions end an upload to a simulator storage."""
MAX_IDLE = integer("image", "upload.max.idle.duration.in.seconds")
"""Seconds without a byte that end an upload."""
EVERY_SECONDS = 3
EXPIRED = "upload session expired"
INACTIVE = "uploading has been inactive more than {} sec"
INTERRUPTED = "IMG.1001"
PASSED_OVER = "is there, or comes"
"""In the answer to a piece that has come before."""
CANCELLED = "image [uuid: {}] upload canceled"
IMAGE_DELETED = "image [uuid:{}] has been deleted"
SERVICE = "uploads"
CANCEL, RESUME, OFFSET, END_DELETED = "cancel", "resume", "offset", "end deleted"
TELLING_SECONDS = 10.0
"""How long another node may take to follow."""
WINDOW = 32 * 2**20
"""Bytes that may have come and not be on the host yet: then the client waits."""
Ref = ImageBackupStorageRef


def upload_url(address: str, storage: str) -> str:
    """Return where a client sends an image for a storage; `address` is HOST:PORT of this node."""
    return f"http://{address}{PATH}/{storage}"


def is_upload_url(path: str, storage: str) -> bool:
    """Return whether the install path of an image on a storage is where its client sends it."""
    return path.endswith(upload_url("", storage).removeprefix("http://"))


class UploadRefused(Exception):
    """Bytes that cannot be taken: the HTTP status of the answer, and why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class UploadEnded(BackupStorageError):
    """An upload does not go on; the text says why."""


class UploadInterrupted(UploadEnded):
    """Nothing has come for too long, after something had: a long job can be resumed."""


class UploadElsewhere(Exception):
    """Another node waits for the upload, or has received it: it had been taken for dead when this one began to wait."""


class UploadBeginsAgain(Exception):
    """The first piece was refused. The size of the image is taken from the next one."""


class UploadJobs(Protocol):
    """The long jobs that wait for uploads."""

    async def upload_ended(
        self, image_uuid: str, error: ErrorCode | None, changes: dict[str, object], *, states: tuple[str, ...] = ...
    ) -> None:
        """End the job that adds an image, in the caller's transaction; `changes` are those of its inventory.

        Leave it in other states than `states`, by default those of a job that has not ended.
        """

    async def upload_suspended(self, image_uuid: str, error: ErrorCode) -> bool:
        """Suspend the job that adds an image; return False if none runs."""

    async def is_suspended(self, image_uuid: str) -> bool:
        """Return whether the job that adds an image is Suspended."""

    async def is_cancelled(self, image_uuid: str) -> bool:
        """Return whether the job that adds an image is Canceling."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of an image that one request brings: bytes of the image and of the part, and where the part begins."""

    image_size: int
    offset: int
    size: int
    md5: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A storage that waits for an image, and the add that has made it wait."""

    storage: Storage
    add: str | None
    """None for what an older version has added, and for records that were loaded."""


Key = tuple[str, str, str | None]
"""The image, the storage and the add of an upload: an image of the same uuid that is added later is another one."""


@dataclass(slots=True, eq=False)
class Upload:
    """An image that comes to a storage. Bytes are counted, not kept: its file on the host is one of zeros."""

    image_uuid: str
    storage: Storage
    add: str | None
    job: str | None
    touched: float
    """When the last byte came, by the clock."""
    size: int = 0
    """Bytes of the image; 0 until the first request says it."""
    received: int = 0
    written: int = 0
    whole: int = 0
    """Bytes that have come in whole pieces."""
    offsets: list[int] = field(default_factory=list)
    """Where the pieces begin that are whole or under way, in order; no two overlap."""
    sizes: dict[int, int] = field(default_factory=dict)
    """The sizes of these pieces, by their offset."""
    begins_again: bool = False
    digest: hashlib._Hash = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    hashed: int = 0
    """Bytes from the beginning that the digest is of: pieces may come in any order."""
    why_not: str | None = None
    """Why it does not go on."""
    running: bool = True
    news: asyncio.Event = field(default_factory=asyncio.Event)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> Key:
        """What tells it from all others."""
        return self.image_uuid, self.storage.uuid, self.add

    @property
    def is_whole(self) -> bool:
        """Whether all pieces are there."""
        return 0 < self.size == self.whole

    @property
    def md5(self) -> str | None:
        """The MD5 of the image in hex; None if its pieces came in another order."""
        return self.digest.hexdigest() if self.hashed == self.size else None

    def overlapping(self, piece: Piece) -> int | None:
        """Return the offset of a piece that has bytes of this one, None if there is none."""
        place = bisect.bisect_right(self.offsets, piece.offset)
        if place and (before := self.offsets[place - 1]) + self.sizes[before] > piece.offset:
            return before
        after = next(iter(self.offsets[place : place + 1]), None)
        return after if after is not None and after < piece.offset + piece.size else None

    def begin_piece(self, piece: Piece) -> None:
        """Let a piece come that overlaps no other one."""
        self.size = piece.image_size
        bisect.insort(self.offsets, piece.offset)
        self.sizes[piece.offset] = piece.size

    def drop_piece(self, piece: Piece, came: int, now: float) -> None:
        """Forget a piece that was refused, with what had come of it. Without any other, all begins again."""
        self.offsets.remove(piece.offset)
        del self.sizes[piece.offset]
        self.take(-came, now)
        if not self.offsets:
            self.size, self.begins_again = 0, True

    def take(self, count: int, now: float) -> None:
        """Count bytes that have come."""
        self.received += count
        self.touched = now
        self.news.set()

    def end(self, why: str | None) -> None:
        """Let nothing come any more, and wake those that send."""
        self.running, self.why_not = False, why
        self.moved.set()


class Uploads:
    """Takes images that clients send, gives up those that do not come, and ends the long jobs that add them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        configuration: GlobalConfiguration,
        records: StorageRecords,
        garbage: Garbage,
        space: Space,
        transfers: Transfers,
        images: ImageLife,
        events: ImageEvents,
        jobs: UploadJobs,
        peers: Peers,
        bus: Bus,
    ) -> None:
        self._peers = peers
        self._bus = bus
        bus.serve(SERVICE, self._serve)
        self._database = database
        self._clock = clock
        self._configuration = configuration
        self._records = records
        self._garbage = garbage
        self._space = space
        self._transfers = transfers
        self._images = images
        self._events = events
        self._jobs = jobs
        self._rows = ImageRows(clock)
        self._uploads: dict[Key, Upload] = {}
        self._timed: set[tuple[str, str | None]] = set()
        """The images, and their adds, that are given up after a time: the simulator storages of such take no bytes."""
        self._tasks = Tasks()

    async def open(self) -> None:
        """Wait for the uploads that an earlier run has left; they begin again with their first byte.

        Of several nodes, each waits for those that are sent to it, and for those to nodes that have left whose images
        the ring gives it.
        """
        waiting = select(Image.uuid, func.min(Ref.installPath)).outerjoin(Ref, Ref.imageUuid == Image.uuid)
        # An image is Ready with its first upload, and the others may still come.
        comes = or_(Image.status == DOWNLOADING, Ref.status == DOWNLOADING)
        waiting = waiting.where(comes, Image.url.startswith(UPLOAD), Image.addedByJob.is_(None))
        for uuid, url in await self._database.read(waiting.group_by(Image.uuid).order_by(Image.uuid)):
            if self._is_here(uuid, url):
                self.expect(uuid)

    def _is_here(self, image_uuid: str, url: str | None) -> bool:
        """Return whether this node waits for an upload; `url` is where its bytes are sent."""
        to = self._addressed(url)
        return self._peers.is_ours(image_uuid) if to is None else to == self._peers.uuid

    def _addressed(self, url: str | None) -> str | None:
        """Return the node that bytes are sent to, None if it is no member."""
        members = self._peers.members
        return next((one for one in members if (url or "").startswith(f"{self._peers.address_of(one)}/")), None)

    async def close(self) -> None:
        """Stop waiting. The next `open` waits again for the uploads that are left."""
        for upload in self._uploads.values():
            upload.end("the management node stops")
        self._uploads.clear()
        await self._tasks.close()

    def expect(self, image_uuid: str, job: str | None = None) -> None:
        """Wait for the upload of an image, and give it up in time. Its progress is that of `job`."""
        self._tasks.begin(self._expect(image_uuid, job), f"upload of image {image_uuid}")

    def resume(self, image_uuid: str) -> None:
        """Go on with the uploads of an image whose long job was suspended, on the node that they come to."""
        self._tasks.begin(self._everywhere(RESUME, image_uuid), f"upload of image {image_uuid}")

    def cancel(self, image_uuid: str) -> None:
        """End the uploads of an image, whose long job is Canceling, on the node that they come to."""
        self._tasks.begin(self._everywhere(CANCEL, image_uuid), f"end of the upload of image {image_uuid}")

    async def image_deleted(self, image_uuid: str) -> None:
        """End the job of an image that was deleted while it waited, in the caller's transaction; then its uploads."""
        await self._jobs.upload_ended(image_uuid, ErrorCode("SYS.1006", IMAGE_DELETED.format(image_uuid)), {})
        await self._database.after_commit(self.end_deleted)

    async def storage_deleted(self, storage_uuid: str) -> None:
        """Do the same with images that wait for their upload to a storage alone, which the caller is about to delete.

        Uploads of other images to the storage end as well.
        """
        async with self._database.transaction() as connection:
            to = select(Ref.imageUuid, Ref.installPath).where(Ref.status == DOWNLOADING)
            refs = (await connection.execute(to.where(Ref.backupStorageUuid == storage_uuid))).all()
            coming = [ref.imageUuid for ref in refs if is_upload_url(ref.installPath, storage_uuid)]
            others = select(Ref.imageUuid).where(Ref.imageUuid.in_(coming), Ref.backupStorageUuid != storage_uuid)
            elsewhere = set((await connection.scalars(others)).all()) if coming else set()
        for image_uuid in coming:
            if image_uuid not in elsewhere:
                await self.image_deleted(image_uuid)
        if elsewhere:
            await self._database.after_commit(self.end_deleted)

    def end_deleted(self) -> None:
        """End the uploads of images that have been deleted, on all nodes."""
        self._tasks.begin(self._everywhere(END_DELETED, ""), "end of the uploads of deleted images")

    async def _everywhere(self, what: str, image_uuid: str) -> None:
        content = {"image": image_uuid, "what": what}
        await self._serve(content)
        if not self._peers.is_alone:
            await self._bus.tell_all(SERVICE, content, seconds=TELLING_SECONDS)

    async def _serve(self, content: Content) -> Content:
        """Do what a node wants that has been asked about an upload, as soon as the store can be read."""
        image = content["image"]
        if content["what"] == CANCEL:
            await self._database.health.insist(lambda: self._cancel(image))
        elif content["what"] == RESUME:
            await self._database.health.insist(lambda: self._resume(image))
        elif content["what"] == END_DELETED:
            await self._database.health.insist(self._end_deleted)
        return {"offset": self._whole((image, content.get("storage", ""), content.get("add")))}

    async def _end_deleted(self) -> None:
        """End the uploads here whose add is no more. One that runs ends itself, and waits until its file is closed."""
        images = sorted({image for image, _, _ in self._uploads})
        if not images:
            return
        refs = select(Ref.imageUuid, Ref.backupStorageUuid, Ref.addUuid)
        rows = await self._database.read(refs.where(Ref.imageUuid.in_(images)))
        there = {tuple(row) for row in rows}
        for upload in [one for one in self._uploads.values() if one.key not in there]:
            if upload.running:
                upload.why_not = IMAGE_DELETED.format(upload.image_uuid)
                upload.news.set()
            else:
                self._forget(upload, IMAGE_DELETED.format(upload.image_uuid))

    async def _resume(self, image_uuid: str) -> None:
        for waiting in await self._waiting(image_uuid, here=True):
            upload = self._uploads.get((image_uuid, waiting.storage.uuid, waiting.add))
            if upload is None:
                self._start(image_uuid, waiting, None)
            elif not upload.running:
                upload.running, upload.why_not, upload.touched = True, None, self._clock.monotonic()
                self._track(upload)

    async def _cancel(self, image_uuid: str) -> None:
        for waiting in await self._waiting(image_uuid, here=True):
            self._start(image_uuid, waiting, None)  # one that was suspended before a restart
        for upload in [one for one in self._uploads.values() if one.image_uuid == image_uuid]:
            upload.why_not = CANCELLED.format(image_uuid)
            upload.news.set()
            if not upload.running:
                await self._give_up(upload, ErrorCode("SYS.1006", upload.why_not))

    async def offset(self, image_uuid: str, storage_uuid: str, add: str | None, url: str) -> int:
        """Return how many bytes of an image have come for a storage to the node that they are sent to, at `url`."""
        node = self._addressed(url)
        if node in (None, self._peers.uuid):
            return self._whole((image_uuid, storage_uuid, add))
        try:
            content = {"image": image_uuid, "storage": storage_uuid, "add": add, "what": OFFSET}
            answer = await self._bus.call(str(node), SERVICE, content, seconds=TELLING_SECONDS)
        except (NodeGone, CallBroken):
            return 0  # what has come to it is lost with it
        return int(answer["offset"])

    def _whole(self, key: Key) -> int:
        upload = self._uploads.get(key)
        return 0 if upload is None else upload.whole

    async def receive(self, image_uuid: str, storage_uuid: str, piece: Piece, chunks: AsyncIterator[bytes]) -> None:
        """Take a piece of an image, and return when it is on the host; the last one when the image is Ready.

        Raise UploadRefused.
        """
        upload = await self._find(image_uuid, storage_uuid)
        _check(upload, piece)
        upload.begin_piece(piece)
        came = 0
        digest = hashlib.md5(usedforsecurity=False)
        image_digest = upload.digest.copy() if upload.hashed == piece.offset else None
        try:
            async for chunk in chunks:
                if came + len(chunk) > piece.size:
                    raise UploadRefused(400, f"more than the {piece.size} bytes of the piece have come")
                came += len(chunk)
                upload.take(len(chunk), self._clock.monotonic())
                digest.update(chunk)
                if image_digest is not None:
                    image_digest.update(chunk)
                await _until_moved(upload, lambda: upload.received - upload.written < WINDOW)
            _check_piece(upload, piece, came, digest.hexdigest())
        except BaseException:
            upload.drop_piece(piece, came, self._clock.monotonic())
            raise
        upload.whole += piece.size
        if image_digest is not None:
            upload.digest, upload.hashed = image_digest, piece.offset + piece.size
        upload.news.set()
        await _until_moved(upload, lambda: upload.written >= upload.received and not upload.is_whole)

    # Beginnings

    async def _expect(self, image_uuid: str, job: str | None) -> None:
        waiting = await self._waiting(image_uuid)
        if not waiting:
            await self._drop_in_time(image_uuid)
        elif not await self._jobs.is_suspended(image_uuid):
            for one in waiting:
                self._start(image_uuid, one, job)

    async def _drop_in_time(self, image_uuid: str) -> None:
        """Give an image up that only simulator storages wait for, once for each add."""
        refs = select(Ref.id, Ref.addUuid).where(Ref.imageUuid == image_uuid)
        rows = await self._database.read(refs.order_by(Ref.id).limit(1))
        add = rows[0].addUuid if rows else None
        if (image_uuid, add) in self._timed:
            return
        self._timed.add((image_uuid, add))
        try:
            failures = max(1, self._configuration.get(TOLERANCE))
            await self._clock.sleep((failures - 1) * EVERY_SECONDS)
            await self._drop(image_uuid, add)
        finally:
            self._timed.discard((image_uuid, add))

    async def _waiting(self, image_uuid: str, *, here: bool = False) -> list[Waiting]:
        """Return the storages that carry bits and wait for an image; `here`: if it comes to this node."""
        refs = select(Ref.backupStorageUuid, Ref.installPath, Ref.addUuid).join(Image, Image.uuid == Ref.imageUuid)
        waits = (Ref.imageUuid == image_uuid, Ref.status == DOWNLOADING, Image.url.startswith(UPLOAD))
        rows = await self._database.read(refs.where(*waits).order_by(Ref.id))
        found = [
            (await self._records.load(row.backupStorageUuid), row.addUuid)
            for row in rows
            if not here or self._is_here(image_uuid, row.installPath)
        ]
        return [Waiting(one, add) for one, add in found if one is not None and self._garbage.carries(one)]

    def _start(self, image_uuid: str, waiting: Waiting, job: str | None) -> None:
        upload = Upload(image_uuid, waiting.storage, waiting.add, job, self._clock.monotonic())
        if upload.key not in self._uploads:
            self._uploads[upload.key] = upload
            self._track(upload)

    async def _find(self, image_uuid: str, storage_uuid: str) -> Upload:
        """Return the upload of an image that waits. Raise UploadRefused if there is none."""
        waiting = next((one for one in await self._waiting(image_uuid) if one.storage.uuid == storage_uuid), None)
        if waiting is None:
            raise UploadRefused(404, f"image not found {image_uuid}")
        key = (image_uuid, storage_uuid, waiting.add)
        if key not in self._uploads and not await self._jobs.is_suspended(image_uuid):
            self._start(image_uuid, waiting, None)
        upload = self._uploads.get(key)
        if upload is None:
            raise UploadRefused(404, f"image not found {image_uuid}")
        if not upload.running and not await self._jobs.is_suspended(image_uuid):
            await self._resume(image_uuid)  # another node has resumed it that could not say so
        if not upload.running:
            raise UploadRefused(409, upload.why_not or f"image[uuid: {image_uuid}] upload has completed")
        return upload

    # An upload, from its first byte to its end

    def _track(self, upload: Upload) -> None:
        self._tasks.begin(self._run(upload), f"upload of image {upload.image_uuid}")

    async def _run(self, upload: Upload) -> None:
        try:
            while not await self._take_unless_refused(upload):
                upload.written = 0
        except UploadElsewhere:
            self._forget(upload, f"another node takes the upload of image[uuid: {upload.image_uuid}]")
        except UploadInterrupted as interrupted:
            await self._give_up(upload, ErrorCode(INTERRUPTED, str(interrupted)), can_be_resumed=True)
        except (BackupStorageError, StoreUnavailable) as failure:
            await self._give_up(upload, ErrorCode("SYS.1006", str(failure)))
        except Exception as error:
            self._forget(upload, f"{type(error).__name__}: {error}")  # those that send would wait for ever
            raise
        else:
            self._forget(upload, None)
            if any(one.image_uuid == upload.image_uuid for one in self._uploads.values() if not one.running):
                # With this upload the job has ended that the others were suspended with.
                await self._database.health.insist(lambda: self._resume(upload.image_uuid))

    async def _take_unless_refused(self, upload: Upload) -> bool:
        """Do what `_take` does; return False if the first piece is refused meanwhile."""
        upload.begins_again = False
        try:
            await self._take(upload)
        except UploadBeginsAgain:
            return False
        return True

    async def _take(self, upload: Upload) -> None:
        """Write what comes to the host until all is there. Raise BackupStorageError."""
        path = install_path(upload.image_uuid)
        place = place_of(upload.storage.target, path)
        assert place is not None, "the install path of an image that is added names a file"
        await self._until(upload, lambda: upload.size > 0)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._garbage.writing(path, [upload.storage]))
            promise = await stack.enter_async_context(
                self._space.promised(upload.storage, upload.size - upload.written)
            )
            if upload.job is not None:
                progress = stack.enter_context(self._transfers.watched(upload.job, Kind.DOWNLOAD))
                stack.enter_context(progress.counting(upload))
            await self._write(upload, place, promise)
            try:
                await self._complete(upload, path)
            except OutcomeUnknown:
                if not await self._is_ready(upload):
                    raise
        try:
            await self._space.measure(upload.storage)
        except (BackupStorageError, StoreUnavailable) as error:
            logger.info("the capacity is measured with the next ping: %s", error)  # the image is there in any case

    async def _write(self, upload: Upload, place: Place, promise: Promise) -> None:
        """Let the file grow with what comes, and write its metadata at the end. Raise BackupStorageError."""
        bits = self._transfers.bits
        if upload.written == 0:
            await bits.begin(place)
        while not (upload.is_whole and upload.written == upload.received):
            await self._until(upload, lambda: upload.received != upload.written or upload.is_whole)
            size = upload.received
            await bits.grow(place, size)
            promise.written += size - upload.written
            upload.written = size
            upload.moved.set()
        metadata = {"name": upload.image_uuid, "id": upload.image_uuid, "size": upload.size, "md5": upload.md5}
        await bits.finish(place, {**metadata, "actualSize": upload.size})

    async def _until(self, upload: Upload, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, which news may change.

        Raise UploadEnded when it is cancelled, or idle; UploadElsewhere, UploadBeginsAgain.
        """
        idle = max(0, self._configuration.get(MAX_IDLE))
        while True:
            upload.news.clear()
            if upload.why_not is not None:
                raise UploadEnded(upload.why_not)
            if upload.begins_again:
                raise UploadBeginsAgain
            if condition():
                return
            await self._check_waits(upload)
            if self._clock.monotonic() - upload.touched > idle:
                raise UploadInterrupted(INACTIVE.format(idle)) if upload.size else UploadEnded(EXPIRED)
            await self._clock.sleep_unless(upload.news.wait(), EVERY_SECONDS)

    async def _check_waits(self, upload: Upload) -> None:
        """Raise UploadEnded if an image does not wait for its upload any more, UploadElsewhere if not for this one.

        Another node may have cancelled it that could not say so.
        """
        refs = await self._database.read(select(Ref.status, Ref.installPath).where(*_this(upload)))
        status, url = refs[0] if refs else (None, None)
        if status not in (DOWNLOADING, READY):
            raise UploadEnded(IMAGE_DELETED.format(upload.image_uuid))
        if status == READY or self._addressed(url) not in (None, self._peers.uuid):
            raise UploadElsewhere
        if await self._jobs.is_cancelled(upload.image_uuid):
            raise UploadEnded(CANCELLED.format(upload.image_uuid))

    async def _complete(self, upload: Upload, path: str) -> None:
        """Write that an image is there. Raise UploadEnded if it was deleted meanwhile."""
        image, storage = upload.image_uuid, upload.storage.uuid
        ready = {"status": READY, "size": upload.size, "actualSize": upload.size, "md5Sum": upload.md5}
        async with self._database.atomic(), self._database.transaction() as connection:
            there = {"installPath": path, "status": READY}
            if not await self._rows.change_ref(connection, image, storage, there, Ref.addUuid == upload.add):
                raise UploadEnded(IMAGE_DELETED.format(image))
            await connection.execute(update(Image).where(Image.uuid == image).values(**ready))
            await self._events.status_changed(connection, image, DOWNLOADING, READY, [storage])
            await self._events.tracked(connection, image)
            await self._jobs.upload_ended(image, None, ready)

    async def _is_ready(self, upload: Upload) -> bool:
        """Return whether an image is stored as being there, as soon as the store tells it."""
        rows = select(Ref.imageUuid).where(*_this(upload), Ref.status == READY)
        return bool(await self._database.health.insist(lambda: self._database.read(rows)))

    # Ends

    async def _give_up(self, upload: Upload, error: ErrorCode, *, can_be_resumed: bool = False) -> None:
        """Remove what is left of an upload, waiting as long as the store cannot be written.

        If it can be resumed, and a long job waits for it, suspend that in place of it.
        """
        if await self._database.health.insist(
            lambda: self._suspend_or_remove(upload, error, can_be_resumed=can_be_resumed)
        ):
            upload.end(error.details)
            return
        await self._garbage.collect(upload.image_uuid)
        self._forget(upload, error.details)

    async def _suspend_or_remove(self, upload: Upload, error: ErrorCode, *, can_be_resumed: bool) -> bool:
        """Return whether the job was suspended. Leave an image alone that was added again: it has another job."""
        image, storage = upload.image_uuid, upload.storage.uuid
        async with self._database.atomic(), self._database.transaction() as connection:
            await lock(connection, select(Ref.id).where(Ref.imageUuid == image).order_by(Ref.id))
            there = select(Ref.status, Ref.addUuid).where(Ref.imageUuid == image, Ref.backupStorageUuid == storage)
            ref = (await connection.execute(there)).one_or_none()
            if ref is not None and (ref.status == READY or ref.addUuid != upload.add):
                return False  # another node has received it, or its file is that of the next image by now
            if ref is not None and can_be_resumed and await self._jobs.upload_suspended(image, error):
                return True
            await self._garbage.note(connection, image, [(storage, install_path(image))])
            if ref is not None:
                await self._remove(connection, upload, error)
        return False

    async def _remove(self, connection: AsyncConnection, upload: Upload, error: ErrorCode) -> None:
        """Delete the ref of an upload, and with the last one its image, and end the job."""
        image, storage = upload.image_uuid, upload.storage.uuid
        if await connection.scalar(
            select(func.count()).where(Ref.imageUuid == image, Ref.backupStorageUuid != storage)
        ):
            await self._events.removed(connection, image, [storage], exists=True)
            await connection.execute(delete(Ref).where(*_this(upload)))
        else:
            await self._images.drop_upload(image, str(error.details))
            await self._jobs.upload_ended(image, error, {})

    async def _drop(self, image_uuid: str, add: str | None) -> None:
        """Delete an image that a simulator storage waits for, unless it is that of a later add."""
        async with self._database.atomic():
            these = (Ref.imageUuid == image_uuid, Ref.addUuid == add)
            if not await self._database.read(select(Ref.id).where(*these).limit(1)):
                return
            if await self._images.drop_upload(image_uuid, EXPIRED):
                error = ErrorCode("SYS.1006", EXPIRED)
                await self._jobs.upload_ended(image_uuid, error, {}, states=("Running",))

    def _forget(self, upload: Upload, why: str | None) -> None:
        self._uploads.pop(upload.key, None)
        upload.end(why)


def _this(upload: Upload) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the ref that an upload belongs to."""
    return (
        Ref.imageUuid == upload.image_uuid,
        Ref.backupStorageUuid == upload.storage.uuid,
        Ref.addUuid == upload.add,
    )


def _check(upload: Upload, piece: Piece) -> None:
    """Raise UploadRefused for a piece that does not fit."""
    if piece.image_size <= 0 or piece.size <= 0 or piece.offset + piece.size > piece.image_size:
        text = f"invalid slice of {piece.size} bytes at {piece.offset}, image_size: {piece.image_size}"
        raise UploadRefused(400, text)
    if upload.size not in (0, piece.image_size):
        text = f"every upload request for image[uuid:{upload.image_uuid}] should has the same image size"
        raise UploadRefused(400, text)
    if piece.offset in upload.sizes:
        raise UploadRefused(409, f"the piece at {piece.offset} of image[uuid:{upload.image_uuid}] {PASSED_OVER}")
    if (other := upload.overlapping(piece)) is not None:
        theirs = f"the one of {upload.sizes[other]} bytes at {other}"
        raise UploadRefused(400, f"invalid slice of {piece.size} bytes at {piece.offset}: it overlaps {theirs}")


def _check_piece(upload: Upload, piece: Piece, came: int, md5: str) -> None:
    """Raise UploadRefused for a piece that is not whole, or has another MD5 than its client said."""
    if came != piece.size:
        text = f"incomplete image {upload.image_uuid} at {piece.offset}, completed {came}, expected {piece.size}"
        raise UploadRefused(400, text)
    if piece.md5 is not None and piece.md5.lower() != md5:
        raise UploadRefused(406, f"content md5 not match, expected: {piece.md5}, actual: {md5}")


async def _until_moved(upload: Upload, condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, or the upload is complete. Raise UploadRefused if it has failed."""
    while upload.running and not condition():
        upload.moved.clear()
        await upload.moved.wait()
    if upload.why_not is not None:
        raise UploadRefused(500, upload.why_not)
