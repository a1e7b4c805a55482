"""The series of each storage in /metrics, each declared once.

Their text is written here rather than by prometheus_client, which takes ten times as long: a fleet has 10,000 storages.
It comes in pieces, between which the event loop does all else: that of 10,000 storages takes a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from imagestore_sim.backup_storage.recent_probes import LastProbe, RecentProbes
from imagestore_sim.backup_storage.records import Status
from imagestore_sim.probe import Capacity, ProbeFailure

PREFIX = "imagestore_sim_backup_storage"
LINES_IN_A_PIECE = 500
"""Lines that are written in one turn of the event loop: about a millisecond."""
Sample = tuple[str, float]
"""A label beside uuid, name and type, as `,NAME="VALUE"` or nothing; and a value."""


class StoredStorage(NamedTuple):
    """What the metrics show of the record of a storage; sizes in bytes."""

    uuid: str
    name: str
    type: str
    status: str
    state: str
    total: int
    available: int


class ShownStorage(NamedTuple):
    """A storage, the bytes of its images (None without any), and what its probes have found since the start."""

    stored: StoredStorage
    labels: str
    """Its labels in all series, as they are written."""
    images: int | None
    last: LastProbe | None
    answered: LastProbe | None
    """The latest probe that its host answered."""
    measured: Capacity | None
    """The latest capacity that a probe has found."""


class Series(NamedTuple):
    """A metric of each storage, a gauge; `samples` yields nothing for a storage without it."""

    name: str
    documentation: str
    samples: Callable[[ShownStorage], Iterable[Sample]]


def show(stored: StoredStorage, images: int | None, probes: RecentProbes) -> ShownStorage:
    """Return what the metrics show of a storage."""
    uuid = stored.uuid
    found = (probes.get(uuid), probes.answered(uuid), probes.measured(uuid))
    return ShownStorage(stored, _labels(stored), images, *found)


def pieces_of(storages: Sequence[ShownStorage]) -> Iterator[str]:
    """Yield the series of all storages in Prometheus' text format, in pieces of LINES_IN_A_PIECE lines."""
    lines = (line for series in SERIES for line in _lines(series, storages))
    while piece := "".join(islice(lines, LINES_IN_A_PIECE)):
        yield piece


def _lines(series: Series, storages: Sequence[ShownStorage]) -> Iterator[str]:
    name, samples = f"{PREFIX}_{series.name}", series.samples
    yield f"# HELP {name} {series.documentation}\n# TYPE {name} gauge\n"
    for storage in storages:
        for label, value in samples(storage):
            yield f"{name}{{{storage.labels}{label}}} {value!r}\n"


def _labels(stored: StoredStorage) -> str:
    return f'uuid="{stored.uuid}",name="{_escaped(stored.name)}",type="{stored.type}"'


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _one(value: float | None) -> Iterable[Sample]:
    return () if value is None else (("", value),)


def _status(storage: ShownStorage) -> Iterable[Sample]:
    return [(f',status="{status}"', int(status == storage.stored.status)) for status in Status]


def _is_up(storage: ShownStorage) -> Iterable[Sample]:
    return () if storage.last is None else _one(int(storage.last is storage.answered))


def _reason(storage: ShownStorage) -> Iterable[Sample]:
    outcome = None if storage.last is None else storage.last.outcome
    return ((f',reason="{outcome.reason}"', 1),) if isinstance(outcome, ProbeFailure) else ()


def _seconds(storage: ShownStorage) -> Iterable[Sample]:
    return () if storage.last is None else _one(sum(storage.last.outcome.phases.values()) / 1000)


def _last_success(storage: ShownStorage) -> Iterable[Sample]:
    return () if storage.answered is None else _one(storage.answered.time)


def _inodes(storage: ShownStorage) -> Iterable[Sample]:
    inodes = None if storage.measured is None else storage.measured.inodes
    return () if inodes is None else _one(inodes.total)


def _inodes_available(storage: ShownStorage) -> Iterable[Sample]:
    inodes = None if storage.measured is None else storage.measured.inodes
    return () if inodes is None else _one(inodes.available)


def _is_read_only(storage: ShownStorage) -> Iterable[Sample]:
    read_only = None if storage.measured is None else storage.measured.read_only
    return () if read_only is None else _one(int(read_only))


SERIES = (
    Series("total_bytes", "The capacity of each storage.", lambda one: _one(one.stored.total)),
    Series(
        "available_bytes",
        "The available capacity of each storage, as last measured.",
        lambda one: _one(one.stored.available),
    ),
    Series(
        "image_bytes",
        "Bytes of the images on each storage, deleted ones too, by their records.",
        lambda one: _one(one.images),
    ),
    Series("status", "1 for the status that a storage has, 0 for the others.", _status),
    Series("up", "1 if the host of a storage answered the last probe, 0 if not.", _is_up),
    Series("probe_failing", "1 for the reason why the last probe of a storage failed.", _reason),
    Series(
        "last_success_timestamp_seconds",
        "When the host of a storage last answered a probe since the start.",
        _last_success,
    ),
    Series("probe_duration_seconds", "How long the phases of the last probe of a storage took.", _seconds),
    Series("inodes", "Inodes of a storage's file system, as last measured, if it has a fixed number of them.", _inodes),
    Series("inodes_available", "Free inodes of a storage's file system, as last measured.", _inodes_available),
    Series("read_only", "1 if a storage's file system was read-only when last measured, else 0.", _is_read_only),
)
