"""What a backup storage has been through: its statuses, capacities and probes, and the faults of its host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from imagestore_sim.backup_storage.capacity import CapacityReading, CapacityStore
from imagestore_sim.backup_storage.events import PROBE_FAILED, STATUS_CHANGED, Event, EventLog
from imagestore_sim.backup_storage.ping_tracker import PingTracker
from imagestore_sim.backup_storage.records import Storage, StorageRecords
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.clock import Clock
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.lab_api.host_shapes import fault_id
from imagestore_sim.lab_api.lab_hosts import LabHosts
from imagestore_sim.lab_api.routes import Refused
from imagestore_sim.lab_api.storage_shapes import (
    CapacityPoint,
    FaultWindow,
    HistoryQuery,
    HistoryShape,
    ProbeShape,
    StatusSpell,
    StopWindow,
    failed_probe,
    probe_shape,
)

MOST_SPELLS = 1000
"""Changes of status in one history."""
MOST_FAILURES = 200
"""Failed probes in one history that are only stored as events."""
DEFAULT_SECONDS = 3600.0
LONGEST_ADD = 60.0
"""Seconds between the creation of a storage and its first change of status, which comes once its host has answered."""
W = TypeVar("W", StatusSpell, FaultWindow, StopWindow)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageHistory:
    """Reads the history of a storage from where its parts are kept."""

    records: StorageRecords
    status: StatusStore
    capacities: CapacityStore
    tracker: PingTracker
    """Probes and pings storages when it is asked to."""
    log: EventLog
    clock: Clock

    async def of(self, uuid: str, asked: HistoryQuery, hosts: LabHosts | None) -> HistoryShape:
        """Return the history of a storage. Raise NoSuchStorage, and Refused for a time without a length."""
        storage = await self.records.load_existing(uuid)
        now = self.clock.time()
        until = now if asked.until is None else asked.until
        since = max(0.0, until - DEFAULT_SECONDS) if asked.since is None else asked.since
        if since >= until:
            raise Refused(400, "since: expected a time before `until`")
        changes = await self.log.of(uuid, STATUS_CHANGED, MOST_SPELLS)
        begin = await self._beginning(storage, changes, now)
        cut = len(changes) == MOST_SPELLS and since < changes[0].time
        since = min(max(since, begin), until)
        host = _host_of(storage, hosts)
        return HistoryShape(
            storage_uuid=uuid,
            name=storage.name,
            type=storage.type,
            hostname=storage.hostname,
            status=storage.status,
            tracked=storage.tracked,
            at=now,
            since=since,
            until=until,
            statuses=_within(since, until, _spells(storage, changes, begin)),
            capacities=await self._capacities(storage, since, until, asked.points),
            probes=[one for one in await self._probes(uuid) if since <= one.time <= until],
            faults=None if host is None else _within(since, until, _faults(host, now)),
            stops=[] if host is None else _within(since, until, _stops(host)),
            complete=not cut,
        )

    async def _beginning(self, storage: Storage, changes: Sequence[Event], now: float) -> float:
        """Return when the history of a storage begins: its creation, or its first change if its events began later.

        A reset deletes all events, and its records may be older. A record may say any date of its creation.
        """
        created = min(now, await self.records.created_at(storage.uuid) or now)
        if not changes:
            return created
        first = changes[0].time
        return min(created, first) if created > first - LONGEST_ADD else first

    async def _capacities(self, storage: Storage, since: float, until: float, most: int) -> list[CapacityPoint]:
        """Return the capacity at `since`, and its changes until `until`: at most `most` points."""
        changes = await self.capacities.history(storage.uuid, since=since)
        if not changes and storage.total:
            changes = [CapacityReading(storage.total, storage.available, since)]
        return [
            CapacityPoint(time=max(since, one.time), total=one.total, available=one.available)
            for one in _thinned([one for one in changes if one.time <= until], most)
        ]

    async def _probes(self, uuid: str) -> list[ProbeShape]:
        """Return the probes that are remembered, after those that are only stored as events: the failed ones."""
        recent = self.status.last_probes.of(uuid)
        first = recent[0].time - 0.001 if recent else float("inf")  # events have whole milliseconds
        failures = await self.log.of(uuid, PROBE_FAILED, MOST_FAILURES)
        return [*(_failed(one) for one in failures if one.time < first), *map(probe_shape, recent)]


def _host_of(storage: Storage, hosts: LabHosts | None) -> SimulatedHost | None:
    """Return the simulated host of a storage; None if there is none now."""
    if hosts is None or not storage.hostname:
        return None
    try:
        return hosts.network[storage.hostname]
    except KeyError:
        return None


def _spells(storage: Storage, changes: Sequence[Event], begin: float) -> list[StatusSpell]:
    """Return the statuses of a storage, from those before the first change on."""
    first = str(changes[0].content["oldStatus"]) if changes else storage.status
    turns = [(first, begin, None), *((str(one.content["newStatus"]), one.time, one.correlation) for one in changes)]
    ends = [*(since for _, since, _ in turns[1:]), None]
    return [
        StatusSpell(status=status, since=since, until=end, correlation=correlation)
        for (status, since, correlation), end in zip(turns, ends, strict=True)
        if end is None or end > since
    ]


def _faults(host: SimulatedHost, now: float) -> list[FaultWindow]:
    """Return the faults that are on a host or were, by their beginning."""
    past = [
        FaultWindow(
            id=fault_id(one),
            kind=one.fault.kind,
            parameters=one.fault.values(),
            since=one.applied_at,
            until=one.healed_at,
            heals_at=None,
        )
        for one in host.faults.past
    ]
    present = [
        FaultWindow(
            id=fault_id(one),
            kind=one.fault.kind,
            parameters=one.fault.values(),
            since=one.applied_at,
            until=None,
            heals_at=None if one.expires_at is None else now + max(0.0, one.expires_at - host.clock.monotonic()),
        )
        for one in host.faults
    ]
    return sorted([*past, *present], key=lambda one: one.since)


def _stops(host: SimulatedHost) -> list[StopWindow]:
    return [StopWindow(since=one.since, until=one.until) for one in host.stops]


def _within(since: float, until: float, windows: Iterable[W]) -> list[W]:
    """Return the windows that overlap a time."""
    return [one for one in windows if one.since <= until and (one.until is None or one.until >= since)]


def _thinned(readings: list[CapacityReading], most: int) -> list[CapacityReading]:
    """Return at most `most` readings: the first, the last, and the extremes of each stretch of time between them."""
    if len(readings) <= most:
        return readings
    first, *middle, last = readings
    stretches: dict[int, list[CapacityReading]] = {}
    for one in middle:
        part = (one.time - first.time) / max(last.time - first.time, 0.001)
        stretches.setdefault(int(part * (most // 2 - 1)), []).append(one)
    kept = [first]
    for stretch in stretches.values():
        low, high = (choose(stretch, key=lambda one: one.available) for choose in (min, max))
        kept += sorted({low.time: low, high.time: high}.values(), key=lambda one: one.time)
    return [*kept[: most - 1], last]


def _failed(event: Event) -> ProbeShape:
    content = event.content
    phases = content["phases"]
    assert isinstance(phases, dict)
    return failed_probe(event.time, str(content["reason"]), str(content["message"]), phases)
