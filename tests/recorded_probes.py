"""The `probes` fixture: the probes that a lab's node has started."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from imagestore_sim.lab import Lab
from imagestore_sim.probe import Capacity, Layout, ProbeFailure, Target

Outcome = Capacity | ProbeFailure
Answer = Callable[[Target, bool], Awaitable[Outcome | None]]


@dataclass
class Probes:
    """The probes that the lab's node has started: their times, their hosts, and whether each was a new login.

    `answer` may answer in place of the host; if it returns None, the host is probed.
    """

    lab: Lab
    asked: list[tuple[float, str, bool]] = field(default_factory=list)
    answer: Answer | None = None
    at_once: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    most_at_once: int = 0

    def pings(self, hostname: str = "imagestore-1") -> list[float]:
        """Return the times of the pings of a host, in monotonic seconds."""
        return [time for time, host, fresh in self.asked if host == hostname and not fresh]

    def connects(self, hostname: str = "imagestore-1") -> list[float]:
        """Return the times of the connects of a host, in monotonic seconds."""
        return [time for time, host, fresh in self.asked if host == hostname and fresh]


@pytest.fixture
def probes(imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Probes:
    """Return the probes that start from now on."""
    prober = imagestore_lab.node.foundation.prober
    original = prober.probe
    probes = Probes(imagestore_lab)

    async def probe(target: Target, *, layout: Layout = Layout.ANY, fresh: bool = False) -> Outcome:
        probes.asked.append((imagestore_lab.clock.monotonic(), target.hostname, fresh))
        probes.at_once[fresh] += 1
        probes.most_at_once = max(probes.most_at_once, probes.at_once[False])
        try:
            found = None if probes.answer is None else await probes.answer(target, fresh)
            return await original(target, layout=layout, fresh=fresh) if found is None else found
        finally:
            probes.at_once[fresh] -= 1

    monkeypatch.setattr(prober, "probe", cast("object", probe))
    return probes
