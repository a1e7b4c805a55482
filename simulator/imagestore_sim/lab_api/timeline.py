"""GET /lab/v1/timeline: the lanes of storages over a time, with what was done to their hosts, and requests as ticks.

A lane has the statuses of one storage, what was measured of its capacity, and the faults on its host. A call returns a
page of lanes, each with no more spans than can be drawn; what is left off is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import orjson
from aiohttp import web
from pydantic import Field, JsonValue
from sqlalchemy import Select, func, or_, select

from imagestore_sim.backup_storage.events import ADDED, CAPACITY_CHANGED, DELETED, STATUS_CHANGED
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.models import BackupStorage, ImageStoreBackupStorage, SftpBackupStorage
from imagestore_sim.database.models import Event as StoredEvent
from imagestore_sim.faults import AnyFault
from imagestore_sim.hosts.windows import HostWindow, host_windows
from imagestore_sim.lab_api.lab_hosts import LabHosts
from imagestore_sim.lab_api.routes import Answer, Moment, Refused, Route, Shape, with_query
from imagestore_sim.lab_api.storage_shapes import CapacityPoint
from imagestore_sim.masking import is_secret_name
from imagestore_sim.rest.journal import Entry, Journal
from imagestore_sim.rest.node_faults import FAULT_HEALED, FAULT_SET
from imagestore_sim.tasks import BYTES_OF_A_ROW, by_size

PATH = "/lab/v1/timeline"
MOST_LANES = 200
"""Lanes of one answer."""
MOST_SPANS = 400
"""Changes of status, and measurements, of one lane in an answer; the latest are kept."""
MOST_WINDOWS = 1000
"""Faults of an answer; the latest are kept."""
MOST_EVENTS = 20_000
"""Stored events that one answer is made of; the latest are read."""
MOST_PASSED = 10**9
"""Lanes that may be passed over: no table has more."""
DEFAULT_SECONDS = 600.0
OF_PAGE = ("x-requested-with", "imagestore-sim")
"""The header that the pages send."""
OF_LANES = (ADDED, DELETED, STATUS_CHANGED, CAPACITY_CHANGED)


class TimelineQuery(Shape):
    """Which time, and which lanes."""

    began: Moment | None = Field(
        None, alias="from", description="seconds since the epoch, by the lab's clock; ten minutes before `to` if unset"
    )
    ended: Moment | None = Field(None, alias="to", description="seconds since the epoch; now if unset")
    start: int = Field(0, ge=0, le=MOST_PASSED, description="how many lanes to pass over")
    limit: int = Field(50, ge=0, le=MOST_LANES, description="how many lanes to return at most")
    name: str | None = Field(None, max_length=255, description="only storages whose name or hostname contains this")
    changed: bool = Field(False, description="only storages to which something happened in this time")


class StatusSpan(Shape):
    """A status from a time on; null: the storage is not there from then on."""

    time: float = Field(description="seconds since the epoch")
    status: str | None


class FaultSpan(Shape):
    """A fault from a time to another."""

    id: str = Field(description="heals it, while it lasts; empty: the host was stopped")
    kind: str = Field(description="`stopped` for a host that was stopped")
    host: str | None = Field(description="null: a fault of the management plane")
    parameters: dict[str, JsonValue] = Field(description="those that differ from their defaults; none that is secret")
    began: float = Field(alias="from")
    ended: float | None = Field(alias="to", description="null: it lasts")


class LaneShape(Shape):
    """A storage over the time: what it was at `from`, and each change since."""

    uuid: str = Field(description="the uuid of the storage")
    name: str = Field(description="its name")
    hostname: str = Field(description="its host")
    exists: bool = Field(description="whether it has a record now")
    statuses: list[StatusSpan] = Field(description="each with the time from which on it holds")
    capacities: list[CapacityPoint] = Field(description="each with the time from which on it holds")
    left_off: int = Field(description="changes and measurements that are not returned: the oldest")


class TickShape(Shape):
    """A request that was answered."""

    number: int = Field(description="the number of the request")
    time: float = Field(description="seconds since the epoch")
    method: str = Field(description="the HTTP method")
    api: str = Field(description="the message of the API; empty if it reached none")
    path: str = Field(description="without its query string")
    status: int = Field(description="the HTTP status")
    milliseconds: float = Field(description="how long the answer took")
    job: str | None = Field(description="the uuid of its job; null without one")
    faults: int = Field(description="how many faults it met")
    of_page: bool = Field(description="whether a page of this node asked it by itself or by a click")


class TimelineShape(Shape):
    """What happened in a time. Times are seconds since the epoch, by the lab's clock."""

    began: float = Field(alias="from")
    ended: float = Field(alias="to")
    now: float = Field(description="seconds since the epoch, by the clock of the lab")
    first: float | None = Field(description="when the first event happened that is stored; null: there is none")
    lanes: list[LaneShape] = Field(description="a page of storages")
    lanes_in_all: int = Field(description="how many there are")
    faults: list[FaultSpan] = Field(description="those of the management plane, and those of the hosts of the lanes")
    faults_left_off: int = Field(description="how many faults did not fit")
    requests: list[TickShape] = Field(description="those that are in the journal still, the oldest first")
    requests_dropped: bool = Field(description="whether there were more, which the journal has dropped")
    events_left_off: bool = Field(description="whether there were more events than one answer is made of")


class TimelineRoutes:
    """Serves `/lab/v1/timeline`."""

    def __init__(
        self, database: Callable[[], Database | None], hosts: LabHosts | None, journal: Journal, clock: Clock
    ) -> None:
        """`database` returns None while the node starts."""
        self._database = database
        self._hosts = hosts
        self._journal = journal
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return the declaration of its call."""
        return [
            Route(
                "GET",
                PATH,
                "Storages over a time: statuses, capacities, faults and requests",
                with_query(TimelineQuery, self.show),
                TimelineShape,
                problems={400: "a field cannot be used", 503: "the node is starting"},
                private=True,
            )
        ]

    async def show(self, request: web.Request, wanted: TimelineQuery) -> Answer:
        """Return a lane for each storage, with its statuses and capacities; faults, and requests. Raise Refused."""
        database = self._database()
        if database is None:
            raise Refused(503, "the management node is starting")
        now = self._clock.time()
        ended = now if wanted.ended is None else wanted.ended
        began = max(0.0, ended - DEFAULT_SECONDS) if wanted.began is None else wanted.began
        if began >= ended:
            raise Refused(400, "from: expected a time before `to`")
        windows = [] if self._hosts is None else host_windows(await self._hosts.all())
        during = [one for one in windows if one.began <= ended and (one.ended is None or one.ended >= began)]
        lanes = _Lanes(database, began, ended, {one.host.lower() for one in during})
        page, in_all = await lanes.page(wanted)
        hosts = {one.hostname.lower() for one in page}
        of_node, of_node_left_off = await _node_faults(database, began, ended)
        chosen = [*of_node, *(_host_span(one) for one in during if one.host.lower() in hosts)]
        requests, dropped = self._requests(began, ended, now)
        return TimelineShape(
            began=began,
            ended=ended,
            now=now,
            first=await _first(database),
            lanes=page,
            lanes_in_all=in_all,
            faults=chosen[-MOST_WINDOWS:],
            faults_left_off=of_node_left_off + max(0, len(chosen) - MOST_WINDOWS),
            requests=requests,
            requests_dropped=dropped,
            events_left_off=lanes.left_off,
        )

    def _requests(self, began: float, ended: float, now: float) -> tuple[list[TickShape], bool]:
        epoch = now - self._clock.monotonic()
        found = [one for one in self._journal.since(0, began - epoch) if epoch + one.ended <= ended]
        return [_tick(one, epoch) for one in found], self._journal.dropped_since(0, began - epoch) > 0


async def _node_faults(database: Database, began: float, ended: float) -> tuple[list[FaultSpan], int]:
    """Return the latest MOST_WINDOWS faults of the management plane in a time, and how many there were before them.

    They were set in the time, or before it and not healed by then.
    """
    paths = (FAULT_SET, FAULT_HEALED)
    before = select(func.max(StoredEvent.id)).where(StoredEvent.path.in_(paths), StoredEvent.time < int(began * 1000))
    columns = select(StoredEvent.__table__).where(StoredEvent.path == FAULT_SET)
    set_then = columns.where(StoredEvent.id.in_(before.group_by(StoredEvent.resourceUuid)))
    lasting = await database.read(set_then.order_by(StoredEvent.id.desc()).limit(MOST_EVENTS))
    events = [*reversed(lasting), *await _events(database, paths, began, ended)]
    return await by_size(len(events) * BYTES_OF_A_ROW, _fault_spans, events)  # type: ignore[arg-type]


def _fault_spans(events: Sequence[StoredEvent]) -> tuple[list[FaultSpan], int]:
    """Return the latest MOST_WINDOWS faults that the events set and heal, and how many there were before them."""
    spans: dict[str, tuple[StoredEvent, float | None]] = {}
    for event in events:
        if event.path == FAULT_SET:
            spans[event.resourceUuid] = event, None
        elif (found := spans.get(event.resourceUuid)) is not None:
            spans[event.resourceUuid] = found[0], event.time / 1000
    shown = list(spans.values())[-MOST_WINDOWS:]
    return [_node_span(began, ended) for began, ended in shown], len(spans) - len(shown)


def _node_span(event: StoredEvent, ended: float | None) -> FaultSpan:
    content = orjson.loads(event.content)
    return FaultSpan(
        id=event.resourceUuid,
        kind=content["kind"],
        host=None,
        parameters=content["parameters"],
        began=event.time / 1000,
        ended=ended,
    )


def _tick(entry: Entry, epoch: float) -> TickShape:
    return TickShape(
        number=entry.number,
        time=epoch + entry.ended,
        method=entry.method,
        api=entry.api,
        path=entry.path.partition("?")[0],
        status=entry.status,
        milliseconds=round(entry.seconds * 1000, 3),
        job=entry.job,
        faults=len(entry.faults),
        of_page=OF_PAGE in entry.headers,
    )


def _host_span(window: HostWindow) -> FaultSpan:
    if window.fault is None:
        return FaultSpan(id="", kind="stopped", host=window.host, parameters={}, began=window.began, ended=window.ended)
    return FaultSpan(
        id=f"{window.fault.kind}-{window.number}",
        kind=window.fault.kind,
        host=window.host,
        parameters=_shown(window.fault),
        began=window.began,
        ended=window.ended,
    )


def _shown(fault: AnyFault) -> dict[str, JsonValue]:
    return {name: value for name, value in fault.values().items() if not is_secret_name(name)}


async def _events(
    database: Database, paths: Sequence[str], began: float, ended: float | None, uuids: Sequence[str] | None = None
) -> list[StoredEvent]:
    """Return the latest MOST_EVENTS events of these paths in a time, the oldest first."""
    columns = select(StoredEvent.__table__).where(StoredEvent.path.in_(paths), StoredEvent.time >= int(began * 1000))
    if ended is not None:
        columns = columns.where(StoredEvent.time <= int(ended * 1000))
    if uuids is not None:
        columns = columns.where(StoredEvent.resourceUuid.in_(uuids))
    rows = await database.read(columns.order_by(StoredEvent.id.desc()).limit(MOST_EVENTS))
    return list(reversed(rows))  # type: ignore[arg-type]


async def _first(database: Database) -> float | None:
    rows = await database.read(select(func.min(StoredEvent.time)))
    return None if rows[0][0] is None else rows[0][0] / 1000


class _Lanes:
    """Reads the lanes of one answer."""

    def __init__(self, database: Database, began: float, ended: float, hosts: set[str]) -> None:
        """`hosts` are those to which something was done in the time."""
        self._database = database
        self._began = began
        self._ended = ended
        self._hosts = hosts
        self.left_off = False

    async def page(self, wanted: TimelineQuery) -> tuple[list[LaneShape], int]:
        """Return the lanes that are asked for, and how many there are in all. Deleted storages come last."""
        gone = await self._gone(wanted)
        changed = await self._changed() if wanted.changed else None
        statement = _storages(wanted.name, changed, self._hosts)
        counted = await self._database.read(select(func.count()).select_from(statement.subquery()))
        present: int = counted[0][0]
        rows = list(await self._database.read(statement.offset(wanted.start).limit(wanted.limit)))
        left = wanted.limit - len(rows)
        past = max(0, wanted.start - present)
        chosen = [*(dict(row._mapping) | {"exists": True} for row in rows), *gone[past : past + left]]
        return await self._lanes(chosen), present + len(gone)

    async def _gone(self, wanted: TimelineQuery) -> list[dict[str, object]]:
        """Return the storages that were deleted in the time."""
        rows = await _events(self._database, (DELETED,), self._began, None)
        found = []
        for row in rows:
            content = orjson.loads(row.content)
            storage = {"uuid": row.resourceUuid, "name": content["name"], "hostname": content.get("hostname") or "",
                       "status": content.get("status") or "", "exists": False}  # fmt: skip
            text = f"{storage['name']}\n{storage['hostname']}".lower()
            if wanted.name is None or wanted.name.lower() in text:
                found.append(storage)
        return found

    async def _changed(self) -> list[str]:
        paths = (ADDED, STATUS_CHANGED)
        columns = select(StoredEvent.resourceUuid).where(
            StoredEvent.path.in_(paths),
            StoredEvent.time >= int(self._began * 1000),
            StoredEvent.time <= int(self._ended * 1000),
        )
        rows = await self._database.read(columns.distinct().limit(MOST_EVENTS))
        return [row[0] for row in rows]

    async def _lanes(self, storages: Sequence[Mapping[str, object]]) -> list[LaneShape]:
        uuids = [str(one["uuid"]) for one in storages]
        events: dict[str, list[StoredEvent]] = defaultdict(list)
        if uuids:
            # Also those after the time: the first of them has what was before it.
            rows = await _events(self._database, OF_LANES, self._began, None, uuids)
            self.left_off = len(rows) == MOST_EVENTS
            for row in rows:
                events[row.resourceUuid].append(row)
        size = sum(map(len, events.values())) * BYTES_OF_A_ROW
        return await by_size(size, _built, storages, events, self._began, self._ended)


def _storages(
    name: str | None, changed: Sequence[str] | None, hosts: Iterable[str]
) -> Select[tuple[str, str, str, str]]:
    hostname = func.coalesce(ImageStoreBackupStorage.hostname, SftpBackupStorage.hostname, "")
    columns = (
        select(
            BackupStorage.uuid,
            BackupStorage.name,
            hostname.label("hostname"),
            BackupStorage.status,
            BackupStorage.totalCapacity,
            BackupStorage.availableCapacity,
        )
        .outerjoin(ImageStoreBackupStorage, ImageStoreBackupStorage.uuid == BackupStorage.uuid)
        .outerjoin(SftpBackupStorage, SftpBackupStorage.uuid == BackupStorage.uuid)
        .order_by(BackupStorage.uuid)
    )
    if name is not None:
        # SQLite's LIKE would read a name up to its first NUL alone.
        columns = columns.where(or_(*(func.instr(func.lower(one), func.lower(name)) > 0
                                      for one in (BackupStorage.name, hostname))))  # fmt: skip
    if changed is not None:
        columns = columns.where(or_(BackupStorage.uuid.in_(changed), func.lower(hostname).in_(list(hosts))))
    return columns  # type: ignore[return-value]


def _built(
    storages: Sequence[Mapping[str, object]], events: Mapping[str, Sequence[StoredEvent]], began: float, ended: float
) -> list[LaneShape]:
    return [_lane(one, events.get(str(one["uuid"]), ()), began, ended) for one in storages]


def _lane(storage: Mapping[str, object], events: Sequence[StoredEvent], began: float, ended: float) -> LaneShape:
    """Return the lane of a storage from its events since `began`: each holds the value before it."""
    statuses, capacities = _statuses(storage, events, began), _capacities(storage, events, began)
    shown = [one for one in statuses if one.time <= ended][-MOST_SPANS:]
    measured = [one for one in capacities if one.time <= ended][-MOST_SPANS:]
    in_time = sum(one.time <= ended for one in statuses) + sum(one.time <= ended for one in capacities)
    return LaneShape(
        uuid=str(storage["uuid"]),
        name=str(storage["name"]),
        hostname=str(storage["hostname"]),
        exists=bool(storage["exists"]),
        statuses=shown,
        capacities=measured,
        left_off=in_time - len(shown) - len(measured),
    )


def _statuses(storage: Mapping[str, object], events: Sequence[StoredEvent], began: float) -> list[StatusSpan]:
    spans: list[StatusSpan] = []
    was_added = False
    for event in events:
        at = event.time / 1000
        if event.path == STATUS_CHANGED:
            content = orjson.loads(event.content)
            if not spans:
                spans.append(StatusSpan(time=began, status=content["oldStatus"]))
            spans.append(StatusSpan(time=at, status=content["newStatus"]))
        elif event.path == ADDED:
            was_added = True
        elif event.path == DELETED:
            spans = spans or [StatusSpan(time=began, status=str(storage["status"]))]
            spans.append(StatusSpan(time=at, status=None))
    if was_added and spans:
        spans[0] = spans[0].model_copy(update={"status": None})
    return spans or [StatusSpan(time=began, status=str(storage["status"]))]


def _capacities(storage: Mapping[str, object], events: Sequence[StoredEvent], began: float) -> list[CapacityPoint]:
    points: list[CapacityPoint] = []
    for event in events:
        if event.path == CAPACITY_CHANGED:
            content = orjson.loads(event.content)
            if not points and content["oldTotalCapacity"]:
                points.append(CapacityPoint(time=began, total=content["oldTotalCapacity"],
                                            available=content["oldAvailableCapacity"]))  # fmt: skip
            points.append(CapacityPoint(time=event.time / 1000, total=content["totalCapacity"],
                                        available=content["availableCapacity"]))  # fmt: skip
    total, available = storage.get("totalCapacity"), storage.get("availableCapacity")
    if not points and isinstance(total, int) and isinstance(available, int) and total:
        points.append(CapacityPoint(time=began, total=total, available=available))
    return points
