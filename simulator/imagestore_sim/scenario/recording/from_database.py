"""Records what happened on a node afterwards, from the events in its database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage import image_events
from imagestore_sim.backup_storage.events import ADDED, CAPACITY_CHANGED, DELETED, KEPT_EVENTS, STATUS_CHANGED
from imagestore_sim.backup_storage.global_config import CATEGORY, PING_INTERVAL, PING_MODE
from imagestore_sim.backup_storage.records import IMAGE_STORE_TYPE
from imagestore_sim.database import DatabaseError
from imagestore_sim.database.location import shown_location
from imagestore_sim.database.models import BackupStorage, GlobalConfig, Image, ImageStoreBackupStorage
from imagestore_sim.database.models import Event as StoredEvent
from imagestore_sim.database.models import ImageBackupStorageRef as Ref
from imagestore_sim.database.read_only import open_read_only
from imagestore_sim.scenario.recording.recording import Event, Recording

Storage = dict[str, Any]


async def read_database(location: str, since: float | None, until: float | None) -> Recording:
    """Return what happened between two times (epoch seconds) on a node whose database is a file, or at a URL.

    Without `since`, begin with the first event that is stored; without `until`, end with the last. Write nothing there.
    Raise DatabaseError, also when events of that time are no longer stored.
    """
    async with open_read_only(location) as connection:
        if since is not None:
            await _check_kept(connection, shown_location(location), since)
        events = await _events_since(connection, since or 0.0)
        began = since if since is not None else min((one["time"] for one in events), default=0.0)
        ended = until if until is not None else max((one["time"] for one in events), default=began)
        storages = [_before_events(one, events) for one in await _storages(connection, events)]
        images = await _images(connection, events)
        interval = int(await _option(connection, PING_INTERVAL.name) or PING_INTERVAL.default)
        mode = await _option(connection, PING_MODE.name) or PING_MODE.default
    kept = [one for one in events if one["time"] <= ended]
    return Recording(shown_location(location), began, ended, interval, storages, kept, mode, images)


async def _option(connection: AsyncConnection, name: str) -> str | None:
    """Return the value of an option about storages, or None where it is not stored."""
    option = select(GlobalConfig.value).where(GlobalConfig.category == CATEGORY, GlobalConfig.name == name)
    value: str | None = await connection.scalar(option)
    return value


async def _check_kept(connection: AsyncConnection, location: str, since: float) -> None:
    """Raise DatabaseError if events since that time are gone: of each path, the latest KEPT_EVENTS are kept."""
    full = func.count(StoredEvent.id) >= KEPT_EVENTS
    oldest = select(StoredEvent.path, func.min(StoredEvent.time)).group_by(StoredEvent.path).having(full)
    for path, milliseconds in (await connection.execute(oldest)).all():
        if milliseconds > since * 1000:
            ago = (milliseconds / 1000) - since
            raise DatabaseError(
                f"{location}: the first {ago:.0f} s are no longer stored: of {path}, the latest {KEPT_EVENTS} are kept"
            )


async def _events_since(connection: AsyncConnection, since: float) -> list[Event]:
    columns = select(StoredEvent.time, StoredEvent.path, StoredEvent.resourceUuid, StoredEvent.content,
                     StoredEvent.correlation)  # fmt: skip
    rows = await connection.execute(columns.where(StoredEvent.time >= since * 1000).order_by(StoredEvent.id))
    return [
        {
            "time": time / 1000,
            "path": path,
            "resourceUuid": uuid,
            "correlation": cause,
            "content": orjson.loads(content),
        }
        for time, path, uuid, content, cause in rows
    ]


async def _storages(connection: AsyncConnection, events: Sequence[Event]) -> list[Storage]:
    """Return the storages that were there before the events: those of now and those deleted, less those added."""
    host = ImageStoreBackupStorage
    columns = (BackupStorage.uuid, BackupStorage.name, BackupStorage.url, BackupStorage.status,
               BackupStorage.totalCapacity, BackupStorage.availableCapacity,
               host.hostname, host.username, host.sshPort)  # fmt: skip
    there = select(*columns).join(host, host.uuid == BackupStorage.uuid).order_by(BackupStorage.uuid)
    storages = [dict(row) for row in (await connection.execute(there)).mappings()]
    for event in events:
        content = event["content"]
        if event["path"] == DELETED and content["type"] == IMAGE_STORE_TYPE:
            storages.append({**content, "uuid": event["resourceUuid"]})
    added = {event["resourceUuid"] for event in events if event["path"] == ADDED}
    return [one for one in storages if one["uuid"] not in added and one["totalCapacity"]]


async def _images(connection: AsyncConnection, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the images that were there before the events: those of now and those removed, less those added."""
    columns = (Image.uuid, Image.name, Image.status, Image.size, Image.actualSize, Image.format, Image.mediaType)
    rows = (await connection.execute(select(*columns).order_by(Image.uuid))).mappings()
    found: dict[str, dict[str, Any]] = {row["uuid"]: dict(row) for row in rows}
    refs: dict[str, set[str]] = defaultdict(set)
    for ref in await connection.execute(select(Ref.imageUuid, Ref.backupStorageUuid)):
        refs[ref.imageUuid].add(ref.backupStorageUuid)
    for event in reversed(events):
        uuid, content = event["resourceUuid"], event["content"]
        if event["path"] == image_events.REMOVED:
            found.setdefault(uuid, {"uuid": uuid, **{one.key: content[one.key] for one in columns[1:]}})
            refs[uuid] |= set(content["backupStorageUuids"])
        elif event["path"] == image_events.STATUS_CHANGED and uuid in found:
            found[uuid]["status"] = content["oldStatus"]
        elif event["path"] == image_events.ADDED:
            found.pop(uuid, None)
    return [
        {**image, "backupStorageRefs": [{"backupStorageUuid": one} for one in sorted(refs[uuid])]}
        for uuid, image in sorted(found.items())
    ]


def _before_events(storage: Storage, events: Sequence[Event]) -> Storage:
    """Return a storage as it was before the events: each event holds the values before it."""
    first: dict[str, Mapping[str, Any]] = {}
    for event in events:
        if event["resourceUuid"] == storage["uuid"]:
            first.setdefault(event["path"], event["content"])
    then = dict(storage)
    if (moved := first.get(STATUS_CHANGED)) is not None:
        then["status"] = moved["oldStatus"]
    if (measured := first.get(CAPACITY_CHANGED)) is not None:
        then["totalCapacity"] = measured["oldTotalCapacity"]
        then["availableCapacity"] = measured["oldAvailableCapacity"]
    return then
