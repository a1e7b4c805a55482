"""Connects: the only way for a storage to become Connected. Connects of one storage are queued (domain 3.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagestore_sim.backup_storage.errors import BackupStorageError, ConnectBroken, ConnectFailed, NoSuchStorage
from imagestore_sim.backup_storage.global_config import ping_mode_of
from imagestore_sim.backup_storage.owned_probes import OwnedProbes
from imagestore_sim.backup_storage.records import SFTP_TYPE, Status, Storage, StorageRecords
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.cluster import PastOwner
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.probe import Capacity, Layout, PingMode, ProbeFailure, Prober, Reached

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Turn:
    """The lock held by the connect that runs, and the number of connects that run or wait."""

    lock: asyncio.Lock
    users: int = 0


class Connector:
    """Connects storages: logs in afresh with the record's credentials, and writes status and capacity."""

    def __init__(
        self,
        records: StorageRecords,
        status: StatusStore,
        prober: Prober,
        configuration: GlobalConfiguration,
        owned: OwnedProbes,
    ) -> None:
        self._owned = owned
        self._records = records
        self._status = status
        self._prober = prober
        self._configuration = configuration
        self._turns: dict[str, _Turn] = {}

    async def connect_new(self, uuid: str) -> None:
        """Connect a storage that is being added, creating its missing folders.

        Raise ConnectFailed, leaving the row unchanged; NoSuchStorage; PastOwner.
        """
        async with self._turn(uuid):
            storage = await self._records.load_existing(uuid)
            await self._status.set_connected(storage, await self._probe(storage, _layout(storage, new=True)))

    async def reconnect(self, uuid: str) -> None:
        """Connect a storage again: set it Connecting, then Connected or, on any error, Disconnected.

        Raise BackupStorageError; PastOwner; StoreUnavailable if the connect could not even begin. A storage that is not
        tracked stays as it is.
        """
        # Read before the queue: the event of a disconnection depends on the status when the reconnect was requested.
        was_connected = await self._status.current(uuid) is Status.CONNECTED
        async with self._turn(uuid):
            storage = await self._records.load_existing(uuid)
            if not storage.tracked:
                return
            await self._status.set_connecting(storage)
            try:
                # The folders of a storage that has never been connected may still be missing.
                capacity = await self._probe(storage, _layout(storage, new=not storage.total))
                await self._status.set_connected(storage, capacity)
            except (NoSuchStorage, PastOwner):
                raise
            except Exception as error:
                failure = error if isinstance(error, BackupStorageError) else ConnectBroken(storage.where, error)
                await self._status.set_disconnected_when_writable(storage, failure, was_connected=was_connected)
                raise failure from error

    def is_connecting(self, uuid: str) -> bool:
        """Return whether a connect of that storage runs or waits."""
        return uuid in self._turns

    async def connect_at_once(self, uuid: str) -> None:
        """Connect a storage without waiting for other connects; a failure leaves the status alone (domain 3.4).

        Raise ConnectFailed, NoSuchStorage, PastOwner.
        """
        storage = await self._records.load_existing(uuid)
        if storage.tracked:
            await self._status.set_connected(storage, await self._probe(storage, _layout(storage, new=False)))

    async def _probe(self, storage: Storage, layout: Layout) -> Capacity:
        try:
            found = await self._owned.run(storage, lambda: self._ask(storage, layout))
        except PastOwner:
            raise
        except Exception as error:
            logger.exception("the probe of %s went wrong", storage.where)
            raise ConnectBroken(storage.where, error) from error
        if isinstance(found, Capacity):
            return found
        raise ConnectFailed(storage.where, found, storage.connect_error, storage.target.url)

    async def _ask(self, storage: Storage, layout: Layout) -> Capacity | ProbeFailure:
        found = await self._prober.probe(storage.target, layout=layout, fresh=True)
        if isinstance(found, Capacity) and ping_mode_of(self._configuration, storage) is PingMode.AGENT:
            agent = await self._prober.reach(storage.target, PingMode.AGENT, fresh=True)
            return found if isinstance(agent, Reached) else agent
        return found

    @asynccontextmanager
    async def _turn(self, uuid: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(uuid, _Turn(asyncio.Lock()))
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                self._turns.pop(uuid, None)


def _layout(storage: Storage, *, new: bool) -> Layout:
    """Return what a connect asks of the storage's folders; for an Sftp storage it creates the url (domain 7.1)."""
    if storage.type == SFTP_TYPE:
        return Layout.FOLDER
    return Layout.CREATE if new else Layout.REQUIRE
