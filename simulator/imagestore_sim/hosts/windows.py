"""When which fault was on which host, and when hosts were shut down, of all hosts together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from imagestore_sim.faults import Fault
from imagestore_sim.hosts.host import SimulatedHost


@dataclass(frozen=True, slots=True)
class HostWindow:
    """A fault on a host, or that it was shut down (`fault` is None), from a time to another; None: it goes on.

    Times are in epoch seconds, whole milliseconds: so they can be compared with those of events.
    """

    host: str
    began: float
    ended: float | None
    fault: Fault | None
    number: int = 0


def host_windows(hosts: Iterable[SimulatedHost]) -> list[HostWindow]:
    """Return the faults and shutdowns that hosts remember, in the order in which they began."""
    found = [window for host in hosts for window in _of_host(host)]
    return [_in_milliseconds(one) for one in sorted(found, key=lambda one: one.began)]


def _of_host(host: SimulatedHost) -> Iterator[HostWindow]:
    for past in host.faults.past:
        yield HostWindow(host.name, past.applied_at, past.healed_at, past.fault, past.number)
    for applied in host.faults:
        yield HostWindow(host.name, applied.applied_at, None, applied.fault, applied.number)
    for stop in host.stops:
        yield HostWindow(host.name, stop.since, stop.until, None)


def _in_milliseconds(window: HostWindow) -> HostWindow:
    ended = None if window.ended is None else int(window.ended * 1000) / 1000
    return replace(window, began=int(window.began * 1000) / 1000, ended=ended)
