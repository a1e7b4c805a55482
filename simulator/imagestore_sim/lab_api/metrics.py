"""GET /metrics: counters and measurements for Prometheus; docs/metrics.md lists them.

Each node has a registry of its own. Other parts call the methods of `Metrics` as things happen; what is in the store is
read at each request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from imagestore_sim import __version__
from imagestore_sim.backup_storage.records import State, Status
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.models import BackupStorage, Image, ImageBackupStorageRef, ImageGarbage, Job
from imagestore_sim.images.rows import DELETED, DOWNLOADING, READY
from imagestore_sim.probe import Capacity, Method, ProbeFailure, Reached, Reason
from imagestore_sim.probe.phases import PHASES
from imagestore_sim.rest.job_store import JobState
from imagestore_sim.rest.response_cache import ResponseCache

PREFIX = "imagestore_sim"
REQUEST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
JOB_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
PHASE_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LAG_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30)
NO_API = "none"
IMAGE_STATUSES = (DOWNLOADING, READY, DELETED)
LOOPS = ("event loop", "ping tracker", "purge of jobs", "purge of sessions", "web hooks")


class StoredStorage(NamedTuple):
    """What the metrics show of a stored storage; sizes in bytes."""

    uuid: str
    name: str
    type: str
    status: str
    state: str
    total: int
    available: int


class StoredImages(NamedTuple):
    """What the metrics show of the images on a storage; `size` is bytes."""

    uuid: str
    name: str
    type: str
    size: int


class Metrics:
    """Counts things as they happen."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start all counters at zero."""
        self.registry = CollectorRegistry()
        registry = self.registry
        Info(PREFIX, "The version that runs.", registry=registry).info({"version": __version__})
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
        for loop in LOOPS:
            for trouble in ("failed", "stalled"):
                self._loops.labels(loop, trouble)
        self._transfers = Counter(
            f"{PREFIX}_image_transfers",
            "Transfers of an image to a storage that have ended, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self._transferred = Counter(
            f"{PREFIX}_image_transfer_bytes", "Bytes of the images that transfers have brought.", registry=registry
        )
        for outcome in ("done", "failed"):
            self._transfers.labels(outcome)
        # Show what has never happened as zero: Prometheus needs a first sample to compute a rate.
        for method in Method:
            self._probes.labels(method)
        for reason in Reason:
            self._failures.labels(reason)
        for phase in PHASES:
            self._phases.labels(phase)

    def probed(self, found: Capacity | Reached | ProbeFailure) -> None:
        """Count a probe that has ended, and the time of its phases."""
        if isinstance(found, Capacity):
            self._probes.labels(found.method).inc()
        elif isinstance(found, Reached):
            self._probes.labels(found.mode).inc()
        else:
            self._failures.labels(found.reason).inc()
        for phase, milliseconds in found.phases.items():
            self._phases.labels(phase).observe(milliseconds / 1000)

    def job_ended(self, api: str, state: JobState, seconds: float) -> None:
        """Count a job that has ended, after `seconds`."""
        self._jobs.labels(api, state).observe(seconds)

    def answered(self, api: str, status: int, seconds: float) -> None:
        """Count a request that was not answered from the cache, after `seconds`."""
        self._requests.labels(api or NO_API, status).observe(seconds)

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


class MetricsPage:
    """Answers `/metrics`: the counters, and figures from the store."""

    def __init__(self, metrics: Metrics, database: Database, answers: ResponseCache) -> None:
        self._metrics = metrics
        self._database = database
        self._answers = answers

    async def answer(self, request: web.Request) -> web.Response:
        """Return the metrics in Prometheus' text format."""
        return web.Response(body=await self._text(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _text(self) -> bytes:
        try:
            stored = await self._stored()
        except StoreUnavailable:
            stored = []  # the counters are shown without it
        others = [
            *stored,
            of_cache_hits(self._answers.hits.items()),
            of_commits(self._database.revision),
            of_store_failures(self._database.health.failures),
        ]
        # In a thread: the text for ten thousand storages would block the loop.
        return await asyncio.to_thread(generate_latest, Families(self._metrics.registry, others))

    async def _stored(self) -> list[Metric]:
        storages = await self._database.read(
            select(
                BackupStorage.uuid,
                BackupStorage.name,
                BackupStorage.type,
                BackupStorage.status,
                BackupStorage.state,
                BackupStorage.totalCapacity,
                BackupStorage.availableCapacity,
            ).order_by(BackupStorage.uuid)
        )
        jobs = await self._database.read(select(Job.state, func.count()).group_by(Job.state))
        counts = {state: int(count) for state, count in jobs}
        return [
            *of_storages(StoredStorage(*row) for row in storages),
            *await self._of_images(),
            of_jobs(counts),
        ]

    async def _of_images(self) -> list[Metric]:
        statuses = await self._database.read(select(Image.status, func.count()).group_by(Image.status))
        ref, storage = ImageBackupStorageRef, BackupStorage
        on_storages = (
            select(storage.uuid, storage.name, storage.type, func.sum(Image.actualSize))
            .join(ref, ref.backupStorageUuid == storage.uuid)
            .join(Image, Image.uuid == ref.imageUuid)
            .group_by(storage.uuid, storage.name, storage.type)
            .order_by(storage.uuid)
        )
        rows = await self._database.read(on_storages)
        left = await self._database.read(select(func.count()).select_from(ImageGarbage))
        counts = {status: int(count) for status, count in statuses}
        return of_images(counts, (StoredImages(*row[:3], int(row[3])) for row in rows), int(left[0][0]))


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


def of_storages(rows: Iterable[StoredStorage]) -> list[Metric]:
    """Return the number of storages by status and state, and the capacity of each."""
    counted = dict.fromkeys(product(Status, State), 0)
    labels = ["uuid", "name", "type"]
    total = GaugeMetricFamily(f"{PREFIX}_backup_storage_total_bytes", "The capacity of each storage.", labels=labels)
    available = GaugeMetricFamily(
        f"{PREFIX}_backup_storage_available_bytes", "Its available capacity, as last measured.", labels=labels
    )
    for one in rows:
        counted[Status(one.status), State(one.state)] += 1
        total.add_metric([one.uuid, one.name, one.type], one.total)
        available.add_metric([one.uuid, one.name, one.type], one.available)
    storages = GaugeMetricFamily(
        f"{PREFIX}_backup_storages", "Backup storages, by status and state.", labels=["status", "state"]
    )
    for pair, count in counted.items():
        storages.add_metric(pair, count)
    return [storages, total, available]


def of_images(counts: Mapping[str, int], rows: Iterable[StoredImages], left: int) -> list[Metric]:
    """Return the number of images by status, their bytes on each storage, and how many have bits `left` to remove."""
    images = GaugeMetricFamily(f"{PREFIX}_images", "Images, by status.", labels=["status"])
    for status in IMAGE_STATUSES:
        images.add_metric([status], counts.get(status, 0))
    sizes = GaugeMetricFamily(
        f"{PREFIX}_backup_storage_image_bytes",
        "Bytes of the images on each storage, deleted ones too, by their records.",
        labels=["uuid", "name", "type"],
    )
    for one in rows:
        sizes.add_metric([one.uuid, one.name, one.type], one.size)
    waiting = GaugeMetricFamily(
        f"{PREFIX}_image_bits_to_remove", "Copies of images without a record whose bits are still on a host.", left
    )
    return [images, sizes, waiting]


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
