"""One ping of a storage: probe its host, and write status and capacity (domain 3.5)."""

from __future__ import annotations

import logging

from imagestore_sim.backup_storage import global_config
from imagestore_sim.backup_storage.errors import BackupStorageError, ConnectBroken, ConnectFailed
from imagestore_sim.backup_storage.owned_probes import OwnedProbes
from imagestore_sim.backup_storage.recent_probes import Outcome
from imagestore_sim.backup_storage.records import SFTP_TYPE, Status, Storage
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import PastOwner
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.probe import Capacity, PingMode, Prober, Reached

logger = logging.getLogger(__name__)


class Pinger:
    """Pings storages. A ping never makes a storage Connected: only a connect does (domain 3.3)."""

    def __init__(
        self,
        status: StatusStore,
        prober: Prober,
        configuration: GlobalConfiguration,
        clock: Clock,
        owned: OwnedProbes,
    ) -> None:
        self._owned = owned
        self._status = status
        self._prober = prober
        self._configuration = configuration
        self._clock = clock

    async def ping(self, storage: Storage) -> BackupStorageError | None:
        """Ask a storage's host what `ping.mode` says, up to `ping.maxFailure` times; write a capacity that it tells.

        Return the failure of the last try. Raise PastOwner.
        """
        tries = 1 if storage.type == SFTP_TYPE else max(1, self._configuration.get(global_config.PING_MAX_FAILURE))
        while True:
            try:
                found = await self.ask(storage)
            except PastOwner:
                raise
            except Exception as error:
                logger.exception("the ping of %s went wrong", storage.where)
                return ConnectBroken(storage.where, error)
            if isinstance(found, Capacity):
                await self._status.set_capacity(storage, found)
                return None
            if isinstance(found, Reached):
                self._status.remember(storage, found)
                return None
            tries -= 1
            if tries:
                await self._status.record_failed_try(storage, found)
            if tries == 0:
                return ConnectFailed(storage.where, found, storage.connect_error)
            await self._clock.sleep(self._configuration.get(global_config.PING_SLEEP_AFTER_FAILURE))

    async def ask(self, storage: Storage) -> Outcome:
        """Ask a storage's host once what `ping.mode` says; write nothing. Raise PastOwner."""
        mode = global_config.ping_mode_of(self._configuration, storage)
        if mode is PingMode.CAPACITY:
            return await self._owned.run(storage, lambda: self._prober.probe(storage.target))
        return await self._owned.run(storage, lambda: self._prober.reach(storage.target, mode))

    async def ask_afresh(self, storage: Storage) -> Outcome:
        """Ask a storage's host for its capacity after a new login; write nothing. Raise PastOwner."""
        return await self._owned.run(storage, lambda: self._prober.probe(storage.target, fresh=True))

    async def disconnect(self, storage: Storage, failure: BackupStorageError) -> None:
        """Set a storage Disconnected; the event is recorded only if it was Connected."""
        before = await self._status.current(storage.uuid)
        await self._status.set_disconnected(storage, failure, was_connected=before is Status.CONNECTED)
