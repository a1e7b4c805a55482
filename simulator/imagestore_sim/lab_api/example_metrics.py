"""One sample of every metric: what the manual lists, and what an expectation of a scenario may name."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from imagestore_sim.backup_storage.recent_probes import LastProbe, RecentProbes
from imagestore_sim.backup_storage.records import State, Status
from imagestore_sim.lab_api.metrics import (
    ClusterFigures,
    Families,
    Metrics,
    of_cache_hits,
    of_cluster,
    of_commits,
    of_images,
    of_jobs,
    of_node_faults,
    of_statuses,
    of_store_failures,
)
from imagestore_sim.lab_api.storage_series import StoredStorage, pieces_of, show
from imagestore_sim.probe import Capacity, Inodes, Method, ProbeFailure, Reason
from imagestore_sim.rest.job_store import JobState

MEASURED = Capacity(0, 0, Inodes(1, 1), False, Method.STATVFS, {"tcp": 0})
FAILED = ProbeFailure(Reason.TIMEOUT, "", {"tcp": 0})


def example_families() -> Iterator[Metric]:
    """Yield every family of metrics, with at least one sample, so that all names and labels are there."""
    metrics = Metrics()
    metrics.probed(MEASURED)
    metrics.job_ended("", JobState.DONE, 0)
    metrics.answered("", 200, 0)
    stored = [
        of_statuses({}),
        *of_images({}, 0),
        of_jobs({}),
        of_cache_hits([("", 1)]),
        of_commits(0),
        of_store_failures(0),
        *of_node_faults({}, {}),
        *of_cluster(ClusterFigures(1, 0, 0, {})),
    ]
    yield from Families(metrics.registry, stored).collect()
    yield from _of_storages()


def _of_storages() -> Iterator[Metric]:
    """Yield the series of storages that were measured once, and do not answer any more for one reason each."""
    shown = []
    for reason in Reason:
        probes = RecentProbes()
        probes.add("", LastProbe(0, MEASURED))
        probes.add("", LastProbe(0, ProbeFailure(reason, "", {})))
        shown.append(show(StoredStorage("", "", "", Status.CONNECTED, State.ENABLED, 0, 0), 0, probes))
    yield from text_string_to_metric_families("".join(pieces_of(shown)))
