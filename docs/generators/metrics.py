"""Write docs/metrics.md from the declared metrics."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric

from imagestore_sim.lab_api.example_metrics import FAILED, MEASURED, example_families
from imagestore_sim.lab_api.metrics import NO_API, PREFIX
from imagestore_sim.lab_api.probe_page import DEFAULT_MODULE, MOST_AT_ONCE, series_of
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
file, is never probed. `process_*` are measured on Linux alone. [Watch real hosts](guides/watch-real-hosts.md) has the
configuration of Prometheus, with alerts and a dashboard.

ZStack's own monitoring shows the capacity of storages over time, from what the node has stored: `GET
/v1/zwatch/metrics` with namespace `ZStack/BackupStorage`; see [fidelity.md](fidelity.md).

| Metric | Type | Labels | Meaning |
|---|---|---|---|
"""


TAIL = f"""
## `/probe`

`GET /probe?target=HOST&module=NAME` probes one host now and shows what it found, as Prometheus' blackbox exporter does:
for hosts that are no storages of this node. The status is 200 even if the probe failed; a comment then says why.

A file of modules says how to log in, and which hosts may be probed so. `serve` and `lab` take it as `--probe-modules`;
without it, nothing can be probed.

```yaml
modules:
  default:
    targets: ["store-*.example.org", 10.0.0.0/24]  # names with * and ?, addresses, networks
    url: /zs/1
    username: probe
    password: !env STORE_PASSWORD                  # or identityFile: FILE, or both
    ports: [22]                                    # the first is that of a target without a port
    timeout: 10s                                   # at most; else Prometheus' own, less half a second
```

`module` is `{DEFAULT_MODULE}` if it is missing. `target` is `HOST` or `HOST:PORT`; a host or port that the module
does not name is refused with status 403, so that nobody can have the password sent elsewhere. A user name, a
password or any other parameter in the URL is refused with 400. {MOST_AT_ONCE} probes run or wait at once; a request
beyond them gets 503. Each probe logs in afresh, and creates nothing on the host. Like `/metrics`, the page needs no
session and no token; pages of other origins cannot use it ([security](security.md)). The probes are not counted in
the metrics above.

| Metric | Type | Labels | Meaning |
|---|---|---|---|
"""


def page() -> str:
    """Return the page: every metric with its labels."""
    return HEAD + _rows(example_families()) + TAIL + _rows([*series_of(MEASURED, 0), *series_of(FAILED, 0)])


def _rows(families: Iterable[Metric]) -> str:
    return "".join(sorted({_row(family) for family in families}))


def _row(family: Metric) -> str:
    names = dict.fromkeys(name for sample in family.samples for name in sample.labels if name != "le")
    shown = family.name if family.type in ("gauge", "histogram") else family.samples[0].name
    kind = "gauge" if family.type == "info" else family.type
    labels = ", ".join(f"`{name}`" for name in names)
    return f"| `{shown}` | {kind} | {labels} | {family.documentation} |\n"
