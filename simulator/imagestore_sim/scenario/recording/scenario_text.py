"""Writes a recording as a scenario, in which the storages go through the same statuses and capacities.

A ping that fails shows that a host is gone, and a reason, but not since when: so a fault of a kind that has this reason
begins one ping before, and a reconnect is made when one was made. Times may differ by a ping.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import yaml

from imagestore_sim.backup_storage.events import (
    ADDED,
    CAPACITY_CHANGED,
    DELETED,
    DISCONNECTED,
    PROBE_FAILED,
    STATUS_CHANGED,
)
from imagestore_sim.backup_storage.global_config import AUTO_RECONNECT, PING_INTERVAL
from imagestore_sim.backup_storage.records import IMAGE_STORE_TYPE
from imagestore_sim.faults import Fault, Noticed, stand_ins
from imagestore_sim.faults.network import Cut
from imagestore_sim.reasons import Reason
from imagestore_sim.scenario.recording.recording import Event, Recording

LONGEST_PING = 15.0
"""Seconds that a ping may take to fail."""
MOMENT = 0.001
"""Seconds between two steps whose order matters."""
LONGEST_TRANSACTION = 0.05
"""Seconds that may lie between the events of one transaction."""


def scenario_text(recording: Recording) -> str:
    """Return a recording as the text of a scenario file."""
    stories = _stories(recording)
    steps = sorted((step for story in stories for step in story.steps()), key=lambda step: step[0])
    hosts: dict[str, dict[str, Any]] = {}
    for story in stories:
        hosts.setdefault(story.host, story.host_spec())
    ends = max(recording.ended - recording.began, steps[-1][0] if steps else 0) + 2 * recording.ping_interval
    content = {
        "title": f"What happened on {recording.source}",
        "description": "Recorded: faults begin one ping before they were noticed, reconnects are made when one was.",
        "hosts": hosts or {"nobody": {}},
        "storages": [story.record() for story in stories if not story.added],
        "settings": {PING_INTERVAL.name: f"{recording.ping_interval}s", AUTO_RECONNECT.name: False},
        "timeline": [{"at": f"{at:.3f}s", **step} for at, step in steps] or [{"at": "0s", "note": "nothing happened"}],
        "ends": f"{ends:.0f}s",
    }
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


def _stories(recording: Recording) -> list[_Story]:
    """Return a story for each storage that was there when the recording began, then for each that was added."""
    added = [
        one["content"] | {"uuid": one["resourceUuid"]}
        for one in recording.events
        if one["path"] == ADDED and one["content"]["type"] == IMAGE_STORE_TYPE
    ]
    later = {one["uuid"] for one in added}
    first = [one for one in recording.storages if one["uuid"] not in later]
    stories: list[_Story] = []
    for number, storage in enumerate((*first, *added)):
        name = _name(str(storage["name"]), {one.name for one in stories})
        known = storage["hostname"] in {one.host for one in stories}
        stories.append(_Story(recording, storage, name, added=number >= len(first), host_is_known=known))
    return stories


def _name(text: str, taken: Collection[str]) -> str:
    """Return a name for a storage that a step can refer to, unlike those that are taken."""
    name = plain = re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-") or "storage"
    number = 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name


Step = tuple[float, dict[str, Any]]


@dataclass(slots=True)
class _Story:
    """What happened to one storage, as steps of a timeline."""

    recording: Recording
    storage: Mapping[str, Any]
    name: str
    added: bool = False
    """Whether it was added during the recording."""
    host_is_known: bool = False
    """Whether a story before this one is about a storage on the same host."""
    _steps: list[Step] = field(default_factory=list)
    _faults: tuple[type[Fault], ...] = ()
    _last: float = 0.0

    @property
    def host(self) -> str:
        return str(self.storage["hostname"])

    def host_spec(self) -> dict[str, Any]:
        """Return the host as it was in the beginning, in the format of a scenario."""
        total, available = self._first_capacity()
        return {"size": total, "used": total - available, "username": self.storage["username"],
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
        """Return the steps in their order, each with its time in seconds since the recording began."""
        events = self._events()
        if self.added:
            self._add_storage(max(0.0, events[0]["time"] - self.recording.began))
        elif self.storage["status"] != "Connected" and not _is_connected_next(self.storage, events):
            reasons = [_reason(one) for one in events if one["path"] in (PROBE_FAILED, DISCONNECTED)]
            self._begin_fault(0.0, next(iter(reasons), "") or Reason.REFUSED)
            self._reconnect(MOMENT, fails=True)
        for number, event in enumerate(events):
            at = max(0.0, event["time"] - self.recording.began)
            if event["path"] == STATUS_CHANGED:
                self._status_changed(at, event["content"], events[number:])
            elif event["path"] == CAPACITY_CHANGED and not (number and _came_with_connect(events[number - 1], event)):
                self._capacity_changed(at, event["content"])
            elif event["path"] == DELETED:
                self._end_fault(max(self._last, at - MOMENT))
                call = {"method": "DELETE", "path": f"/backup-storage/${self.name}"}
                self._add(max(self._last, at), {"call": call})
        return self._steps

    def _add_storage(self, at: float) -> None:
        if self.host_is_known:
            total, available = self._first_capacity()
            self._add(at, {"resize": {"host": self.host, "size": total}})
            self._add(at, {"fill": {"host": self.host, "to": total - available}})
        params = {"name": self.name, "hostname": self.host, "url": self.storage["url"], "password": "password",
                  "username": self.storage["username"], "sshPort": self.storage["sshPort"]}  # fmt: skip
        call = {"method": "POST", "path": "/backup-storage/image-store", "as": self.name, "body": {"params": params}}
        self._add(at, {"call": call})

    def _status_changed(self, at: float, content: Mapping[str, Any], rest: Sequence[Event]) -> None:
        old, new = content["oldStatus"], content["newStatus"]
        if new == "Connecting":
            outcome = next((one for one in rest[1:] if one["path"] == STATUS_CHANGED), None)
            failed = outcome is not None and outcome["content"]["newStatus"] == "Disconnected"
            if failed:
                self._begin_fault(max(self._last, at - MOMENT), _next_reason(rest[1:]) or Reason.REFUSED)
            else:
                self._end_fault(max(self._last, at - MOMENT))
                self._capacity_of_connect(max(self._last, at - MOMENT), rest[1:])
            self._reconnect(at, fails=failed)
        elif (old, new) == ("Connected", "Disconnected"):
            since = self._before(at, self.recording.ping_interval + LONGEST_PING)
            self._begin_fault(since, _next_reason(rest) or Reason.REFUSED)
            within = f"{self.recording.ping_interval + 2 * LONGEST_PING:g}s"
            self._add(since, {"eventually": {"storage": self.name, "status": "Disconnected", "within": within}})
            self._last = at

    def _capacity_of_connect(self, at: float, rest: Sequence[Event]) -> None:
        """Change the disk to what the connect will measure: that capacity comes right after the status."""
        for before, event in pairwise(rest):
            if before["path"] == STATUS_CHANGED:
                if _came_with_connect(before, event):
                    self._change_disk(at, event["content"])
                return

    def _capacity_changed(self, at: float, content: Mapping[str, Any]) -> None:
        self._change_disk(self._before(at, self.recording.ping_interval), content)
        self._last = at

    def _change_disk(self, at: float, content: Mapping[str, Any]) -> None:
        total, available = content["totalCapacity"], content["availableCapacity"]
        if not content["oldTotalCapacity"]:
            return  # the first measurement: the disk is like that from the beginning
        if total != content["oldTotalCapacity"]:
            self._add(at, {"resize": {"host": self.host, "size": total}})
        self._add(at, {"fill": {"host": self.host, "to": total - available}})

    def _before(self, at: float, seconds: float) -> float:
        """Return the time `seconds` before `at`, but after the last step."""
        return max(at - seconds, self._last + MOMENT if self._last else 0.0)

    def _begin_fault(self, at: float, reason: str) -> None:
        kinds = _kinds_for(reason)
        if kinds == self._faults:
            return
        self._end_fault(at)
        if any(kind.traits.noticed is Noticed.AT_LOGIN for kind in kinds):
            self._add(at, {"fault": {"host": self.host, "kind": Cut.kind}})
        for kind in kinds:
            where = {"path": self.storage["url"]} if kind.is_at_path() else {}
            self._add(at, {"fault": {"host": self.host, "kind": kind.kind, **where, **kind.traits.stands_with}})
        self._faults = kinds

    def _end_fault(self, at: float) -> None:
        for kind in self._faults:
            self._add(at, {"heal": {"host": self.host, "kind": kind.kind}})
        self._faults = ()

    def _reconnect(self, at: float, *, fails: bool) -> None:
        call: dict[str, Any] = {
            "method": "PUT",
            "path": f"/backup-storage/${self.name}/actions",
            "body": {"reconnectBackupStorage": {}},
        }
        self._add(at, {"call": {**call, "error": "BS.1500"} if fails else call})

    def _add(self, at: float, step: dict[str, Any]) -> None:
        self._steps.append((at, step))
        self._last = max(self._last, at)


def _kinds_for(reason: str) -> tuple[type[Fault], ...]:
    """Return the kinds that stand for a reason; those of `refused` for one that is not known here."""
    known = reason if reason in set(Reason) else Reason.REFUSED
    return tuple(stand_ins(Reason(known)))


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


def _reason(event: Event) -> str:
    reason = event["content"].get("reason")
    return str(reason.get("reason", "")) if isinstance(reason, Mapping) else str(reason or "")


def _next_reason(events: Sequence[Event]) -> str:
    """Return the reason of the next probe that failed."""
    return next((_reason(one) for one in events if one["path"] in (PROBE_FAILED, DISCONNECTED)), "")
