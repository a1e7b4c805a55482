"""Events of images: recorded in the transaction of the change (domain 8.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import OPERATION_ERROR
from imagestore_sim.backup_storage.events import Events
from imagestore_sim.database.models import Image

TRACKED = "/image/track/result"
# Paths of our own, which ZStack does not have.
ADDED = "/image/added"
STATUS_CHANGED = "/image/status/change"
DOWNLOAD_FAILED = "/image/download/failure"
REMOVED = "/image/removed"
BITS_REMOVED = "/image/bits/removed"
COLUMNS = ("name", "url", "format", "mediaType", "status", "size", "actualSize", "accountUuid")
"""The columns of an image that its events carry."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a copy of an image comes from."""

    image_uuid: str
    storage_uuid: str


class ImageEvents:
    """Records events of images, and publishes them after the commit of the caller's `Database.atomic` block."""

    def __init__(self, events: Events) -> None:
        self._events = events

    async def added(
        self, connection: AsyncConnection, image_uuid: str, storages: Sequence[str], origin: Origin | None = None
    ) -> None:
        """Record that an image has a row, and on which storages it is or will be; of a copy, where it comes from."""
        also: dict[str, object] = {"backupStorageUuids": list(storages)}
        if origin is not None:
            also |= {"copyOf": origin.image_uuid, "copiedFrom": origin.storage_uuid}
        await self._record(connection, ADDED, image_uuid, also)

    async def status_changed(
        self, connection: AsyncConnection, image_uuid: str, old: str, new: str, storages: Sequence[str]
    ) -> None:
        """Record another status of the copies on some storages; `status` is that of the image after it."""
        changed = {"oldStatus": old, "newStatus": new, "backupStorageUuids": list(storages)}
        await self._record(connection, STATUS_CHANGED, image_uuid, changed)

    async def download_failed(self, connection: AsyncConnection, image_uuid: str, details: str) -> None:
        """Record why the bits of an image did not come; its row is there still."""
        await self._record(connection, DOWNLOAD_FAILED, image_uuid, {"details": details})

    async def removed(
        self, connection: AsyncConnection, image_uuid: str, storages: Sequence[str], *, exists: bool = False
    ) -> None:
        """Record that the copies on some storages are gone, just before their rows are; `exists`: others are left."""
        gone = {"backupStorageUuids": list(storages), "exists": exists}
        await self._record(connection, REMOVED, image_uuid, gone)

    async def bits_removed(self, connection: AsyncConnection, image_uuid: str, storage: str, path: str) -> None:
        """Record that a host has given back the space of an image."""
        content = {"imageUuid": image_uuid, "backupStorageUuid": storage, "installPath": path}
        self._events.publish(await self._events.record(connection, BITS_REMOVED, image_uuid, content))

    async def tracked(self, connection: AsyncConnection, image_uuid: str, failure: str | None = None) -> None:
        """Record how an upload ended, as ZStack's tracker of uploads does; `failure` says why it failed."""
        content: dict[str, object] = {"uuid": image_uuid, "success": failure is None}
        if failure is not None:
            content["error"] = {"code": OPERATION_ERROR, "details": failure}
        self._events.publish(await self._events.record(connection, TRACKED, image_uuid, content))

    async def _record(
        self, connection: AsyncConnection, path: str, image_uuid: str, also: Mapping[str, object]
    ) -> None:
        """Record an event with the columns of an image. Record none of one that is gone already."""
        columns = select(*(getattr(Image, name) for name in COLUMNS)).where(Image.uuid == image_uuid)
        row = (await connection.execute(columns)).one_or_none()
        if row is not None:
            content = {"imageUuid": image_uuid, **row._mapping, **also}
            self._events.publish(await self._events.record(connection, path, image_uuid, content))
