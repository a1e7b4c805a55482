"""The rows of backup storages of all types, read as `Storage`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import CONNECT_ERROR, OPERATION_ERROR, NoSuchStorage
from imagestore_sim.backup_storage.tags import delete_tags
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, Vault
from imagestore_sim.database.changes import Changes, carry_out
from imagestore_sim.database.locks import lock
from imagestore_sim.database.models import (
    BackupStorage,
    Image,
    ImageBackupStorageRef,
    ImageStoreBackupStorage,
    SftpBackupStorage,
)
from imagestore_sim.database.resource_uuids import refuse_taken
from imagestore_sim.database.statement_cache import sql_of
from imagestore_sim.probe import Target

T = TypeVar("T")
IMAGE_STORE_TYPE: Final = "ImageStoreBackupStorage"
SFTP_TYPE: Final = "SftpBackupStorage"
SIMULATOR_TYPE: Final = "SimulatorBackupStorage"
HostModel = type[ImageStoreBackupStorage | SftpBackupStorage]
HOSTS: Mapping[str, HostModel] = MappingProxyType(
    {IMAGE_STORE_TYPE: ImageStoreBackupStorage, SFTP_TYPE: SftpBackupStorage}
)
"""The table with the host, for each type that has one; a simulator storage has no host."""
_CHANGE = update(BackupStorage).where(BackupStorage.uuid == bindparam("changed"))
"""Sets the columns that it is executed with."""


class State(StrEnum):
    """The state that an administrator sets."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class Status(StrEnum):
    """The state of the connection to the host."""

    CONNECTING = "Connecting"
    CONNECTED = "Connected"
    DISCONNECTED = "Disconnected"


def checked_status(status: str) -> Status:
    """Return the status of that name. Raise ValueError, which lists them."""
    try:
        return Status(status)
    except ValueError:
        raise ValueError(f"{status!r} is no status: expected {', '.join(Status)}") from None


@dataclass(frozen=True, slots=True)
class Storage:
    """A backup storage; capacities in bytes. `hostname` is empty for a type without a host."""

    uuid: str
    name: str
    url: str
    type: str
    status: Status
    tracked: bool
    total: int
    available: int
    hostname: str
    port: int
    username: str
    password: str = field(repr=False)
    revision: int | None = field(default=None, compare=False)
    """The revision of the store at which it was read; None where other nodes write to the store."""

    @property
    def target(self) -> Target:
        """The target for probes."""
        return Target(self.hostname, self.port, self.username, self.url, self.password)

    @property
    def connect_error(self) -> str:
        """The error code of a failed connect."""
        return CONNECT_ERROR if self.type == IMAGE_STORE_TYPE else OPERATION_ERROR

    @property
    def where(self) -> str:
        """The storage's name in messages."""
        kind = "sftp backup storage" if self.type == SFTP_TYPE else "image store"
        return f"{kind}[hostname:{self.hostname}, sshPort:{self.port}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStorage:
    """A storage with a host, before it is added."""

    uuid: str
    name: str
    url: str
    hostname: str
    username: str
    password: str = field(repr=False)
    port: int = 22
    description: str | None = None
    type: str = IMAGE_STORE_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSimulator:
    """A simulator storage, before it is added; capacities in bytes."""

    uuid: str
    name: str
    url: str
    total: int
    available: int
    description: str | None = None


def _of_host(column: str) -> ColumnElement[Any]:
    return func.coalesce(*(getattr(model, column) for model in HOSTS.values()))


STORAGES = select(
    BackupStorage.uuid,
    BackupStorage.name,
    BackupStorage.url,
    BackupStorage.type,
    BackupStorage.status,
    BackupStorage.tracked,
    BackupStorage.totalCapacity,
    BackupStorage.availableCapacity,
    *(_of_host(column) for column in ("hostname", "sshPort", "username", "password")),
)
for _model in HOSTS.values():
    STORAGES = STORAGES.outerjoin(_model, _model.uuid == BackupStorage.uuid)
_BY_UUID = STORAGES.where(BackupStorage.uuid == bindparam("uuid"))
_BY_NAME = (
    STORAGES.where(BackupStorage.name == bindparam("name"))
    .order_by(BackupStorage.uuid)
    .limit(literal_column("1"))
    .offset(literal_column("0"))
)
MOST_AT_ONCE = 100
"""Storages that are read in one turn of the event loop: SQLite takes about a millisecond."""
_TRACKED = (
    STORAGES.where(BackupStorage.tracked.is_(True), BackupStorage.uuid > bindparam("after"))
    .order_by(BackupStorage.uuid)
    .limit(literal_column(str(MOST_AT_ONCE)))
    .offset(literal_column("0"))
)
KEPT_PASSWORDS = 2**17
"""More than a node has storages: it reads all of them in their order, so that fewer would be of no use."""


def change(changes: Changes, uuid: str, now: datetime, values: Mapping[str, object]) -> bool:
    """Do what `StorageRecords.change` does, in a plan; `now` is the local time."""
    return changes.write(_CHANGE, {"changed": uuid, **values, "lastOpDate": now}).rows == 1


class StorageRecords:
    """Reads and writes the rows. Changes are made in the caller's transaction, on the `connection` given."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._decrypt = lru_cache(KEPT_PASSWORDS)(vault.decrypt)
        self._by_uuid = sql_of(_BY_UUID, database.dialect)
        self._by_name = sql_of(_BY_NAME, database.dialect)
        self._tracked = sql_of(_TRACKED, database.dialect)

    async def load(self, uuid: str) -> Storage | None:
        """Return a storage; None if it does not exist."""
        rows = await self._database.fetch_few(self._by_uuid, (uuid,))
        return self._storage(*rows[0]) if rows else None

    async def load_existing(self, uuid: str) -> Storage:
        """Return a storage. Raise NoSuchStorage if it does not exist."""
        if (found := await self.load(uuid)) is None:
            raise NoSuchStorage(uuid)
        return found

    async def find(self, name: str) -> Storage | None:
        """Return the storage with that uuid, else the first of that name, by uuid; None if there is none."""
        if (found := await self.load(name)) is not None:
            return found
        rows = await self._database.fetch_soon(self._by_name, (name,))
        return self._storage(*rows[0]) if rows else None

    async def created_at(self, uuid: str) -> float | None:
        """Return when a storage was created (epoch seconds), by its record; None if it does not exist."""
        rows = await self._database.read(select(BackupStorage.createDate).where(BackupStorage.uuid == uuid))
        return (rows[0][0] - self._clock.local(0.0)).total_seconds() if rows else None

    async def tracked(self) -> list[Storage]:
        """Return every storage that is to be pinged, by uuid."""
        found = page = await self.tracked_after("")
        while len(page) == MOST_AT_ONCE:
            await asyncio.sleep(0)
            page = await self.tracked_after(page[-1].uuid)
            found += page
        return found

    async def tracked_after(self, uuid: str) -> list[Storage]:
        """Return the next MOST_AT_ONCE storages that are to be pinged, by uuid; fewer are the last ones.

        A thread that read all of them would give the interpreter back for each row, and beside a busy event loop get
        it again after five milliseconds: ten thousand took a minute.
        """
        revision = None if self._database.is_shared else self._database.revision
        return [
            self._storage(*row, revision=revision) for row in await self._database.fetch_few(self._tracked, (uuid,))
        ]

    def _storage(
        self,
        uuid: str,
        name: str,
        url: str,
        kind: str,
        status: str,
        tracked: bool | int,
        total: int,
        available: int,
        *host: Any,
        revision: int | None = None,
    ) -> Storage:
        hostname, port, username, token = host
        password = self._decrypt(token) if token else ""
        at = (hostname or "", port or 0, username or "", password, revision)
        return Storage(uuid, name, url, kind, Status(status), bool(tracked), total, available, *at)

    async def insert(self, connection: AsyncConnection, new: NewStorage, job: str | None) -> None:
        """Insert a storage: Enabled, Connecting, capacity 0. `job` marks it as still being added by that job."""
        await self._insert(connection, new, type=new.type, status=Status.CONNECTING, tracked=True, addedByJob=job)
        await connection.execute(
            insert(HOSTS[new.type]).values(
                uuid=new.uuid,
                hostname=new.hostname,
                username=new.username,
                password=self._vault.encrypt(new.password),
                sshPort=new.port,
            )
        )

    async def insert_simulator(self, connection: AsyncConnection, new: NewSimulator, job: str | None) -> None:
        """Insert a simulator storage: Enabled, Connected, not tracked."""
        capacity = {"totalCapacity": new.total, "availableCapacity": new.available}
        state = {"status": Status.CONNECTED, "tracked": False, "addedByJob": job}
        await self._insert(connection, new, type=SIMULATOR_TYPE, **state, **capacity)

    async def _insert(self, connection: AsyncConnection, new: NewStorage | NewSimulator, **values: object) -> None:
        await refuse_taken(connection, new.uuid)
        now = self._clock.local()
        columns = {"uuid": new.uuid, "name": new.name, "url": new.url, "description": new.description}
        row = {"totalCapacity": 0, "availableCapacity": 0, "state": State.ENABLED} | columns | values
        await connection.execute(insert(BackupStorage).values(**row, createDate=now, lastOpDate=now))

    async def change(self, connection: AsyncConnection, uuid: str, **values: object) -> bool:
        """Change columns of all types, by name. Return False if the storage does not exist."""
        now = self._clock.local()
        return await connection.run_sync(carry_out(lambda changes: change(changes, uuid, now, values)))

    async def change_host(self, connection: AsyncConnection, storage: Storage, **values: object) -> None:
        """Change columns of the host, by name; a new password is encrypted."""
        if isinstance(password := values.get("password"), str):
            values["password"] = self._vault.encrypt(password)
        model = HOSTS[storage.type]
        await connection.execute(update(model).where(model.uuid == storage.uuid).values(**values))

    async def delete(self, connection: AsyncConnection, uuid: str) -> bool:
        """Delete a storage, its refs and tags, and the images that are on no other storage (domain 4).

        Return False if it did not exist.
        """
        refs = select(ImageBackupStorageRef.imageUuid)
        here = refs.where(ImageBackupStorageRef.backupStorageUuid == uuid)
        elsewhere = refs.where(ImageBackupStorageRef.backupStorageUuid != uuid)
        only_here = (Image.uuid.in_(here), Image.uuid.not_in(elsewhere))
        await lock(connection, select(BackupStorage.uuid).where(BackupStorage.uuid == uuid))
        # Of two nodes that delete the last two storages of an image, one has to find that it is nowhere else.
        its_refs = select(ImageBackupStorageRef.id).where(ImageBackupStorageRef.imageUuid.in_(here))
        await lock(connection, its_refs.order_by(ImageBackupStorageRef.id))
        await lock(connection, select(Image.uuid).where(*only_here).order_by(Image.uuid))
        await delete_tags(connection, select(Image.uuid).where(*only_here))
        await connection.execute(delete(Image).where(*only_here))
        await delete_tags(connection, [uuid])
        result = await connection.execute(delete(BackupStorage).where(BackupStorage.uuid == uuid))
        return result.rowcount == 1
