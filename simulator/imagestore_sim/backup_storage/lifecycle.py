"""What can be done with a backup storage: add, reconnect, update, change its state, delete (domain 3, 4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from enum import StrEnum
from functools import partial

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from imagestore_sim.backup_storage.address_rules import check_hostname, check_url
from imagestore_sim.backup_storage.connector import Connector
from imagestore_sim.backup_storage.errors import (
    BackupStorageError,
    NoSuchStorage,
    OperationFailed,
    constraint_violation,
    data_exception,
)
from imagestore_sim.backup_storage.events import ADDED, DELETED, Events
from imagestore_sim.backup_storage.ping_tracker import Tracker
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
from imagestore_sim.correlation import correlated
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.models import BackupStorage
from imagestore_sim.ids import new_uuid
from imagestore_sim.probe import Prober, Purpose, probing_for

Release = Callable[[str, Callable[[], Awaitable[bool]]], Awaitable[None]]


async def keep(hostname: str, unneeded: Callable[[], Awaitable[bool]]) -> None:
    """Keep a host that no record names: it is none of ours."""


class StateEvent(StrEnum):
    """What turns the administrator's switch; each is legal in either state (domain 1.5)."""

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
        tracker: Tracker,
        prober: Prober,
        events: Events,
        release: Release = keep,
    ) -> None:
        """`release` is called with a host name that a record named until now, and what tells whether none does any
        more."""
        self._release = release
        self._adding: Counter[str] = Counter()
        """How many storages are being added that name a host."""
        self._by_hostname = [
            str(select(model.uuid).where(model.hostname == bindparam("hostname")).compile(dialect=database.dialect))
            for model in HOSTS.values()
        ]
        self._events = events
        self._status = status
        self._database = database
        self._records = records
        self._connector = connector
        self._tracker = tracker
        self._prober = prober

    async def start(self) -> None:
        """Remove what an earlier run was still adding when it ended, and begin to ping."""
        async with self._database.transaction() as connection:
            added = select(BackupStorage.uuid).where(BackupStorage.addedByJob.is_not(None))
            for uuid in (await connection.scalars(added)).all():
                await self._records.delete(connection, uuid)
        self._tracker.start()

    async def reconnect_all(self, *, but: Container[str] = ()) -> None:
        """Reconnect every tracked storage, as a management node does when it starts (domain 3.4); `but` some."""
        uuids = [storage.uuid for storage in await self._records.tracked()]
        await asyncio.gather(*(self._reconnect_quietly(uuid) for uuid in uuids if uuid not in but))

    async def _reconnect_quietly(self, uuid: str) -> None:
        try:
            with correlated(new_uuid("probe")), probing_for(Purpose.RECONNECT):
                await self._tracker.reconnect(uuid)
        except (BackupStorageError, StoreUnavailable):
            return  # its status and the event tell; the tracker goes on trying

    async def check_new(self, kind: str, hostname: str, url: str) -> None:
        """Raises a BackupStorageError unless a storage of that type, hostname and url could be added (domain 3.1)."""
        check_hostname(hostname)
        await self._refuse_duplicate(kind, hostname)
        check_url(url, sftp=kind == SFTP_TYPE)
        await self._refuse_other_type(kind, hostname)

    async def add(self, new: NewStorage, *, job: str | None = None) -> None:
        """Add a storage and connect it. If that fails the row is gone again, and the error tells why (domain 3.2).

        `job` marks the row until that job's result has been stored, see `Reply.commit`.
        """
        await self.check_new(new.type, new.hostname, new.url)
        written = False
        try:
            async with self._database.transaction() as connection:
                # Looked at once more where no other add can come between: no constraint of the database's does.
                await self._refuse_other_type(new.type, new.hostname)
                await self._records.insert(connection, new, job)
                written = True  # the commit goes through, even if who asked for it is cancelled meanwhile
            self._adding[new.hostname] += 1
            try:
                await self._connector.connect_new(new.uuid)
            finally:
                self._adding[new.hostname] -= 1
            await self._record_added(new.uuid)
        except BaseException as error:
            if written:
                await asyncio.shield(self._remove(new))
            elif isinstance(error, IntegrityError):
                await self._refuse_duplicate(new.type, new.hostname)
                raise constraint_violation() from None
            raise
        self._tracker.track(new.uuid)

    async def _record_added(self, uuid: str) -> None:
        if (storage := await self._records.load(uuid)) is not None:
            async with self._database.transaction() as connection:
                event = await self._events.record(connection, ADDED, uuid, _described(storage))
            self._events.publish(event)

    async def undo_add(self, new: NewStorage) -> None:
        """Remove a storage that was added, as what was to follow in the same command has failed."""
        self._tracker.untrack(new.uuid)
        await self._remove(new)

    async def add_simulator(self, new: NewSimulator, *, job: str | None = None) -> None:
        """Add a storage without a host, connected for good, its capacity as given."""
        if new.total < 0 or new.available < 0:
            raise data_exception()  # ZStack's columns are unsigned
        try:
            async with self._database.transaction() as connection:
                await self._records.insert_simulator(connection, new, job)
        except IntegrityError:
            raise constraint_violation() from None

    async def _refuse_duplicate(self, kind: str, hostname: str) -> None:
        if await self._has_host(kind, hostname):
            there_is = f"a sftp backup storage[hostname:{hostname}] existing"
            if kind != SFTP_TYPE:
                there_is = f"an image store backup storage[hostname:{hostname}]"
            raise OperationFailed(f"duplicate backup storage. There has been {there_is}")

    async def _refuse_other_type(self, kind: str, hostname: str) -> None:
        """A host holds one storage, whatever its type (domain 3.1)."""
        for other in HOSTS:
            if other != kind and await self._has_host(other, hostname):
                article = "a" if other == SFTP_TYPE else "an"
                raise OperationFailed(
                    "More than one BackupStorage on the same host identified by hostname."
                    f" There has been {article} {other} [hostname:{hostname}] existing."
                    f" The BackupStorage type to be added is {kind}. "
                )

    async def _has_host(self, kind: str, hostname: str) -> bool:
        model = HOSTS[kind]
        return bool(await self._database.read(select(model.uuid).where(model.hostname == hostname)))

    async def _remove(self, new: NewStorage) -> None:
        while True:
            try:
                async with self._database.transaction() as connection:
                    await self._records.delete(connection, new.uuid)
                break
            except StoreUnavailable:
                await self._database.health.until_next_try()
        await self._let_go(new.hostname)

    async def _let_go(self, hostname: str) -> None:
        """Drop what is kept of a host that a record names no more, or names with other credentials."""
        await self._prober.forget(hostname)
        await self._release(hostname, partial(self._is_unknown, hostname))

    async def _is_unknown(self, hostname: str) -> bool:
        """Whether no record names a host. It is looked up at once, so that nothing happens in between."""
        return not self._adding[hostname] and not any(
            [await self._database.fetch_few(sql, (hostname,)) for sql in self._by_hostname]
        )

    async def release_hosts(self, hostnames: Iterable[str]) -> None:
        """Do so for many, once all records have been replaced."""
        for hostname in hostnames:
            await self._let_go(hostname)

    async def reconnect(self, uuid: str) -> None:
        """Connect a storage anew."""
        await self._tracker.reconnect(uuid)

    async def reconnect_at_once(self, uuid: str) -> None:
        """Connect a storage at once; a failure leaves its status alone. This is how ReconnectSftp does it."""
        await self._connector.connect_at_once(uuid)
        self._tracker.connected(uuid)

    async def update(self, uuid: str, common: Mapping[str, object], host: Mapping[str, object]) -> None:
        """Write new values, and do no more: neither status nor connection follows them at once (domain 3.4)."""
        storage = await self._records.load(uuid)
        if storage is None:
            raise NoSuchStorage(uuid)
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
            raise constraint_violation() from None  # ZStack leaves this to its database (domain 3.4)
        if host:
            await self._database.after_commit(partial(self._let_go, storage.hostname))

    async def change_state(self, uuid: str, event: StateEvent) -> None:
        """Enable or disable a storage; it is pinged and reconnected all the same (domain 1.5)."""
        async with self._database.transaction() as connection:
            if not await self._records.change(connection, uuid, state=STATE_AFTER[event]):
                raise NoSuchStorage(uuid)

    async def delete(self, uuid: str) -> None:
        """Delete a storage, in whatever status; its host is left as it is. One that is not there is deleted already."""
        if (storage := await self._records.load(uuid)) is None:
            return
        async with self._database.transaction() as connection:
            if await self._records.delete(connection, uuid):
                self._events.publish(await self._events.record(connection, DELETED, uuid, _described(storage)))
        await self._database.after_commit(partial(self._deleted, storage))

    async def _deleted(self, storage: Storage) -> None:
        self._tracker.untrack(storage.uuid)
        self._status.forget(storage.uuid)
        await self._let_go(storage.hostname)


def _described(storage: Storage) -> dict[str, object]:
    """A storage as events have it, under ZStack's names and without its password: what is needed to add it again."""
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
