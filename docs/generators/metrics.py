"""Write docs/metrics.md from the declared metrics."""

from __future__ import annotations

from prometheus_client.core import Metric

from imagestore_sim.lab_api.example_metrics import example_families
from imagestore_sim.lab_api.metrics import NO_API, PREFIX
from imagestore_sim.rest.jobs import POLLS

HEAD = f"""\
# Metrics

Prometheus reads these from `GET /metrics`. The page needs no session and shows no password, host name or key. Times are
those of the node's clock: in virtual time they are virtual too. `make docs` writes this list.

Every request to an API is counted once: in `{PREFIX}_kept_answers_total` if it was answered from the cache, else in
`{PREFIX}_request_duration_seconds`. `api` is the class of the API's message, `{POLLS}` for polls of jobs, and
`{NO_API}` for a request that led to no API. The legacy API answers every request with status 200. A poll may wait
[up to 100 ms](reference/wire-protocol.md#33-polling) for the end of its job, which counts.

A series with `uuid` and `name` belongs to one storage, and ends with it. What a probe has found is in memory: after a
start it is missing until the first probe has ended. A storage without a host, or with `tracked: false` in its bootstrap
file, is never probed. `process_*` are measured on Linux alone.

ZStack's own monitoring shows the capacity of storages over time, from what the node has stored: `GET
/v1/zwatch/metrics` with namespace `ZStack/BackupStorage`; see [fidelity.md](fidelity.md).

| Metric | Type | Labels | Meaning |
|---|---|---|---|
"""


def page() -> str:
    """Return the page: every metric with its labels."""
    return HEAD + "".join(sorted(_row(family) for family in example_families()))


def _row(family: Metric) -> str:
    names = dict.fromkeys(name for sample in family.samples for name in sample.labels if name != "le")
    shown = family.name if family.type in ("gauge", "histogram") else family.samples[0].name
    kind = "gauge" if family.type == "info" else family.type
    labels = ", ".join(f"`{name}`" for name in names)
    return f"| `{shown}` | {kind} | {labels} | {family.documentation} |\n"
