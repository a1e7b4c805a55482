"""Writes docs/metrics.md: `python -m imagestore_sim.lab_api.metrics_manual > docs/metrics.md`."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from imagestore_sim.backup_storage.records import State, Status
from imagestore_sim.lab_api.metrics import (
    NO_API,
    PREFIX,
    Families,
    Metrics,
    StoredStorage,
    of_cache_hits,
    of_commits,
    of_jobs,
    of_storages,
    of_store_failures,
)
from imagestore_sim.probe import Capacity, Method
from imagestore_sim.rest.job_store import JobState
from imagestore_sim.rest.jobs import POLLS

HEAD = f"""\
# Metrics

Prometheus reads these from `GET /metrics`. The page needs no session and shows no password, host name or key. Times are
those of the node's clock: in virtual time they are virtual too. `make metrics` writes this list.

Every request to an API is counted once: in `{PREFIX}_kept_answers_total` if it was answered from the cache, else in
`{PREFIX}_request_duration_seconds`. `api` is the class of the API's message, `{POLLS}` for polls of jobs, and
`{NO_API}` for a request that led to no API. The legacy API answers every request with status 200.

ZStack's own monitoring shows the capacity of storages over time, from what the node has stored: `GET
/v1/zwatch/metrics` with namespace `ZStack/BackupStorage`; see [fidelity.md](fidelity.md).

| Metric | Type | Labels | Meaning |
|---|---|---|---|
"""


def page() -> str:
    """Return the page: every metric with its labels."""
    return HEAD + "".join(sorted(_row(family) for family in example_families()))


def example_families() -> Iterator[Metric]:
    """Yield every family of metrics, with at least one sample, so that all names and labels are there."""
    metrics = Metrics()
    metrics.probed(Capacity(0, 0, None, None, Method.STATVFS, {}))
    metrics.job_ended("", JobState.DONE, 0)
    metrics.answered("", 200, 0)
    storages = of_storages([StoredStorage("", "", "", Status.CONNECTED, State.ENABLED, 0, 0)])
    stored = [*storages, of_jobs({}), of_cache_hits([("", 1)]), of_commits(0), of_store_failures(0)]
    return Families(metrics.registry, stored).collect()


def _row(family: Metric) -> str:
    names = dict.fromkeys(name for sample in family.samples for name in sample.labels if name != "le")
    shown = family.name if family.type in ("gauge", "histogram") else family.samples[0].name
    kind = "gauge" if family.type == "info" else family.type
    labels = ", ".join(f"`{name}`" for name in names)
    return f"| `{shown}` | {kind} | {labels} | {family.documentation} |\n"


if __name__ == "__main__":
    print(page(), end="")
