"""The operations on a backup storage: add, reconnect, update, change state and delete (domain 3, 4)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from enum import StrEnum
from functools import partial

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.address_rules import check_hostname, check_url
from imagestore_sim.backup_storage.connector import Connector
from imagestore_sim.backup_storage.errors import (
    BackupStorageError,
    NoSuchStorage,
    constraint_violation,
    data_exception,
)
from imagestore_sim.backup_storage.events import ADDED, DELETED, Events
from imagestore_sim.backup_storage.host_usage import HostUsage
from imagestore_sim.backup_storage.ping_tracker import PingTracker
from imagestore_sim.backup_storage.records import (
    HOSTS,
    SFTP_TYPE,
    NewSimulator,
    NewStorage,
    State,
    Storage,
    StorageRecords,
)
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.cluster import PastOwner, Peers, is_orphan
from imagestore_sim.correlation import correlated
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.models import BackupStorage
from imagestore_sim.database.models import Event as StoredEvent
from imagestore_sim.ids import new_uuid
from imagestore_sim.probe import Purpose, probing_for
from imagestore_sim.tasks import Tasks, together


class StateEvent(StrEnum):
    """An administrator's change of state; each is legal in either state (domain 1.5)."""

    ENABLE = "enable"
    DISABLE = "disable"


STATE_AFTER = {StateEvent.ENABLE: State.ENABLED, StateEvent.DISABLE: State.DISABLED}


class Lifecycle:
    """The operations on backup storages; each raises a BackupStorageError."""

    def __init__(
        self,
        database: Database,
        records: StorageRecords,
        status: StatusStore,
        connector: Connector,
        tracker: PingTracker,
        hosts: HostUsage,
        events: Events,
        cluster: Peers,
    ) -> None:
        self._cluster = cluster
        self._half_added = select(BackupStorage.uuid).where(is_orphan(BackupStorage.addedByJob, cluster))
        self._database = database
        self._records = records
        self._status = status
        self._connector = connector
        self._tracker = tracker
        self._tasks = Tasks()
        self.hosts = hosts
        """Which hosts the storages use."""
        self._events = events

    async def start(self) -> None:
        """Delete the storages that an earlier run was still adding when it ended, and begin to ping."""
        await self.delete_half_added()
        self._tracker.start()

    async def restart(self) -> None:
        """Cancel pings and connects, delete the storages that were being added, and ping from now on."""
        await self._tracker.restart()
        await self.delete_half_added()

    async def delete_half_added(self) -> None:
        """Delete the storages that no call is adding any more; of several nodes, each deletes its own."""
        async with self._database.transaction() as connection:
            for uuid in (await connection.scalars(self._half_added)).all():
                if self._cluster.is_ours(uuid):
                    await self._delete_half_added(connection, uuid)

    async def _delete_half_added(self, connection: AsyncConnection, uuid: str) -> None:
        """Delete a storage; if its add has been told, tell its deletion as well: the node ended between the two."""
        storage = await self._records.load(uuid)
        await self._records.delete(connection, uuid)
        told = select(StoredEvent.id).where(StoredEvent.path == ADDED, StoredEvent.resourceUuid == uuid).limit(1)
        if storage is not None and await connection.scalar(told) is not None:
            self._events.publish(await self._events.record(connection, DELETED, uuid, _content(storage)))

    async def reconnect_all(self, *, but: Container[str] = ()) -> None:
        """Reconnect every tracked storage except those in `but`, as ZStack does when a node starts (domain 3.4).

        Of several nodes, each connects its own.
        """
        await self.connect(one.uuid for one in await self._records.tracked() if one.uuid not in but)

    async def connect(self, uuids: Iterable[str]) -> None:
        """Connect tracked storages, those that this node owns."""
        await together(*(try_to_reconnect(self._tracker, uuid) for uuid in uuids if self._cluster.is_ours(uuid)))

    async def check_new(self, kind: str, hostname: str, url: str) -> None:
        """Raise a BackupStorageError if a storage of type `kind`, hostname and url cannot be added (domain 3.1)."""
        check_hostname(hostname)
        await self.hosts.refuse_duplicate(kind, hostname)
        check_url(url, sftp=kind == SFTP_TYPE)
        await self.hosts.refuse_other_type(kind, hostname)

    async def add(self, new: NewStorage, *, job: str | None = None) -> None:
        """Add a storage and connect it; on failure, delete the row again and raise the error (domain 3.2).

        `job` marks the row until the result of that job has been stored, see `Reply.commit`.
        """
        await self.check_new(new.type, new.hostname, new.url)
        written = False

        async def write() -> None:
            nonlocal written
            written = False
            async with self._database.transaction() as connection:
                await self._records.insert(connection, new, job)
                # Check again, now that no other add can come between: no constraint of the database spans both tables.
                await self.hosts.refuse_other_type(new.type, new.hostname, connection)
                written = True  # from here on the commit is completed, even if the caller is cancelled meanwhile

        try:
            await self._database.atomically(write)
            with self.hosts.adding(new.hostname):
                await self._connector.connect_new(new.uuid)
            await self._record_added(new.uuid)
        except BaseException as error:
            if written:
                await self._tasks.to_its_end(self._remove(new), f"removal of image store {new.uuid}")
            elif isinstance(error, IntegrityError):
                await self.hosts.refuse_duplicate(new.type, new.hostname)
                raise constraint_violation() from None
            raise
        self._tracker.track(new.uuid)

    async def _record_added(self, uuid: str) -> None:
        if (storage := await self._records.load(uuid)) is not None:
            async with self._database.transaction() as connection:
                event = await self._events.record(connection, ADDED, uuid, _content(storage))
            self._events.publish(event)

    async def undo_add(self, new: NewStorage) -> None:
        """Delete a storage that was added, because a later step of the same command has failed."""
        await self._remove(new)

    async def close(self) -> None:
        """Stop deleting storages whose add has failed. The next start deletes those that are left."""
        await self._tasks.close()

    async def add_simulator(self, new: NewSimulator, *, job: str | None = None) -> None:
        """Add a storage without a host; it is always Connected, and keeps the capacity given."""
        if new.total < 0 or new.available < 0:
            raise data_exception()  # ZStack's columns are unsigned
        try:
            async with self._database.transaction() as connection:
                await self._records.insert_simulator(connection, new, job)
        except IntegrityError:
            raise constraint_violation() from None

    async def _remove(self, new: NewStorage) -> None:
        """Delete the row of a storage, waiting as long as the store cannot be written, and forget it."""
        self._tracker.untrack(new.uuid)

        async def delete() -> None:
            async with self._database.transaction() as connection:
                await self._records.delete(connection, new.uuid)

        await self._database.health.insist(delete)
        self._status.forget(new.uuid)
        await self.hosts.release(new.hostname)

    async def reconnect(self, uuid: str) -> None:
        """Connect a storage again, after the connects that run or wait."""
        await self._tracker.reconnect(uuid)

    async def reconnect_at_once(self, uuid: str) -> None:
        """Connect a storage without waiting for other connects, as ReconnectSftpBackupStorage does.

        A failure leaves its status alone.
        """
        await self._connector.connect_at_once(uuid)
        self._status.failed_connects.pop(uuid, None)

    async def update(self, uuid: str, common: Mapping[str, object], host: Mapping[str, object]) -> None:
        """Write new values: `common` columns, and `host` columns for types with a host.

        Status and connection do not follow at once; see the next ping and connect (domain 3.4).
        """
        storage = await self._records.load_existing(uuid)
        if storage.type not in HOSTS:
            host = {}
        if isinstance(hostname := host.get("hostname"), str):
            check_hostname(hostname)
        try:
            async with self._database.transaction() as connection:
                if host:
                    await self._records.change_host(connection, storage, **host)
                if not await self._records.change(connection, uuid, **common):
                    raise NoSuchStorage(uuid)
        except IntegrityError:
            raise constraint_violation() from None  # ZStack leaves this check to its database (domain 3.4)
        if host:
            await self._database.after_commit(partial(self.hosts.release, storage.hostname))

    async def change_state(self, uuid: str, event: StateEvent) -> None:
        """Enable or disable a storage; pings and reconnects are not affected (domain 1.5)."""
        async with self._database.transaction() as connection:
            if not await self._records.change(connection, uuid, state=STATE_AFTER[event]):
                raise NoSuchStorage(uuid)

    async def delete(self, uuid: str) -> None:
        """Delete a storage in any status, leaving its host as it is. Do nothing if it does not exist."""
        if (storage := await self._records.load(uuid)) is None:
            return
        async with self._database.transaction() as connection:
            if await self._records.delete(connection, uuid):
                self._events.publish(await self._events.record(connection, DELETED, uuid, _content(storage)))
        await self._database.after_commit(partial(self._after_delete, storage))

    async def _after_delete(self, storage: Storage) -> None:
        self._tracker.untrack(storage.uuid)
        self._status.forget(storage.uuid)
        await self.hosts.release(storage.hostname)


async def try_to_reconnect(tracker: PingTracker, uuid: str) -> None:
    """Reconnect a storage, as a start of the node does; a failure is in its status and its events."""
    try:
        with correlated(new_uuid("probe")), probing_for(Purpose.RECONNECT):
            await tracker.reconnect(uuid)
    except (BackupStorageError, StoreUnavailable, PastOwner):
        return  # status and event report it, and the tracker reconnects again


def _content(storage: Storage) -> dict[str, object]:
    """Return the content of events about a storage: ZStack's names for all that adding it again needs but passwords."""
    return {
        "backupStorageUuid": storage.uuid,
        "name": storage.name,
        "type": storage.type,
        "hostname": storage.hostname,
        "sshPort": storage.port,
        "username": storage.username,
        "url": storage.url,
        "status": storage.status,
        "totalCapacity": storage.total,
        "availableCapacity": storage.available,
    }
