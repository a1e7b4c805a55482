"""GET /metrics: counters and measurements for Prometheus; docs/metrics.md lists them.

Each node has a registry of its own. Other parts call the methods of `Metrics` as things happen; what is in the store is
read at each request.
"""

from __future__ import annotations

import asyncio
import platform
import zlib
from collections import Counter as Count
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import prometheus_client
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import bindparam, func, literal_column, select

from imagestore_sim import __version__
from imagestore_sim.backup_storage.recent_probes import RecentProbes
from imagestore_sim.backup_storage.records import State, Status
from imagestore_sim.cluster import WRITES
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.large_sums import joined, sum_in_parts
from imagestore_sim.database.models import BackupStorage, Image, ImageBackupStorageRef, ImageGarbage, Job
from imagestore_sim.database.statement_cache import sql_of
from imagestore_sim.faults import NODE_FAULTS
from imagestore_sim.images.rows import DELETED, DOWNLOADING, READY
from imagestore_sim.lab_api.storage_series import ShownStorage, StoredStorage, pieces_of, show
from imagestore_sim.probe import Capacity, Method, ProbeFailure, Reached, Reason
from imagestore_sim.probe.phases import PHASES
from imagestore_sim.rest.job_store import IS_SHOWN, JobState
from imagestore_sim.rest.node_faults import NodeFaults
from imagestore_sim.rest.response_cache import ResponseCache

PREFIX = "imagestore_sim"
REQUEST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
JOB_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
PHASE_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LAG_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30)
GZIP = zlib.MAX_WBITS + 16
"""What has zlib write the format of gzip."""
NO_API = "none"
IMAGE_STATUSES = (DOWNLOADING, READY, DELETED)
LOOPS = ("event loop", "ping tracker", "purge of jobs", "purge of sessions", "takeover", "web hooks")

Statuses = Mapping[tuple[str, str], int]
"""How many storages have each status and state."""
MOST_AT_ONCE = 250
"""Storages that are read in one turn of the event loop: SQLite takes about a millisecond."""
_STORAGES = (
    select(
        BackupStorage.uuid,
        BackupStorage.name,
        BackupStorage.type,
        BackupStorage.status,
        BackupStorage.state,
        BackupStorage.totalCapacity,
        BackupStorage.availableCapacity,
    )
    .where(BackupStorage.uuid > bindparam("after"))
    .order_by(BackupStorage.uuid)
    .limit(literal_column(str(MOST_AT_ONCE)))
    .offset(literal_column("0"))
)


class Metrics:
    """Counts things as they happen."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start all counters at zero."""
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info(f"{PREFIX}_build", "The version that runs, and that of Python.", registry=registry).info(
            {"version": __version__, "python": platform.python_version()}
        )
        self._probes = Counter(
            f"{PREFIX}_probes",
            "Probes that succeeded, by the method that read a capacity, or else by the mode of the ping.",
            ["method"],
            registry=registry,
        )
        self._failures = Counter(
            f"{PREFIX}_probe_failures", "Probes that failed, by reason.", ["reason"], registry=registry
        )
        self._phases = Histogram(
            f"{PREFIX}_probe_phase_duration_seconds",
            "How long each phase of a probe took; a warm connection has no login.",
            ["phase"],
            registry=registry,
            buckets=PHASE_BUCKETS,
        )
        self._jobs = Histogram(
            f"{PREFIX}_job_duration_seconds",
            "How long jobs took, by API and final state.",
            ["api", "state"],
            registry=registry,
            buckets=JOB_BUCKETS,
        )
        self._requests = Histogram(
            f"{PREFIX}_request_duration_seconds",
            "How long requests took that were not answered from the cache, by API and HTTP status.",
            ["api", "status"],
            registry=registry,
            buckets=REQUEST_BUCKETS,
        )
        # To find these takes longer than to count.
        self._probes_by, self._phases_of = cache(self._probes.labels), cache(self._phases.labels)
        self._requests_of = cache(self._requests.labels)
        self._lag = Histogram(
            f"{PREFIX}_tracker_lag_seconds",
            "How late the ticks of the ping tracker began, in seconds.",
            registry=registry,
            buckets=LAG_BUCKETS,
        )
        self._loops = Counter(
            f"{PREFIX}_loop_troubles",
            "Rounds of internal loops that failed or stalled, by loop and trouble.",
            ["loop", "trouble"],
            registry=registry,
        )
        self._transfers = Counter(
            f"{PREFIX}_image_transfers",
            "Transfers of an image to a storage that have ended, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self._transferred = Counter(
            f"{PREFIX}_image_transfer_bytes", "Bytes of the images that transfers have brought.", registry=registry
        )

    @property
    def registry(self) -> CollectorRegistry:
        """The counters to show, with those of what has never happened.

        Prometheus needs a first sample to compute a rate. They are made when somebody looks: no start waits for them.
        """
        for loop, trouble in product(LOOPS, ("failed", "stalled")):
            self._loops.labels(loop, trouble)
        for outcome in ("done", "failed"):
            self._transfers.labels(outcome)
        for method in Method:
            self._probes.labels(method)
        for reason in Reason:
            self._failures.labels(reason)
        for phase in PHASES:
            self._phases.labels(phase)
        return self._registry

    def probed(self, found: Capacity | Reached | ProbeFailure) -> None:
        """Count a probe that has ended, and the time of its phases."""
        if isinstance(found, Capacity):
            self._probes_by(found.method).inc()
        elif isinstance(found, Reached):
            self._probes_by(found.mode).inc()
        else:
            self._failures.labels(found.reason).inc()
        for phase, milliseconds in found.phases.items():
            self._phases_of(phase).observe(milliseconds / 1000)

    def job_ended(self, api: str, state: JobState, seconds: float) -> None:
        """Count a job that has ended, after `seconds`."""
        self._jobs.labels(api, state).observe(seconds)

    def answered(self, api: str, status: int, seconds: float) -> None:
        """Count a request that was not answered from the cache, after `seconds`."""
        self._requests_of(api or NO_API, status).observe(seconds)

    def transferred(self, size: int, failed: bool) -> None:
        """Count a transfer of an image that has ended, with the bytes that it has brought."""
        self._transfers.labels("failed" if failed else "done").inc()
        self._transferred.inc(size)

    def loop(self, name: str, trouble: str) -> None:
        """Count a round of an internal loop that `failed` or `stalled`."""
        self._loops.labels(name, trouble).inc()

    def ticked(self, late: float) -> None:
        """Count a tick of the ping tracker that began `late` seconds late."""
        self._lag.observe(late)


@dataclass(frozen=True, slots=True)
class ClusterFigures:
    """What a node knows of the nodes that share its store."""

    members: int
    owned: int
    """Storages that it pings."""
    taken_over: int
    refused: Mapping[str, int]
    """Writes that were refused, by what they were."""


class MetricsPage:
    """Answers `/metrics`: the counters, and figures from the store."""

    def __init__(
        self,
        metrics: Metrics,
        database: Database,
        answers: ResponseCache,
        probes: RecentProbes,
        node_faults: NodeFaults,
        cluster: Callable[[], ClusterFigures],
    ) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._database = database
        self._answers = answers
        self._probes = probes
        self._node_faults = node_faults
        self._one_at_a_time = asyncio.Lock()
        self._storages_after = sql_of(_STORAGES, database.dialect)

    async def answer(self, request: web.Request) -> web.Response:
        """Return the metrics in Prometheus' text format, compressed for a client that takes gzip."""
        compressed = "gzip" in request.headers.get("Accept-Encoding", "")
        headers = {"Content-Type": prometheus_client.CONTENT_TYPE_PLAIN_0_0_4, "Vary": "Accept-Encoding"}
        async with self._one_at_a_time:
            body = await self._body(compressed)
        return web.Response(body=body, headers={**headers, "Content-Encoding": "gzip"} if compressed else headers)

    async def _body(self, compressed: bool) -> bytes:
        storages: list[ShownStorage] = []
        stored: list[Metric] = []
        try:
            storages, statuses = await self._of_storages()
            stored = [
                of_statuses(statuses),
                *await self._of_images(),
                await self._of_jobs(),
            ]
        except StoreUnavailable:
            storages = []  # the counters are shown without it
        others = [
            *stored,
            of_cache_hits(self._answers.hits.items()),
            of_commits(self._database.revision),
            of_store_failures(self._database.health.failures),
            *of_node_faults(Count(one.fault.kind for one in self._node_faults), self._node_faults.hits),
            *of_cluster(self._cluster()),
        ]
        families = Families(self._metrics.registry, others)
        # In a thread: very many APIs have been called of some nodes.
        body = Body(await asyncio.to_thread(prometheus_client.generate_latest, families), compressed=compressed)
        # Not in a thread: beside a busy event loop it would get the interpreter each five milliseconds, and hold it for
        # as long. Ten thousand storages took five seconds, in which each request waited many times.
        for piece in pieces_of(storages):
            body.add(piece.encode())
            await asyncio.sleep(0)
        return body.whole()

    async def _of_storages(self) -> tuple[list[ShownStorage], Statuses]:
        """Return what is shown of each storage, by uuid, and how many have which status and state; a page at a time."""
        sizes, after = await self._image_sizes(), ""
        found: list[ShownStorage] = []
        statuses: Count[tuple[str, str]] = Count()
        while True:
            page = [StoredStorage(*row) for row in await self._database.fetch_few(self._storages_after, (after,))]
            found += [show(one, sizes.get(one.uuid), self._probes) for one in page]
            statuses.update((one.status, one.state) for one in page)
            if len(page) < MOST_AT_ONCE:
                return found, statuses
            after = page[-1].uuid
            await asyncio.sleep(0)

    async def _image_sizes(self) -> Mapping[str, int]:
        """Return the bytes of the images on each storage that has some, by its uuid."""
        ref = ImageBackupStorageRef
        sizes = (
            select(ref.backupStorageUuid, *sum_in_parts(Image.actualSize))
            .join(Image, Image.uuid == ref.imageUuid)
            .group_by(ref.backupStorageUuid)
        )
        return {uuid: joined(*parts) for uuid, *parts in await self._database.read(sizes)}

    async def _of_jobs(self) -> Metric:
        jobs = await self._database.read(select(Job.state, func.count()).where(IS_SHOWN).group_by(Job.state))
        return of_jobs({state: int(count) for state, count in jobs})

    async def _of_images(self) -> list[Metric]:
        statuses = await self._database.read(select(Image.status, func.count()).group_by(Image.status))
        left = await self._database.read(select(func.count()).select_from(ImageGarbage))
        return of_images({status: int(count) for status, count in statuses}, int(left[0][0]))


class Body:
    """A body that is made of pieces; with `compressed`, it is never whole in memory before it is compressed."""

    def __init__(self, first: bytes, *, compressed: bool) -> None:
        self._compressor = zlib.compressobj(level=1, wbits=GZIP) if compressed else None
        self._pieces: list[bytes] = []
        self.add(first)

    def add(self, piece: bytes) -> None:
        """Add a piece at its end."""
        self._pieces.append(piece if self._compressor is None else self._compressor.compress(piece))

    def whole(self) -> bytes:
        """Return the body. Nothing may be added any more."""
        if self._compressor is not None:
            self._pieces.append(self._compressor.flush())
        return b"".join(self._pieces)


class Families(Collector):
    """The metric families of a registry and others, without the `_created` samples of counters."""

    def __init__(self, registry: CollectorRegistry, others: Sequence[Metric]) -> None:
        self._first = registry
        self._others = others

    def collect(self) -> Iterator[Metric]:
        """Yield each family."""
        for family in (*self._first.collect(), *self._others):
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


def of_statuses(counts: Statuses) -> Metric:
    """Return the number of storages by status and state."""
    found = GaugeMetricFamily(
        f"{PREFIX}_backup_storages", "Backup storages, by status and state.", labels=["status", "state"]
    )
    for pair in product(Status, State):
        found.add_metric(pair, counts.get(pair, 0))
    return found


def of_images(counts: Mapping[str, int], left: int) -> list[Metric]:
    """Return the number of images by status, and how many have bits `left` to remove."""
    images = GaugeMetricFamily(f"{PREFIX}_images", "Images, by status.", labels=["status"])
    for status in IMAGE_STATUSES:
        images.add_metric([status], counts.get(status, 0))
    waiting = GaugeMetricFamily(
        f"{PREFIX}_image_bits_to_remove", "Copies of images without a record whose bits are still on a host.", left
    )
    return [images, waiting]


def of_node_faults(active: Mapping[str, int], hits: Mapping[str, int]) -> list[Metric]:
    """Return the number of faults of the management plane that are set, and of requests that met one, by kind."""
    set_now = GaugeMetricFamily(
        f"{PREFIX}_node_faults", "Faults of the management plane that are set, by kind.", labels=["kind"]
    )
    met = CounterMetricFamily(
        f"{PREFIX}_node_fault_hits", "Requests that met a fault of the management plane, by its kind.", labels=["kind"]
    )
    for kind in sorted(NODE_FAULTS):
        set_now.add_metric([kind], active.get(kind, 0))
        met.add_metric([kind], hits.get(kind, 0))
    return [set_now, met]


def of_cluster(figures: ClusterFigures) -> list[Metric]:
    """Return the figures of the nodes that share a store."""
    refused = CounterMetricFamily(
        f"{PREFIX}_cluster_refused_writes",
        "Writes that were refused since another node owns what they are about, by what they are.",
        labels=["write"],
    )
    for write in WRITES:
        refused.add_metric([write], figures.refused.get(write, 0))
    return [
        GaugeMetricFamily(
            f"{PREFIX}_cluster_members", "Management nodes that share the store, this one included.", figures.members
        ),
        GaugeMetricFamily(
            f"{PREFIX}_cluster_owned_storages", "Backup storages that this node owns and pings.", figures.owned
        ),
        CounterMetricFamily(
            f"{PREFIX}_cluster_takeovers",
            "Backup storages that this node has taken over from nodes that left.",
            value=figures.taken_over,
        ),
        refused,
    ]


def of_jobs(counts: Mapping[str, int]) -> Metric:
    """Return the number of stored jobs in each state."""
    jobs = GaugeMetricFamily(f"{PREFIX}_jobs", "Stored jobs, by state.", labels=["state"])
    for state in JobState:
        jobs.add_metric([state], counts.get(state, 0))
    return jobs


def of_cache_hits(found: Iterable[tuple[str, int]]) -> Metric:
    """Return the number of requests that were answered from the cache, by API."""
    answers = CounterMetricFamily(
        f"{PREFIX}_kept_answers", "Requests that were answered from the cache, by API.", labels=["api"]
    )
    for api, count in sorted(found):
        answers.add_metric([api], count)
    return answers


def of_commits(revision: int) -> Metric:
    """Return the number of committed transactions."""
    return CounterMetricFamily(f"{PREFIX}_database_commits", "Transactions committed since the start.", value=revision)


def of_store_failures(failures: int) -> Metric:
    """Return the number of failures of the store."""
    return CounterMetricFamily(
        f"{PREFIX}_database_failures", "Reads and changes that the store has failed since the start.", value=failures
    )
