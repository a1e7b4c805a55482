"""Connects: the only way to become Connected, one at a time a storage, the others queued (domain 3.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagestore_sim.backup_storage.errors import BackupStorageError, ConnectBroken, ConnectFailed, NoSuchStorage
from imagestore_sim.backup_storage.records import SFTP_TYPE, Status, Storage, StorageRecords
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.probe import Capacity, Layout, Prober

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Turn:
    """Whose turn it is to connect a storage, and how many want one."""

    lock: asyncio.Lock
    wanted: int = 0


class Connector:
    """Connects storages: logs in afresh with the record's credentials, and writes what it found."""

    def __init__(self, records: StorageRecords, status: StatusStore, prober: Prober) -> None:
        self._records = records
        self._status = status
        self._prober = prober
        self._turns: dict[str, _Turn] = {}

    async def connect_new(self, uuid: str) -> None:
        """The first connect of a storage that is being added; its folders are made where they are missing.

        Raises ConnectFailed, which leaves the row as it is, and NoSuchStorage.
        """
        async with self._turn(uuid):
            storage = await self._load(uuid)
            await self._status.connected(storage, await self._probe(storage, _layout(storage, new=True)))

    async def reconnect(self, uuid: str) -> None:
        """Any later connect: Connecting, then Connected or Disconnected, whatever goes wrong.

        Raises BackupStorageError, and StoreUnavailable where the connect could not even begin.
        """
        asked_when_connected = (await self._load(uuid)).status is Status.CONNECTED
        async with self._turn(uuid):
            storage = await self._load(uuid)
            if not storage.tracked:
                return  # it stands as it was written
            await self._status.connecting(storage)
            try:
                # Its folders may still have to be made if it has never been connected.
                capacity = await self._probe(storage, _layout(storage, new=not storage.total))
                await self._status.connected(storage, capacity)
            except NoSuchStorage:
                raise
            except Exception as error:
                failure = error if isinstance(error, BackupStorageError) else ConnectBroken(storage.where, error)
                await self._status.surely_disconnected(storage, failure, was_connected=asked_when_connected)
                raise failure from error

    def is_connecting(self, uuid: str) -> bool:
        """Whether a connect of that storage runs, or waits for its turn."""
        return uuid in self._turns

    async def connect_at_once(self, uuid: str) -> None:
        """A connect that waits for no other one, and whose failure leaves the status alone (domain 3.4).

        Raises ConnectFailed, NoSuchStorage.
        """
        storage = await self._load(uuid)
        if storage.tracked:
            await self._status.connected(storage, await self._probe(storage, _layout(storage, new=False)))

    async def _probe(self, storage: Storage, layout: Layout) -> Capacity:
        try:
            found = await self._prober.probe(storage.target, layout=layout, fresh=True)
        except Exception as error:
            logger.exception("the probe of %s went wrong", storage.where)
            raise ConnectBroken(storage.where, error) from error
        if isinstance(found, Capacity):
            return found
        raise ConnectFailed(storage.where, found, storage.connect_error, storage.target.url)

    async def _load(self, uuid: str) -> Storage:
        storage = await self._records.load(uuid)
        if storage is None:
            raise NoSuchStorage(uuid)
        return storage

    @asynccontextmanager
    async def _turn(self, uuid: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(uuid, _Turn(asyncio.Lock()))
        turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                self._turns.pop(uuid, None)


def _layout(storage: Storage, *, new: bool) -> Layout:
    """What a connect asks of the storage's folders; an Sftp storage makes its url at each (domain 7.1)."""
    if storage.type == SFTP_TYPE:
        return Layout.FOLDER
    return Layout.CREATE if new else Layout.REQUIRE
