"""GET /probe?target=…&module=…: a probe of one host for Prometheus, as its blackbox exporter has it.

The operator's file says which hosts may be probed and how to log in to them (`probe_modules`). Nothing in a URL can
widen that, and without a file nothing is probed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import prometheus_client
from aiohttp import web
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from imagestore_sim.masking import on_one_line
from imagestore_sim.plain_numbers import may_be_number
from imagestore_sim.probe import Capacity, ProbeFailure, Prober, Reason, Target
from imagestore_sim.rest.origins import is_foreign

if TYPE_CHECKING:
    from imagestore_sim.lab_api.probe_modules import ProbeModule

DEFAULT_MODULE = "default"
PARAMETERS = ("target", "module")
SCRAPE_TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"
MARGIN_SECONDS = 0.5
"""How long before the end of a scrape's time the answer is sent, as by the blackbox exporter."""
LEAST_SECONDS = 0.1
MOST_AT_ONCE = 100
"""Probes for `/probe` that run or wait; a request beyond them is refused."""


class NotAllowed(ValueError):
    """A target that a module may not log in to."""


class Refusal(Exception):
    """A request that is not answered with a probe: its HTTP status, and why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class ProbePage:
    """Answers `/probe`. Each module has a prober of its own: connections and keys of storages are not used."""

    def __init__(self, modules: Mapping[str, ProbeModule], new_prober: Callable[[ProbeModule], Prober]) -> None:
        """Make the probers. Raise ValueError for a key that cannot be used."""
        self._modules = modules
        self._probers = {name: new_prober(module) for name, module in modules.items()}
        self._running = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Return what a probe found, in Prometheus' text format, with status 200 even if it failed."""
        try:
            name, target = self._asked(request)
            seconds = min(self._modules[name].timeout, _scrape_seconds(request))
            found, took = await self._probe(name, target, seconds)
        except Refusal as refusal:
            return web.Response(status=refusal.status, text=f"{refusal}\n")
        body = _comment(found) + prometheus_client.generate_latest(_Families(series_of(found, took)))
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_PLAIN_0_0_4})

    async def close(self) -> None:
        """Close every connection."""
        async with AsyncExitStack() as stack:
            for prober in self._probers.values():
                stack.push_async_callback(prober.close)

    def _asked(self, request: web.Request) -> tuple[str, Target]:
        """Return the module and the target that a request names. Raise Refusal."""
        if is_foreign(request):
            raise Refusal(403, "a page of another origin may not have a host probed")
        if not self._modules:
            raise Refusal(404, "nothing may be probed: this node was started without --probe-modules")
        given = _parameters(request)
        name = given.get("module", DEFAULT_MODULE)
        if name not in self._modules:
            raise Refusal(400, f"there is no module {name[:100]!r}; there are {', '.join(sorted(self._modules))}")
        if not given.get("target"):
            raise Refusal(400, "the parameter target is missing: HOST or HOST:PORT")
        try:
            return name, self._modules[name].target(given["target"])
        except NotAllowed as error:
            raise Refusal(403, on_one_line(str(error))) from None
        except ValueError as error:
            raise Refusal(400, on_one_line(str(error))) from None

    async def _probe(self, name: str, target: Target, seconds: float) -> tuple[Capacity | ProbeFailure, float]:
        """Return what a probe found within `seconds` of the machine, and how long it took. Raise Refusal."""
        if self._running >= MOST_AT_ONCE:
            raise Refusal(503, f"{MOST_AT_ONCE} probes run or wait already, which is the most at once")
        prober, began = self._probers[name], time.monotonic()  # real: a scraper waits in it, whatever the clock does
        found: Capacity | ProbeFailure
        self._running += 1
        try:
            async with asyncio.timeout(seconds):  # real: as above
                found = await prober.probe(target)
        except TimeoutError:
            found = ProbeFailure(Reason.TIMEOUT, f"{target.hostname}: no outcome within {seconds:g} s", {})
        finally:
            self._running -= 1
            await prober.forget(target.hostname)
        return found, time.monotonic() - began  # real: as above


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _parameters(request: web.Request) -> Mapping[str, str]:
    """Return the parameters of a request, each given once. Raise Refusal, without a value: it may be a secret."""
    given = request.query
    for name in given:
        if name not in PARAMETERS:
            raise Refusal(400, "only the parameters target and module are read; what logs in stands in the module")
        if len(given.getall(name)) > 1:
            raise Refusal(400, f"the parameter {name} is given more than once")
    return given


def _scrape_seconds(request: web.Request) -> float:
    """Return how long the answer may take for the scraper. Raise Refusal."""
    text = request.headers.get(SCRAPE_TIMEOUT)
    if text is None:
        return float("inf")
    try:
        seconds = float(text) if may_be_number(text) else 0.0
        if not seconds > 0:
            raise ValueError
    except ValueError:
        raise Refusal(400, f"{SCRAPE_TIMEOUT}: expected a number of seconds") from None
    return max(LEAST_SECONDS, seconds - MARGIN_SECONDS)


def _comment(found: Capacity | ProbeFailure) -> bytes:
    """Return why a probe failed and what to do, for people who ask by hand; Prometheus skips comments."""
    if isinstance(found, Capacity):
        return b""
    return f"# {on_one_line(found.message)}\n# what to do: {found.advice}\n".encode()


def series_of(found: Capacity | ProbeFailure, seconds: float) -> Iterator[Metric]:
    """Yield the metrics of a probe that took `seconds`."""
    succeeded = isinstance(found, Capacity)
    yield GaugeMetricFamily("probe_success", "Whether the probe succeeded.", int(succeeded))
    yield GaugeMetricFamily("probe_duration_seconds", "How long it took, waits for its turn included.", seconds)
    phases = GaugeMetricFamily("probe_phase_duration_seconds", "How long each of its phases took.", labels=["phase"])
    for phase, milliseconds in found.phases.items():
        phases.add_metric([phase], milliseconds / 1000)
    yield phases
    if isinstance(found, Capacity):
        yield from _of_capacity(found)
    else:
        failing = GaugeMetricFamily("probe_failing", "1 for the reason why it failed.", labels=["reason"])
        failing.add_metric([found.reason], 1)
        yield failing


def _of_capacity(found: Capacity) -> Iterator[Metric]:
    yield GaugeMetricFamily("probe_total_bytes", "The capacity of the module's url on the host.", found.total)
    yield GaugeMetricFamily("probe_available_bytes", "Its available capacity.", found.available)
    if found.inodes is not None:
        yield GaugeMetricFamily("probe_inodes", "The inodes of its file system.", found.inodes.total)
        yield GaugeMetricFamily("probe_inodes_available", "Those that are free.", found.inodes.available)
    if found.read_only is not None:
        yield GaugeMetricFamily("probe_read_only", "Whether its file system is read-only.", int(found.read_only))
    method = GaugeMetricFamily("probe_method", "1 for the method that read the capacity.", labels=["method"])
    method.add_metric([found.method], 1)
    yield method
