"""What tests of the life cycle look at: events, and when the prober was asked for what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import pytest

from imagestore_sim.backup_storage.events import DISCONNECTED, STATUS_CHANGED, Event, Subscription
from imagestore_sim.backup_storage.records import NewStorage, Storage
from imagestore_sim.lab import Lab
from imagestore_sim.probe import Capacity, Layout, ProbeFailure, Target

UUID = "0123456789ab4def8123456789abcdef"
Outcome = Capacity | ProbeFailure
Answer = Callable[[Target, bool], Awaitable[Outcome | None]]


def new(hostname: str, **values: object) -> NewStorage:
    """A storage to be added."""
    defaults = {"uuid": UUID, "name": hostname, "url": "/zs", "username": "root", "password": "password"}
    return NewStorage(**(defaults | {"hostname": hostname} | values))  # type: ignore[arg-type]


def drain(listener: Subscription) -> list[Event]:
    """The events that have come so far."""
    return [listener.get_nowait() for _ in range(listener.qsize())]


def moves(events: list[Event]) -> list[tuple[object, object]]:
    """The changes of status among them."""
    return [(one.content["oldStatus"], one.content["newStatus"]) for one in events if one.path == STATUS_CHANGED]


def disconnections(events: list[Event]) -> list[str]:
    """Whose disconnection was told."""
    return [one.resource_uuid for one in events if one.path == DISCONNECTED]


async def storage(lab: Lab, name: str = "imagestore-1") -> Storage:
    """A storage as it is now."""
    return next(one for one in await lab.node.storages.records.tracked() if name in (one.name, one.uuid))


def gaps(times: list[float]) -> list[float]:
    """The seconds between one and the next."""
    return [later - earlier for earlier, later in pairwise(times)]


@dataclass
class Probes:
    """Every probe that the lab's node has asked for: when it began, of which host, and whether with a new login.

    `answer` may answer in place of the host; None lets the host itself be asked.
    """

    lab: Lab
    asked: list[tuple[float, str, bool]] = field(default_factory=list)
    answer: Answer | None = None
    at_once: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    most_at_once: int = 0

    def pings(self, hostname: str = "imagestore-1") -> list[float]:
        """When a host was pinged."""
        return [time for time, host, fresh in self.asked if host == hostname and not fresh]

    def connects(self, hostname: str = "imagestore-1") -> list[float]:
        """When a host was connected."""
        return [time for time, host, fresh in self.asked if host == hostname and fresh]


@pytest.fixture
def probes(imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Probes:
    """The probes from here on."""
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
