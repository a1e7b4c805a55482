"""Automatic reconnects of storages whose ping has failed (domain 3.5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from imagestore_sim.backup_storage import global_config
from imagestore_sim.backup_storage.connector import Connector
from imagestore_sim.backup_storage.errors import BackupStorageError, NoSuchStorage
from imagestore_sim.backup_storage.records import Status
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import PastOwner
from imagestore_sim.correlation import correlated
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.ids import new_uuid
from imagestore_sim.probe import Purpose, probing_for
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
STORE_RETRY_SECONDS = 5.0
"""After a reconnect that the store was away for: ZStack's would wait for its database, for up to 300 s."""


class AutoReconnect:
    """Reconnects each lost storage in a task of its own, one interval of the pings apart, until it is Connected."""

    def __init__(
        self,
        connector: Connector,
        status: StatusStore,
        configuration: GlobalConfiguration,
        clock: Clock,
        tasks: Tasks,
        tracked: set[str],
        refused: Callable[[str], None],
    ) -> None:
        """Share `tasks` and `tracked`, the uuids of the tracked storages, with the tracker.

        Call `refused` with a storage that another node owned when this one acted for it.
        """
        self._connector = connector
        self._failed_connects = status.failed_connects
        self._configuration = configuration
        self._clock = clock
        self._tasks = tasks
        self._tracked = tracked
        self._refused = refused
        self._running: dict[str, asyncio.Task[None]] = {}

    def follow_ping(self, uuid: str, status: Status, *, was_connecting: bool = False) -> None:
        """Start or cancel the reconnects of a storage that has `status` after a ping.

        `was_connecting` says whether a connect ran or waited just before the status was read.
        """
        if self._has_given_up(uuid):
            if not self._connector.is_connecting(uuid):  # a connect that runs must be able to set its final status
                self.cancel(uuid)
        elif self._is_lost(uuid, status, was_connecting) and uuid not in self._running:
            self._running[uuid] = self._tasks.begin(self._reconnect_until_connected(uuid), f"reconnect {uuid}")

    def cancel(self, uuid: str) -> None:
        """Cancel the reconnects of a storage, if there are any."""
        task = self._running.pop(uuid, None)
        if task is not None:
            task.cancel()

    def clear(self) -> None:
        """Forget all reconnects; the tasks have been cancelled."""
        self._running.clear()

    def _has_given_up(self, uuid: str) -> bool:
        """Return whether the options, or too many failures in a row, forbid an automatic reconnect."""
        attempts = self._configuration.get(global_config.AUTO_RECONNECT_MAX_ATTEMPTS)
        gave_up = 0 < attempts <= self._failed_connects[uuid]
        return gave_up or not self._configuration.get(global_config.AUTO_RECONNECT)

    def _is_lost(self, uuid: str, status: Status, was_connecting: bool) -> bool:
        """Return whether only a reconnect helps: also after a connect that was cut off before it set its status.

        One that has ended while the status was read was not cut off: it has set the next status by now.
        """
        cut_off = status is Status.CONNECTING and not was_connecting and not self._connector.is_connecting(uuid)
        return status is Status.DISCONNECTED or cut_off

    async def _reconnect_until_connected(self, uuid: str) -> None:
        try:
            pause: float = self._configuration.get(global_config.PING_INTERVAL)
            while True:
                await self._clock.sleep(pause)
                pause = self._configuration.get(global_config.PING_INTERVAL)
                try:
                    if await self._reconnect(uuid) or self._has_given_up(uuid):
                        return
                except StoreUnavailable as error:
                    logger.info("automatic reconnect of %s failed: %s", uuid, error)
                    pause = min(pause, STORE_RETRY_SECONDS)
        except NoSuchStorage:
            self._tracked.discard(uuid)
        except PastOwner:
            self._tracked.discard(uuid)
            self._refused(uuid)
        finally:
            if self._running.get(uuid) is asyncio.current_task():
                del self._running[uuid]

    async def _reconnect(self, uuid: str) -> bool:
        """Return whether the reconnect succeeded. Raise NoSuchStorage, PastOwner, StoreUnavailable."""
        try:
            with correlated(new_uuid("probe")), probing_for(Purpose.RECONNECT):
                self._tracked.add(uuid)
                await self._connector.reconnect(uuid)
        except NoSuchStorage:
            raise
        except BackupStorageError as failure:
            logger.info("automatic reconnect of %s failed: %s", uuid, failure)
            return False
        return True
