"""The ping tracker: notices that a host is gone, and reconnects it when it is back (domain 3.5)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from imagestore_sim.backup_storage import global_config
from imagestore_sim.backup_storage.connector import Connector
from imagestore_sim.backup_storage.errors import BackupStorageError, ConnectBroken, ConnectFailed, NoSuchStorage
from imagestore_sim.backup_storage.records import SFTP_TYPE, Status, Storage, StorageRecords
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.clock import Clock
from imagestore_sim.correlation import correlated
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.ids import new_uuid
from imagestore_sim.probe import Capacity, ProbeFailure, Prober, Purpose, Reason, probing_for
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
MAX_JITTER_SECONDS = 29


class Tracker:
    """Pings every tracked storage each `ping.interval` seconds."""

    def __init__(
        self,
        records: StorageRecords,
        status: StatusStore,
        connector: Connector,
        prober: Prober,
        configuration: GlobalConfiguration,
        clock: Clock,
        seed: int,
        observe: Callable[[float], None] = lambda _: None,
        supervisor: Supervisor | None = None,
    ) -> None:
        """`observe` is told of each tick how many seconds late it began."""
        self._observe = observe
        self._records = records
        self._status = status
        self._connector = connector
        self._prober = prober
        self._configuration = configuration
        self._clock = clock
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - jitter, no secret
        self._tracked: set[str] = set()
        self._in_flight: set[str] = set()
        self._reconnects: dict[str, asyncio.Task[None]] = {}
        self._failed_connects = status.failed_connects
        self._supervisor = supervisor or Supervisor(clock.sleep)
        self._due = 0.0
        self._interval = 0
        self._parallel = asyncio.Semaphore()
        self._ticking: asyncio.Task[None] | None = None
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin to tick; a change of the configuration begins anew if it changes the interval."""
        self._interval = self._configuration.get(global_config.PING_INTERVAL)
        self._bound_pings()
        self._restart_ticking()
        self._configuration.listen(self._configuration_changed)

    async def stop(self) -> None:
        """Cancel every ping and every reconnect."""
        await self._tasks.close()

    async def restart(self) -> None:
        """Cancel every ping and every reconnect, forget every storage, and tick from now on."""
        await self._tasks.close()
        self._tracked.clear()
        self._reconnects.clear()
        self._failed_connects.clear()
        self._random.seed(self._seed)
        self._interval = self._configuration.get(global_config.PING_INTERVAL)
        self._restart_ticking()

    def track(self, uuid: str) -> None:
        """Ping a storage from the next tick on."""
        self._tracked.add(uuid)

    def untrack(self, uuid: str) -> None:
        """Forget a storage, and what was going to reconnect it."""
        self._tracked.discard(uuid)
        self._failed_connects.pop(uuid, None)
        self._cancel_reconnect(uuid)

    async def reconnect(self, uuid: str) -> None:
        """Connect a storage, and track it from now on. Raises ConnectFailed, NoSuchStorage."""
        self.track(uuid)
        await self._connector.reconnect(uuid)

    def connected(self, uuid: str) -> None:
        """A storage was connected without being asked here: its failures in a row are over."""
        self._failed_connects.pop(uuid, None)

    def _configuration_changed(self) -> None:
        if self._configuration.get(global_config.PING_PARALLELISM) != self._parallelism:
            self._bound_pings()
        interval = self._configuration.get(global_config.PING_INTERVAL)
        if interval != self._interval:
            self._interval = interval
            self._restart_ticking()

    def _bound_pings(self) -> None:
        """Let no more be pinged at once than the configuration says; what is pinged already is not counted anew."""
        self._parallelism = self._configuration.get(global_config.PING_PARALLELISM)
        self._parallel = asyncio.Semaphore(max(1, self._parallelism))

    def _restart_ticking(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        jitter = self._random.uniform(0, min(MAX_JITTER_SECONDS, self._interval))
        self._due = self._clock.monotonic() + self._interval + jitter
        self._ticking = self._supervisor.keep(self._tasks, "ping tracker", self._until_due, self._tick)

    async def _until_due(self) -> None:
        await self._clock.sleep(self._due - self._clock.monotonic())
        late = self._clock.monotonic() - self._due
        self._due += self._interval + max(0.0, late - self._interval)  # also for a tick that fails
        self._observe(max(0.0, late))

    async def _tick(self, _: None) -> None:
        for storage in sorted(await self._records.tracked(), key=self._hung):
            if storage.uuid in self._tracked and storage.uuid not in self._in_flight:
                self._in_flight.add(storage.uuid)
                self._tasks.begin(self._ping_in_turn(storage, self._parallel), f"ping {storage.uuid}")

    def _hung(self, storage: Storage) -> bool:
        """Whether its last probe was waited for in vain: such a one takes its time, so the others are pinged first."""
        last = self._status.last_probes.get(storage.uuid)
        return (
            last is not None
            and isinstance(last.outcome, ProbeFailure)
            and last.outcome.reason in (Reason.TIMEOUT, Reason.HUNG, Reason.DNS)
        )

    async def _ping_in_turn(self, storage: Storage, parallel: asyncio.Semaphore) -> None:
        try:
            async with parallel:
                with correlated(new_uuid("probe")), probing_for(Purpose.PING):
                    await self._ping(storage)
        except NoSuchStorage:
            self.untrack(storage.uuid)
        except StoreUnavailable as error:
            logger.debug("what the ping of %s found is lost: %s", storage.uuid, error)  # the next one finds it again
        finally:
            self._in_flight.discard(storage.uuid)

    async def _ping(self, storage: Storage) -> None:
        failure = await self._try_to_ping(storage)
        if storage.uuid not in self._tracked:  # it was deleted meanwhile
            self._status.forget(storage.uuid)
            return
        if failure is not None:
            await self._ping_failed(storage, failure)
            self._decide(storage, Status.DISCONNECTED)
        else:
            self._decide(storage, await self._status.current(storage.uuid))

    async def _try_to_ping(self, storage: Storage) -> BackupStorageError | None:
        tries = 1 if storage.type == SFTP_TYPE else max(1, self._configuration.get(global_config.PING_MAX_FAILURE))
        while True:
            try:
                found = await self._prober.probe(storage.target)
            except Exception as error:
                logger.exception("the ping of %s went wrong", storage.where)
                return ConnectBroken(storage.where, error)
            if isinstance(found, Capacity):
                await self._status.measured(storage, found)
                return None
            tries -= 1
            if tries:
                await self._status.try_failed(storage, found)
            if tries == 0:
                return ConnectFailed(storage.where, found, storage.connect_error)
            await self._clock.sleep(self._configuration.get(global_config.PING_SLEEP_AFTER_FAILURE))

    async def _ping_failed(self, storage: Storage, failure: BackupStorageError) -> None:
        before = await self._status.current(storage.uuid)
        await self._status.disconnected(storage, failure, was_connected=before is Status.CONNECTED)

    def _decide(self, storage: Storage, status: Status) -> None:
        """What follows from a ping (domain 3.5): a reconnect, the end of one, or nothing."""
        if self._gives_up(storage.uuid):
            if not self._connector.is_connecting(storage.uuid):  # what has begun is to end in a status
                self._cancel_reconnect(storage.uuid)
        elif self._is_lost(storage.uuid, status) and storage.uuid not in self._reconnects:
            task = self._tasks.begin(self._reconnect_until_connected(storage.uuid), f"reconnect {storage.uuid}")
            self._reconnects[storage.uuid] = task

    def _gives_up(self, uuid: str) -> bool:
        """Whether a storage is reconnected no more without being asked for."""
        attempts = self._configuration.get(global_config.AUTO_RECONNECT_MAX_ATTEMPTS)
        gave_up = 0 < attempts <= self._failed_connects[uuid]
        return gave_up or not self._configuration.get(global_config.AUTO_RECONNECT)

    def _is_lost(self, uuid: str, status: Status) -> bool:
        """Whether only a reconnect helps: also where a connect was cut off before it could say how it ended."""
        cut_off = status is Status.CONNECTING and not self._connector.is_connecting(uuid)
        return status is Status.DISCONNECTED or cut_off

    async def _reconnect_until_connected(self, uuid: str) -> None:
        try:
            while True:
                await self._clock.sleep(self._configuration.get(global_config.PING_INTERVAL))
                try:
                    with correlated(new_uuid("probe")), probing_for(Purpose.RECONNECT):
                        await self.reconnect(uuid)
                except NoSuchStorage:
                    raise
                except (BackupStorageError, StoreUnavailable) as failure:
                    logger.info("automatic reconnect of %s failed: %s", uuid, failure)
                    if self._gives_up(uuid):
                        return
                else:
                    return
        except NoSuchStorage:
            self._tracked.discard(uuid)
        finally:
            if self._reconnects.get(uuid) is asyncio.current_task():
                del self._reconnects[uuid]

    def _cancel_reconnect(self, uuid: str) -> None:
        task = self._reconnects.pop(uuid, None)
        if task is not None:
            task.cancel()
