"""What happened on a running node, written down as a scenario that replays the same statuses and capacities.

A ping tells that a host was gone, not since when, and nothing of why but a reason: so a fault of a kind that has this
reason begins one ping before, and a reconnect is made when one was made. What the storages went through is the same,
moments may differ by a ping.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import aiohttp
import yaml

from imagestore_sim.backup_storage.events import (
    ADDED,
    CAPACITY_CHANGED,
    DELETED,
    DISCONNECTED,
    PROBE_FAILED,
    STATUS_CHANGED,
)
from imagestore_sim.backup_storage.events import Event as Told
from imagestore_sim.backup_storage.global_config import AUTO_RECONNECT, PING_INTERVAL
from imagestore_sim.backup_storage.records import IMAGE_STORE_TYPE
from imagestore_sim.faults import Fault, Noticed, stand_ins
from imagestore_sim.faults.network import Cut
from imagestore_sim.reasons import Reason
from imagestore_sim.scenario.worlds.event_stream import EventsMissed, open_stream
from imagestore_sim.tasks import until_done_or_set
from imagestore_sim.testing.client import Client

SLACK = 15.0
"""Seconds that a ping may take to fail."""
MOMENT = 0.001
AT_ONCE = 0.05
"""Seconds between events that were written in one transaction, at most."""
Event = Mapping[str, Any]
"""As the stream of events has it."""


@dataclass(slots=True)
class Recording:
    """What is known of a node: its storages when the time began, and all events until it ended (epoch seconds)."""

    url: str
    began: float
    ended: float
    interval: int
    storages: Sequence[Mapping[str, Any]]
    events: Sequence[Event] = ()


async def follow(
    url: str, stop: asyncio.Event, *, account: str, password: str, lab_token: str | None = None
) -> Recording:
    """Follow a node's events until `stop`, or until it ends the stream.

    Raises CallFailed, aiohttp.ClientError, TimeoutError, and EventsMissed when there is a hole in them.
    """
    async with Client(url) as client, open_stream(url, lab_token=lab_token) as stream:
        await client.log_in(account, password)
        storages = await client.query("/backup-storage/image-store")
        conditions = (f"name={PING_INTERVAL.name}", f"category={PING_INTERVAL.category}")
        options = await client.query("/global-configurations", *conditions)
        try:
            interval = int(options[0]["value"])
        except (IndexError, KeyError, TypeError, ValueError):
            raise ValueError("does not answer as a management node does: it has no ping.interval") from None
        recording = Recording(url, await _time_of(client), 0.0, interval, storages)
        events: list[Event] = []
        reading = asyncio.ensure_future(_read_into(events, stream))
        await until_done_or_set(reading, stop)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        error = None if reading.cancelled() else reading.exception()
        if error is not None and (isinstance(error, EventsMissed) or not events):
            raise error
        recording.events = events
        try:
            recording.ended = await _time_of(client)
        except (aiohttp.ClientError, OSError):  # it is gone: what was recorded is kept
            recording.ended = max((one["time"] for one in events), default=recording.began)
    return recording


async def _time_of(client: Client) -> float:
    """The node's own time, which may be virtual."""
    answer = await client.call("PUT", "/management-nodes/actions", {"getCurrentTime": {}})
    try:
        milliseconds: int = answer["currentTime"]["MillionSeconds"]
        return milliseconds / 1000
    except (KeyError, TypeError):
        raise ValueError("does not answer as a management node does: it tells no time") from None


async def _read_into(events: list[Event], stream: AsyncIterator[Told]) -> None:
    async for event in stream:
        events.append(event.to_json())


def scenario_of(recording: Recording) -> str:
    """The scenario, as the text of a file."""
    stories = _stories(recording)
    steps = sorted((step for story in stories for step in story.tell()), key=lambda step: step[0])
    hosts: dict[str, dict[str, Any]] = {}
    for story in stories:
        hosts.setdefault(story.host, story.machine())
    content = {
        "title": f"What happened on {recording.url}",
        "description": "Recorded: faults begin one ping before they were noticed, reconnects are made when one was.",
        "hosts": hosts or {"nobody": {}},
        "storages": [story.record() for story in stories if not story.added],
        "settings": {PING_INTERVAL.name: f"{recording.interval}s", AUTO_RECONNECT.name: False},
        "timeline": [{"at": f"{at:.3f}s", **step} for at, step in steps] or [{"at": "0s", "note": "nothing happened"}],
        "ends": f"{max(recording.ended - recording.began, steps[-1][0] if steps else 0) + 2 * recording.interval:.0f}s",
    }
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


def _stories(recording: Recording) -> list[_Story]:
    """One for each storage that was there when the recording began, then one for each that was added."""
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
    """A name for a storage that a step can refer to, unlike those that are taken."""
    name = plain = re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-") or "storage"
    number = 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name


Step = tuple[float, dict[str, Any]]


@dataclass(slots=True)
class _Story:
    """What one storage went through."""

    recording: Recording
    storage: Mapping[str, Any]
    name: str
    added: bool = False
    """Whether it was added in the course of the recording."""
    host_is_known: bool = False
    """Whether another storage was on its host before."""
    _steps: list[Step] = field(default_factory=list)
    _faults: tuple[type[Fault], ...] = ()
    _last: float = 0.0

    @property
    def host(self) -> str:
        return str(self.storage["hostname"])

    def machine(self) -> dict[str, Any]:
        """The host, as it was in the beginning."""
        total, available = self._first_capacity()
        return {"size": total, "used": total - available, "username": self.storage["username"],
                "port": self.storage["sshPort"]}  # fmt: skip

    def _first_capacity(self) -> tuple[int, int]:
        """One that was never measured before is what it was measured to be first."""
        total, available = self.storage["totalCapacity"], self.storage["availableCapacity"]
        if self.added:
            total, available = 0, 0
        for event in self._events():
            if not total and event["path"] == CAPACITY_CHANGED:
                total, available = event["content"]["totalCapacity"], event["content"]["availableCapacity"]
        return (total or 2**40), available if total else 2**40

    def record(self) -> dict[str, Any]:
        """The storage, as a scenario has it."""
        return {"name": self.name, "hostname": self.host, "url": self.storage["url"],
                "username": self.storage["username"], "port": self.storage["sshPort"]}  # fmt: skip

    def _events(self) -> list[Event]:
        return [one for one in self.recording.events if one["resourceUuid"] == self.storage["uuid"]]

    def tell(self) -> list[Step]:
        """The steps, in their order."""
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
            since = self._before(at, self.recording.interval + SLACK)
            self._begin_fault(since, _next_reason(rest) or Reason.REFUSED)
            within = f"{self.recording.interval + 2 * SLACK:g}s"
            self._add(since, {"eventually": {"storage": self.name, "status": "Disconnected", "within": within}})
            self._last = at

    def _capacity_of_connect(self, at: float, rest: Sequence[Event]) -> None:
        """What the connect will find, if that is something else than before: a capacity comes with its status."""
        for before, event in pairwise(rest):
            if before["path"] == STATUS_CHANGED:
                if _came_with_connect(before, event):
                    self._change_disk(at, event["content"])
                return

    def _capacity_changed(self, at: float, content: Mapping[str, Any]) -> None:
        self._change_disk(self._before(at, self.recording.interval), content)
        self._last = at

    def _change_disk(self, at: float, content: Mapping[str, Any]) -> None:
        total, available = content["totalCapacity"], content["availableCapacity"]
        if not content["oldTotalCapacity"]:
            return  # the first time that it was measured: it is so from the beginning
        if total != content["oldTotalCapacity"]:
            self._add(at, {"resize": {"host": self.host, "size": total}})
        self._add(at, {"fill": {"host": self.host, "to": total - available}})

    def _before(self, at: float, seconds: float) -> float:
        """So long before, but after what happened last."""
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
    """Whether a connect has ended well with it."""
    return event["path"] == STATUS_CHANGED and bool(event["content"]["newStatus"] == "Connected")


def _came_with_connect(before: Event, event: Event) -> bool:
    """Whether a capacity is what a connect has measured: both are written at once."""
    at_once = event["time"] - before["time"] < AT_ONCE
    return event["path"] == CAPACITY_CHANGED and _is_connected_by(before) and at_once


def _is_connected_next(storage: Mapping[str, Any], events: Sequence[Event]) -> bool:
    """Whether a connect was under way, and went well."""
    moves = [one for one in events if one["path"] == STATUS_CHANGED]
    return storage["status"] == "Connecting" and bool(moves) and _is_connected_by(moves[0])


def _reason(event: Event) -> str:
    reason = event["content"].get("reason")
    return str(reason.get("reason", "")) if isinstance(reason, Mapping) else str(reason or "")


def _next_reason(events: Sequence[Event]) -> str:
    """Why the next probe failed."""
    return next((_reason(one) for one in events if one["path"] in (PROBE_FAILED, DISCONNECTED)), "")
