"""What happened to one storage during a recording, as the steps of a scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from imagestore_sim.backup_storage.events import CAPACITY_CHANGED, DELETED, DISCONNECTED, PROBE_FAILED, STATUS_CHANGED
from imagestore_sim.reasons import Reason
from imagestore_sim.scenario.recording.image_story import BitsOnDisk
from imagestore_sim.scenario.recording.recording import Event, Recording
from imagestore_sim.scenario.recording.storage_steps import MOMENT, Step, StorageSteps

LONGEST_PING = 15.0
"""Seconds that a ping may take to fail."""
FOLDERS = 2**20
"""Bytes that the folders and the metadata of images may take beside their files."""
LONGEST_TRANSACTION = 0.05
"""Seconds that may lie between the events of one transaction."""


@dataclass(frozen=True, slots=True)
class StorageStory:
    """One storage of a recording."""

    recording: Recording
    storage: Mapping[str, Any]
    """Its inventory, when the recording began or the storage was added."""
    name: str
    """Its name in the scenario."""
    added: bool = False
    """Whether it was added during the recording."""
    host_is_known: bool = False
    """Whether a story before this one is about a storage on the same host."""
    images_before: int = 0
    """Bytes of the images that the scenario adds to it in the beginning, since they were there."""

    @property
    def host(self) -> str:
        """The name of its host."""
        return str(self.storage["hostname"])

    def host_spec(self) -> dict[str, Any]:
        """Return the host as it was in the beginning, in the format of a scenario."""
        total, available = self._first_capacity()
        used = max(0, total - available - self.images_before)
        return {"size": total, "used": used, "username": self.storage["username"],
                "port": self.storage["sshPort"]}  # fmt: skip

    def _first_capacity(self) -> tuple[int, int]:
        """Return total and available in the beginning; of a storage without any, those that were measured first."""
        total, available = self.storage["totalCapacity"], self.storage["availableCapacity"]
        if self.added:
            total, available = 0, 0
        for event in self._events():
            if not total and event["path"] == CAPACITY_CHANGED:
                total, available = event["content"]["totalCapacity"], event["content"]["availableCapacity"]
        return (total or 2**40), available if total else 2**40

    def record(self) -> dict[str, Any]:
        """Return the storage in the format of a scenario."""
        return {"name": self.name, "hostname": self.host, "url": self.storage["url"],
                "username": self.storage["username"], "port": self.storage["sshPort"]}  # fmt: skip

    def _events(self) -> list[Event]:
        return [one for one in self.recording.events if one["resourceUuid"] == self.storage["uuid"]]

    def steps(self) -> list[Step]:
        """Return the steps in their order."""
        steps = StorageSteps(self.name, self.host, str(self.storage["url"]))
        events = self._events()
        disk = _Disk(self.recording, str(self.storage["uuid"]))
        if self.added:
            self._add_storage(steps, max(0.0, events[0]["time"] - self.recording.began))
        elif self.storage["status"] != "Connected" and not _is_connected_next(self.storage, events):
            steps.begin_fault(0.0, _next_reason(events) or Reason.REFUSED)
            steps.reconnect(MOMENT, fails=True)
        for number, event in enumerate(events):
            at = max(0.0, event["time"] - self.recording.began)
            if event["path"] == STATUS_CHANGED:
                self._change_status(steps, at, events[number:], disk)
            elif event["path"] == CAPACITY_CHANGED and not (number and _came_with_connect(events[number - 1], event)):
                disk.change(steps, steps.before(at, self.recording.ping_interval), event)
                steps.last = at
            elif event["path"] == DELETED:
                steps.end_fault(steps.just_before(at))
                steps.delete_storage(max(steps.last, at))
        return steps.all

    def _add_storage(self, steps: StorageSteps, at: float) -> None:
        if self.host_is_known:
            total, available = self._first_capacity()
            steps.resize(at, total)
            steps.fill(at, total - available)
        steps.add_storage(at, self.storage)

    def _change_status(self, steps: StorageSteps, at: float, rest: Sequence[Event], disk: _Disk) -> None:
        """Add what leads to a change of status; `rest` are the events from that change on."""
        content = rest[0]["content"]
        old, new = content["oldStatus"], content["newStatus"]
        if new == "Connecting":
            outcome = next((one for one in rest[1:] if one["path"] == STATUS_CHANGED), None)
            fails = outcome is not None and outcome["content"]["newStatus"] == "Disconnected"
            if fails:
                steps.begin_fault(steps.just_before(at), _next_reason(rest[1:]) or Reason.REFUSED)
            else:
                steps.end_fault(steps.just_before(at))
                disk.change_for_connect(steps, steps.just_before(at), rest[1:])
            steps.reconnect(at, fails=fails)
        elif (old, new) == ("Connected", "Disconnected"):
            since = steps.before(at, self.recording.ping_interval + LONGEST_PING)
            steps.begin_fault(since, _next_reason(rest) or Reason.REFUSED)
            steps.expect_disconnected(since, self.recording.ping_interval + 2 * LONGEST_PING)
            steps.last = at


class _Disk:
    """Follows how full a disk is, so that what images have taken is not filled a second time."""

    def __init__(self, recording: Recording, storage_uuid: str) -> None:
        self._bits = BitsOnDisk(recording, storage_uuid)
        self._since = recording.began
        """When its use was last known: not while images came or went."""
        self._used: int | None = None

    def change_for_connect(self, steps: StorageSteps, at: float, rest: Sequence[Event]) -> None:
        """Change the disk to what the connect will measure: that capacity comes right after the status."""
        for before, event in pairwise(rest):
            if before["path"] == STATUS_CHANGED:
                if _came_with_connect(before, event):
                    self.change(steps, at, event)
                return

    def change(self, steps: StorageSteps, at: float, event: Event) -> None:
        """Change the disk to a capacity that was measured, but for what images have changed."""
        content = event["content"]
        total, used = content["totalCapacity"], content["totalCapacity"] - content["availableCapacity"]
        if not content["oldTotalCapacity"]:
            self._used = used
            return  # the first measurement: the disk is like that from the beginning
        if total != content["oldTotalCapacity"]:
            steps.resize(at, total)
        if not self._bits.is_used or self._is_changed_by_others(event, used):
            steps.fill(at, used)

    def _is_changed_by_others(self, event: Event, used: int) -> bool:
        content = event["content"]
        before = content["oldTotalCapacity"] - content["oldAvailableCapacity"] if self._used is None else self._used
        grown = self._bits.change(self._since, event["time"])
        if grown is None:
            self._used = before
            return False
        self._used, self._since = used, event["time"]
        return abs(used - before - grown) >= FOLDERS


def _is_connected_by(event: Event) -> bool:
    """Return whether the event is the success of a connect."""
    return event["path"] == STATUS_CHANGED and bool(event["content"]["newStatus"] == "Connected")


def _came_with_connect(before: Event, event: Event) -> bool:
    """Return whether a capacity is what a connect has measured: both are written in one transaction."""
    together = event["time"] - before["time"] < LONGEST_TRANSACTION
    return event["path"] == CAPACITY_CHANGED and _is_connected_by(before) and together


def _is_connected_next(storage: Mapping[str, Any], events: Sequence[Event]) -> bool:
    """Return whether a connect was under way when the recording began, and succeeded."""
    moves = [one for one in events if one["path"] == STATUS_CHANGED]
    return storage["status"] == "Connecting" and bool(moves) and _is_connected_by(moves[0])


def reason_of(event: Event) -> str:
    """Return why a probe failed or a storage was disconnected; empty for other events."""
    reason = event["content"].get("reason")
    return str(reason.get("reason", "")) if isinstance(reason, Mapping) else str(reason or "")


def _next_reason(events: Sequence[Event]) -> str:
    """Return the reason of the next probe that failed."""
    return next((reason_of(one) for one in events if one["path"] in (PROBE_FAILED, DISCONNECTED)), "")
