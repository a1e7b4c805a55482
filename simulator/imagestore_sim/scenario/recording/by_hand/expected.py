"""What was seen of the storages between the steps of a story, as expectations that hold when it is played again.

A fault is noticed by the next ping, whose moment differs from one run to the next. So a status is expected only where
it follows from what was done: Disconnected while a fault lasts that disconnects, Connected when none does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imagestore_sim.backup_storage import image_events
from imagestore_sim.backup_storage.events import ADDED, CAPACITY_CHANGED, DELETED, STATUS_CHANGED
from imagestore_sim.faults import Effect
from imagestore_sim.hosts.windows import HostWindow
from imagestore_sim.scenario.recording.recording import Event
from imagestore_sim.scenario.recording.storage_story import StorageStory
from imagestore_sim.units import duration_text

CONNECTED, DISCONNECTED = "Connected", "Disconnected"
MOMENT = 1e-6
IMAGES = (image_events.ADDED, image_events.REMOVED, image_events.BITS_REMOVED, image_events.STATUS_CHANGED)
NEARLY_FULL = 50
"""One byte of this many is too little for a comparison that allows a hundredth."""


@dataclass(slots=True)
class Expected:
    """Finds what can be expected at a time of a story."""

    stories: Sequence[StorageStory]
    windows: Sequence[HostWindow]
    events: Sequence[Event]
    began: float
    within: float
    """Seconds within which a ping has noticed what was done, and a reconnect has followed."""
    _unsure: set[str] = field(default_factory=set)
    """Names of storages of which it is not known yet that the node has noticed what was done to their hosts."""

    def changed(self, hosts: Sequence[str]) -> None:
        """Note that something was done to hosts."""
        names = {one.lower() for one in hosts}
        self._unsure |= {one.name for one in self.stories if one.host.lower() in names}

    def between(self, since: float, until: float, *, settled: bool) -> Iterator[dict[str, Any]]:
        """Yield expectations for the end of the time between two steps.

        `settled`: also that the node has noticed all that was done, as the next step needs it.
        """
        by_status: dict[str, list[str]] = {}
        for story in self.stories:
            status = self._status(story, since, until, settled=settled)
            if status is not None:
                by_status.setdefault(status, []).append(story.name)
                self._unsure.discard(story.name)
        for status, names in by_status.items():
            yield self._eventually(names, {"status": status})
        for story in self.stories:
            if (capacity := self._capacity(story, since, until)) is not None:
                yield self._eventually([story.name], capacity)

    def _eventually(self, names: Sequence[str], what: Mapping[str, Any]) -> dict[str, Any]:
        storage = names[0] if len(names) == 1 else list(names)
        return {"eventually": {"storage": storage, **what, "within": duration_text(self.within)}}

    def _status(self, story: StorageStory, since: float, until: float, *, settled: bool) -> str | None:
        """Return the status that a storage has at the end, if it follows from what was done."""
        before = [one for one in self._of(story, STATUS_CHANGED) if one["time"] < until]
        moves = [one for one in before if one["content"]["newStatus"] in (CONNECTED, DISCONNECTED)]
        has_moved = any(one["time"] >= since for one in moves)
        if not (has_moved or (settled and story.name in self._unsure)) or not self._exists(story, until):
            return None
        status = str(moves[-1]["content"]["newStatus"]) if moves else str(story.storage["status"])
        faults = [one for one in self.windows if one.host.lower() == story.host.lower() and _lasts(one, until - MOMENT)]
        disconnects = any(self._disconnects(one, story) for one in faults)
        if status == DISCONNECTED and disconnects:
            return DISCONNECTED
        return CONNECTED if status == CONNECTED and not disconnects and (has_moved or not faults) else None

    def _disconnects(self, window: HostWindow, story: StorageStory) -> bool:
        """Return whether a storage was disconnected while a fault lasted, or by one from before the story."""
        during = [one for one in self._of(story, STATUS_CHANGED) if _lasts(window, one["time"])]
        if any(one["content"]["newStatus"] == DISCONNECTED for one in during):
            return True
        return window.began < self.began and not during and story.storage["status"] == DISCONNECTED

    def _exists(self, story: StorageStory, at: float) -> bool:
        added = [one["time"] for one in self._of(story, ADDED)]
        gone = [one["time"] for one in self._of(story, DELETED)]
        return (not story.added or bool(added and added[0] < at)) and not (gone and gone[0] < at)

    def _of(self, story: StorageStory, path: str) -> list[Event]:
        return [one for one in self.events if one["path"] == path and one["resourceUuid"] == story.storage["uuid"]]

    # Capacities

    def _capacity(self, story: StorageStory, since: float, until: float) -> dict[str, Any] | None:
        """Return the capacity that was measured last, if only what was done to the disk has changed it."""
        measured = [one for one in self._of(story, CAPACITY_CHANGED) if since <= one["time"] < until]
        filled = [one for one in self.windows if one.host.lower() == story.host.lower() and _is_of_disk(one)]
        if not measured or not filled or self._has_images(story) or not self._exists(story, until):
            return None
        if any(one.began < self.began or _takes_time(one) for one in filled):
            return None
        if not any(since - MOMENT <= moment <= measured[-1]["time"] for one in filled for moment in _moments(one)):
            return None
        content = measured[-1]["content"]
        total, available = int(content["totalCapacity"]), int(content["availableCapacity"])
        near = f"~ {available}" if available * NEARLY_FULL > total else "< 3%"
        resized = content["totalCapacity"] != content["oldTotalCapacity"]
        return {**({"totalCapacity": total} if resized else {}), "availableCapacity": near}

    def _has_images(self, story: StorageStory) -> bool:
        """Return whether images have come to a storage, or gone from it: they take space as well."""
        uuid = str(story.storage["uuid"])
        named = [one["content"] for one in self.events if one["path"] in IMAGES]
        return any(uuid in (*one.get("backupStorageUuids", ()), one.get("backupStorageUuid")) for one in named)


def _lasts(window: HostWindow, at: float) -> bool:
    return window.began <= at and (window.ended is None or window.ended > at)


def _is_of_disk(window: HostWindow) -> bool:
    return window.fault is not None and window.fault.traits.effect is Effect.NEW_STATE


def _takes_time(window: HostWindow) -> bool:
    return bool(getattr(window.fault, "over", 0.0))


def _moments(window: HostWindow) -> list[float]:
    return [window.began, *([] if window.ended is None else [window.ended])]
