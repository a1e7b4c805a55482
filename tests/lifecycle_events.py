"""Storages to add, and what their events say, for tests of the life cycle."""

from __future__ import annotations

from itertools import pairwise

from imagestore_sim.backup_storage.events import DISCONNECTED, STATUS_CHANGED, Event, Subscription
from imagestore_sim.backup_storage.records import NewStorage, Storage
from imagestore_sim.lab import Lab

UUID = "0123456789ab4def8123456789abcdef"


def new(hostname: str, **values: object) -> NewStorage:
    """Return a storage to add."""
    defaults = {"uuid": UUID, "name": hostname, "url": "/zs", "username": "root", "password": "password"}
    return NewStorage(**(defaults | {"hostname": hostname} | values))  # type: ignore[arg-type]


def drain(listener: Subscription) -> list[Event]:
    """Return the events that have arrived so far."""
    return [listener.get_nowait() for _ in range(listener.qsize())]


def moves(events: list[Event]) -> list[tuple[object, object]]:
    """Return the changes of status among events, each as (old, new)."""
    return [(one.content["oldStatus"], one.content["newStatus"]) for one in events if one.path == STATUS_CHANGED]


def disconnections(events: list[Event]) -> list[str]:
    """Return the uuids of the storages that events report as disconnected."""
    return [one.resource_uuid for one in events if one.path == DISCONNECTED]


async def storage(lab: Lab, name: str = "imagestore-1") -> Storage:
    """Return the storage with that name or uuid as it is now."""
    return next(one for one in await lab.node.storages.records.tracked() if name in (one.name, one.uuid))


def gaps(times: list[float]) -> list[float]:
    """Return the seconds between each time and the next."""
    return [later - earlier for earlier, later in pairwise(times)]
