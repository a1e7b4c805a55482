"""The manual page of the metrics: `python -m imagestore_sim.lab_api.metrics_manual > docs/metrics.md`."""

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
    of_answers,
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

What `GET /metrics` tells Prometheus, made by `make metrics`. It needs no session, and
holds no password, host name or key. Times are those of the node's clock: in virtual time they are virtual, too.

A request for which a kept answer was found is counted in `{PREFIX}_kept_answers_total`, every other one in
`{PREFIX}_request_duration_seconds`; together they tell how often an API was asked. `api` is the class of the
API's message, `{POLLS}` for polls of jobs, and `{NO_API}` for what led to no API. The legacy API answers 200 whatever
happens.

ZStack's own monitoring answers the capacity of storages over time, from what the node has stored: `GET
/v1/zwatch/metrics` with namespace `ZStack/BackupStorage`; see [fidelity.md](fidelity.md).

| Metric | Type | Labels | What it tells |
|---|---|---|---|
"""


def page() -> str:
    """The manual page: every metric, with the labels that one of everything shows."""
    return HEAD + "".join(sorted(_row(family) for family in example_families()))


def example_families() -> Iterator[Metric]:
    """Every family of metrics, as one of everything makes them: all names, all labels."""
    metrics = Metrics()
    metrics.probed(Capacity(0, 0, None, None, Method.STATVFS, {}))
    metrics.job_ended("", JobState.DONE, 0)
    metrics.answered("", 200, 0)
    storages = of_storages([StoredStorage("", "", "", Status.CONNECTED, State.ENABLED, 0, 0)])
    stored = [*storages, of_jobs({}), of_answers([("", 1)]), of_commits(0), of_store_failures(0)]
    return Families(metrics.registry, stored).collect()


def _row(family: Metric) -> str:
    names = dict.fromkeys(name for sample in family.samples for name in sample.labels if name != "le")
    shown = family.name if family.type in ("gauge", "histogram") else family.samples[0].name
    kind = "gauge" if family.type == "info" else family.type
    labels = ", ".join(f"`{name}`" for name in names)
    return f"| `{shown}` | {kind} | {labels} | {family.documentation} |\n"


if __name__ == "__main__":
    print(page(), end="")
