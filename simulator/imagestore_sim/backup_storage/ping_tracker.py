"""The ping tracker: pings every storage at intervals, and has lost ones reconnected (domain 3.5)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from imagestore_sim.backup_storage import global_config
from imagestore_sim.backup_storage.auto_reconnect import AutoReconnect
from imagestore_sim.backup_storage.connector import Connector
from imagestore_sim.backup_storage.errors import NoSuchStorage
from imagestore_sim.backup_storage.owned_probes import OwnedProbes
from imagestore_sim.backup_storage.ping import Pinger
from imagestore_sim.backup_storage.recent_probes import LastProbe
from imagestore_sim.backup_storage.records import Status, Storage, StorageRecords
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.backup_storage.sweep import Sweep
from imagestore_sim.clock import Clock, Spread
from imagestore_sim.clock.spread import FEW
from imagestore_sim.cluster import PastOwner, Peers
from imagestore_sim.correlation import correlated
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.ids import new_uuid
from imagestore_sim.probe import ProbeFailure, Prober, Purpose, Reason, probing_for
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks
from imagestore_sim.virtual_clock import VirtualEventLoop

logger = logging.getLogger(__name__)
MAX_JITTER_SECONDS = 29
SPREAD = 0.8
"""The part of the interval over which very many pings are spread."""
PINGS_IN_A_TURN = 1
"""Pings that begin in one turn of the event loop. Each takes 0.3 ms until it waits for its host: with a hundred, every
request would wait for 30 ms, and again for their answers; with four, some still wait for 3 ms."""
STORE_RETRY_SECONDS = 1.0
"""After a ping whose outcome the store could not take. ZStack's waits for its database, for up to 300 s: so the outcome
comes soon after an outage, rather than an interval later (conf/springConfigXml/DatabaseFacade.xml)."""
_SLOW_REASONS = (Reason.TIMEOUT, Reason.HUNG, Reason.DNS)


class PingTracker:
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
        observe: Callable[[float], None],
        supervisor: Supervisor,
        cluster: Peers,
        owned: OwnedProbes,
    ) -> None:
        """Draw the jitter of the first tick from `seed`; call `observe` with the seconds that each tick is late.

        It pings what this node of a `cluster` owns.
        """
        self._cluster = cluster
        self._owned = owned
        self.on_change: Callable[[], None] = lambda: None
        """Called when what it pings may have changed."""
        self.on_refused: Callable[[str], None] = lambda _: None
        """Called with a storage that is this node's again after another one has owned it: it is not pinged any more."""
        self.on_missed: Callable[[str], None] = lambda _: None
        """Called at a tick with a storage that is this node's and that it does not ping: another one has added it."""
        self._observe = observe
        self._records = records
        self._status = status
        self._connector = connector
        self._configuration = configuration
        self._clock = clock
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - jitter, no secret
        self._failed_connects = status.failed_connects
        self._supervisor = supervisor
        self._tasks = Tasks()
        self._tracked: set[str] = set()
        self._being_pinged: dict[str, asyncio.Task[None]] = {}
        self._pinger = Pinger(status, prober, configuration, clock, owned)
        self._auto_reconnect = AutoReconnect(
            connector, status, configuration, clock, self._tasks, self._tracked, self._refused
        )
        self._due = 0.0
        self._interval = 0
        self._parallelism = 0
        self._slots = asyncio.Semaphore()
        self._ticking: asyncio.Task[None] | None = None
        self._sweep: Sweep | None = None
        """The storages of this tick that are still to be pinged."""

    def start(self) -> None:
        """Begin to tick, and follow changes of the configuration."""
        self._interval = self._configuration.get(global_config.PING_INTERVAL)
        self._limit_parallelism()
        self._restart_ticking()
        self._configuration.listen(self._configuration_changed)

    async def stop(self) -> None:
        """Cancel every ping and every reconnect."""
        await self._tasks.close()

    async def restart(self) -> None:
        """Cancel every ping and every reconnect, forget every storage, and tick from now on."""
        await self._tasks.close()
        self._being_pinged.clear()  # of pings that were cancelled before they had begun
        self._sweep = None
        self._tracked.clear()
        self._auto_reconnect.clear()
        self._failed_connects.clear()
        self._random.seed(self._seed)
        self._interval = self._configuration.get(global_config.PING_INTERVAL)
        self._restart_ticking()

    def track(self, uuid: str) -> None:
        """Ping a storage from the next tick on."""
        if uuid not in self._tracked:
            self._tracked.add(uuid)
            self.on_change()

    def untrack(self, uuid: str) -> None:
        """Forget a storage, and cancel its automatic reconnects."""
        self._drop(uuid)
        self._owned.forget(uuid)

    def _drop(self, uuid: str) -> None:
        self._tracked.discard(uuid)
        self._failed_connects.pop(uuid, None)
        self._auto_reconnect.cancel(uuid)
        self.on_change()

    def owned(self) -> Sequence[str]:
        """Return the uuids of the storages that it pings."""
        return [uuid for uuid in self._tracked if self._cluster.is_ours(uuid)]

    def drop_others(self) -> None:
        """Stop at once whatever runs for storages that this node does not own any more, and forget them."""
        for uuid in [uuid for uuid in self._tracked if not self._cluster.is_ours(uuid)]:
            self._drop(uuid)
            if (ping := self._being_pinged.get(uuid)) is not None:
                ping.cancel()
        self._owned.end_others()
        # A node whose lease has ended keeps what it has found: most get it back.
        for uuid in [uuid for uuid in self._status.last_probes if self._is_anothers(uuid)]:
            self._status.forget(uuid)

    def _is_anothers(self, uuid: str) -> bool:
        return self._cluster.owner_of(uuid) != self._cluster.uuid

    async def ping_now(self, uuid: str) -> asyncio.Task[None] | None:
        """Begin a ping of a storage, with all that it causes, unless one is under way; return the ping.

        Return None for a storage that is not tracked. Raise NoSuchStorage.
        """
        storage = await self._records.load_existing(uuid)
        if not storage.tracked or uuid not in self._tracked:
            return None
        return self._being_pinged.get(uuid) or self._begin_ping(storage)

    async def probe_now(self, uuid: str, *, fresh: bool = False) -> LastProbe | None:
        """Probe the host of a storage as a ping does, and keep its record; `fresh` logs in afresh for the capacity.

        Return what was found, None for a storage without a host. Raise NoSuchStorage, PastOwner.
        """
        storage = await self._records.load_existing(uuid)
        if not storage.hostname:
            return None
        with correlated(new_uuid("probe")), probing_for(Purpose.PING):
            found = await (self._pinger.ask_afresh(storage) if fresh else self._pinger.ask(storage))
        await self._records.load_existing(uuid)  # it may have been deleted meanwhile
        if self._is_anothers(uuid):
            raise PastOwner(self._cluster.uuid, uuid)
        self._status.remember(storage, found)
        return self._status.last_probes[uuid]

    async def reconnect(self, uuid: str) -> None:
        """Connect a storage, and track it from now on. Raise ConnectFailed, NoSuchStorage, PastOwner."""
        await self._cluster.settled()
        self.track(uuid)
        await self._connector.reconnect(uuid)

    def _refused(self, uuid: str) -> None:
        """Tell of a storage that another node owned a moment ago, if the ring gives it to this one."""
        if self._cluster.is_ours(uuid):
            self.on_refused(uuid)

    def _configuration_changed(self) -> None:
        if self._configuration.get(global_config.PING_PARALLELISM) != self._parallelism:
            self._limit_parallelism()
        interval = self._configuration.get(global_config.PING_INTERVAL)
        if interval != self._interval:
            self._interval = interval
            self._restart_ticking()

    def _limit_parallelism(self) -> None:
        """Take over the number of pings at once. Pings that run or wait keep the semaphore that they began with."""
        self._parallelism = self._configuration.get(global_config.PING_PARALLELISM)
        self._slots = asyncio.Semaphore(max(1, self._parallelism))

    def _restart_ticking(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        jitter = self._random.uniform(0, min(MAX_JITTER_SECONDS, self._interval))
        self._due = self._clock.monotonic() + self._interval + jitter
        self._ticking = self._supervisor.keep(self._tasks, "ping tracker", self._until_due, self._begin_pings)

    async def _until_due(self) -> None:
        """Wait for the next tick, or within a tick for the next pings.

        A tick for which the store was away goes on where it stood, until the next one is due.
        """
        if self._sweep is not None and not (self._sweep.failed and self._clock.monotonic() >= self._due):
            await self._sweep.spread.wait()
            return
        took_too_long = self._sweep is None and self._clock.monotonic() > self._due
        self._sweep = None
        await self._clock.sleep(self._due - self._clock.monotonic())
        late = max(0.0, self._clock.monotonic() - self._due)
        # Set before the tick, so that a tick that fails is not repeated at once. A tick that waited for the pings
        # of the one before does not hand its delay on: the next pings of a storage are an interval apart again.
        self._due += self._interval + (late if took_too_long else max(0.0, late - self._interval))
        self._observe(late)

    async def _begin_pings(self, _: None) -> None:
        """Begin a ping of every storage that is not being pinged still, those that answer quickly first.

        Begin only a few in a turn, and of very many only those that are due by now. Raise StoreUnavailable.
        """
        sweep = self._sweep = self._sweep or self._new_sweep()
        while (storage := await sweep.next()) is not None:
            if self._is_due(storage):
                self._begin_ping(storage, again_until=self._due)
            elif self._is_missed(storage):
                self.on_missed(storage.uuid)
            if sweep.spread.pauses():
                return
        self._sweep = None

    def _new_sweep(self) -> Sweep:
        is_virtual = isinstance(asyncio.get_running_loop(), VirtualEventLoop)  # there, no request waits meanwhile
        in_a_turn = FEW if is_virtual else PINGS_IN_A_TURN
        spread = Spread(self._clock, len(self._tracked), self._interval * SPREAD, in_a_turn)
        return Sweep(self._records, self._was_slow, spread)

    def _is_due(self, storage: Storage) -> bool:
        """Return whether a storage is this node's to ping, and can be pinged now."""
        uuid = storage.uuid
        if uuid not in self._tracked or uuid in self._being_pinged:
            return False
        return self._cluster.is_ours(uuid) and not self._is_new(storage)

    def _is_missed(self, storage: Storage) -> bool:
        """Return whether a storage is this node's, but unknown to it: one that is being added gets known in time.

        A node that has not seen this one join adds what is its own by the ring of before, after this one has looked.
        """
        is_being_added = storage.status is Status.CONNECTING and not storage.total
        return storage.uuid not in self._tracked and not is_being_added and self._cluster.is_ours(storage.uuid)

    def _is_new(self, storage: Storage) -> bool:
        """Return whether a storage is being connected for the first time: its folders may still be missing."""
        return not storage.total and self._connector.is_connecting(storage.uuid)

    def _begin_ping(self, storage: Storage, *, again_until: float = 0.0) -> asyncio.Task[None]:
        """Begin a ping, which is repeated until a moment as long as the store is away; return it."""
        ping = self._tasks.begin(self._ping_in_turn(storage, self._slots, again_until), f"ping {storage.uuid}")
        self._being_pinged[storage.uuid] = ping
        return ping

    def _was_slow(self, storage: Storage) -> bool:
        """Return whether the last probe of a storage ran into a time limit."""
        last = self._status.last_probes.get(storage.uuid)
        return last is not None and isinstance(last.outcome, ProbeFailure) and last.outcome.reason in _SLOW_REASONS

    async def _ping_in_turn(self, storage: Storage, slots: asyncio.Semaphore, again_until: float) -> None:
        try:
            async with slots:
                while not await self._ping_unless_away(storage):
                    if self._clock.monotonic() + STORE_RETRY_SECONDS >= again_until:
                        break  # the next tick pings it
                    await self._clock.sleep(STORE_RETRY_SECONDS)
        except NoSuchStorage:
            self.untrack(storage.uuid)
        except PastOwner:
            self._drop(storage.uuid)
            self._refused(storage.uuid)
        finally:
            self._being_pinged.pop(storage.uuid, None)

    async def _ping_unless_away(self, storage: Storage) -> bool:
        """Ping a storage. Return False if the store was away, so that what the ping has found is lost."""
        try:
            with correlated(new_uuid("probe")), probing_for(Purpose.PING):
                await self._ping(storage)
        except StoreUnavailable as error:
            logger.debug("what the ping of %s found is lost: %s", storage.uuid, error)
            return False
        return True

    async def _ping(self, storage: Storage) -> None:
        failure = await self._pinger.ping(storage)
        if storage.uuid not in self._tracked:  # it was deleted meanwhile
            self._status.forget(storage.uuid)
            return
        if failure is not None:
            await self._pinger.disconnect(storage, failure)
            self._auto_reconnect.follow_ping(storage.uuid, Status.DISCONNECTED)
        else:
            connecting = self._connector.is_connecting(storage.uuid)
            status = await self._status.current_of(storage)
            self._auto_reconnect.follow_ping(storage.uuid, status, was_connecting=connecting)
