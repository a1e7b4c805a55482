"""One sample of every metric: what the manual lists, and what an expectation of a scenario may name."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from imagestore_sim.backup_storage.records import State, Status
from imagestore_sim.lab_api.metrics import (
    Families,
    Metrics,
    StoredImages,
    StoredStorage,
    of_cache_hits,
    of_commits,
    of_images,
    of_jobs,
    of_storages,
    of_store_failures,
)
from imagestore_sim.probe import Capacity, Method
from imagestore_sim.rest.job_store import JobState


def example_families() -> Iterator[Metric]:
    """Yield every family of metrics, with at least one sample, so that all names and labels are there."""
    metrics = Metrics()
    metrics.probed(Capacity(0, 0, None, None, Method.STATVFS, {}))
    metrics.job_ended("", JobState.DONE, 0)
    metrics.answered("", 200, 0)
    storages = of_storages([StoredStorage("", "", "", Status.CONNECTED, State.ENABLED, 0, 0)])
    images = of_images({}, [StoredImages("", "", "", 0)], 0)
    stored = [*storages, *images, of_jobs({}), of_cache_hits([("", 1)]), of_commits(0), of_store_failures(0)]
    return Families(metrics.registry, stored).collect()
