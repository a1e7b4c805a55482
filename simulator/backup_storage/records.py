"""The rows of ImageStore backup storages: read as Storage, written one change at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from simulator.clock import Clock
from simulator.database import Database, Vault
from simulator.database.models import BackupStorage, ImageStoreBackupStorage
from simulator.probe import Target

IMAGE_STORE_TYPE: Final = "ImageStoreBackupStorage"


class State(StrEnum):
    """The administrator's switch."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class Status(StrEnum):
    """Whether the host answers."""

    CONNECTING = "Connecting"
    CONNECTED = "Connected"
    DISCONNECTED = "Disconnected"


@dataclass(frozen=True, slots=True)
class Storage:
    """An ImageStore backup storage as the life cycle sees it; capacities in bytes."""

    uuid: str
    name: str
    url: str
    status: Status
    tracked: bool
    total: int
    available: int
    hostname: str
    port: int
    username: str
    password: str = field(repr=False)

    @property
    def target(self) -> Target:
        """What a probe of it has to reach."""
        return Target(self.hostname, self.port, self.username, self.url, self.password)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStorage:
    """What is known of a storage before it is connected."""

    uuid: str
    name: str
    url: str
    hostname: str
    username: str
    password: str = field(repr=False)
    port: int = 22
    description: str | None = None


STORAGES = select(
    BackupStorage.uuid,
    BackupStorage.name,
    BackupStorage.url,
    BackupStorage.status,
    BackupStorage.tracked,
    BackupStorage.totalCapacity,
    BackupStorage.availableCapacity,
    ImageStoreBackupStorage.hostname,
    ImageStoreBackupStorage.sshPort,
    ImageStoreBackupStorage.username,
    ImageStoreBackupStorage.password,
).join(ImageStoreBackupStorage, ImageStoreBackupStorage.uuid == BackupStorage.uuid)


class Records:
    """Reads and writes the rows. Whoever changes one passes the transaction that the change belongs to."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._decrypt = lru_cache(maxsize=16384)(vault.decrypt)

    async def load(self, uuid: str) -> Storage | None:
        """One ImageStore storage, or None."""
        found = await self._load(BackupStorage.uuid == uuid)
        return found[0] if found else None

    async def tracked(self) -> list[Storage]:
        """Every ImageStore storage but those that stand as written."""
        return await self._load(BackupStorage.tracked.is_(True))

    async def _load(self, condition: ColumnElement[bool]) -> list[Storage]:
        rows = await self._database.read(STORAGES.where(condition).order_by(BackupStorage.uuid))
        return [
            Storage(uuid, name, url, Status(status), tracked, total, available, host, port, user, self._decrypt(token))
            for uuid, name, url, status, tracked, total, available, host, port, user, token in rows
        ]

    async def insert(self, connection: AsyncConnection, new: NewStorage, job: str | None) -> None:
        """Write a new storage: Enabled, Connecting, of no capacity yet. `job` marks it as not yet wholly there."""
        now = self._clock.local()
        await connection.execute(
            insert(BackupStorage).values(
                uuid=new.uuid,
                name=new.name,
                url=new.url,
                description=new.description,
                totalCapacity=0,
                availableCapacity=0,
                type=IMAGE_STORE_TYPE,
                state=State.ENABLED,
                status=Status.CONNECTING,
                tracked=True,
                addedByJob=job,
                createDate=now,
                lastOpDate=now,
            )
        )
        await connection.execute(
            insert(ImageStoreBackupStorage).values(
                uuid=new.uuid,
                hostname=new.hostname,
                username=new.username,
                password=self._vault.encrypt(new.password),
                sshPort=new.port,
            )
        )

    async def change(self, connection: AsyncConnection, uuid: str, **values: object) -> bool:
        """Change columns of the common part; False if the storage is no longer there."""
        change = update(BackupStorage).where(BackupStorage.uuid == uuid)
        result = await connection.execute(change.values(**values, lastOpDate=self._clock.local()))
        return result.rowcount == 1

    async def change_host(self, connection: AsyncConnection, uuid: str, **values: object) -> None:
        """Change columns of the ImageStore part; a new password is encrypted."""
        if isinstance(password := values.get("password"), str):
            values["password"] = self._vault.encrypt(password)
        change = update(ImageStoreBackupStorage).where(ImageStoreBackupStorage.uuid == uuid)
        await connection.execute(change.values(**values))

    async def delete(self, connection: AsyncConnection, uuid: str) -> None:
        """Delete a storage with all that hangs on it."""
        await connection.execute(delete(BackupStorage).where(BackupStorage.uuid == uuid))
