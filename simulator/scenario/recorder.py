"""What happened on a running node, written down as a scenario that replays the same statuses and capacities.

A ping tells that a host was gone, not since when, and nothing of why but a reason: so a fault of a kind that has this
reason begins one ping before, and a reconnect is made when one was made. What the storages went through is the same,
moments may differ by a ping.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import yaml

from simulator.backup_storage.events import CAPACITY_CHANGED, DISCONNECTED, PROBE_FAILED, STATUS_CHANGED
from simulator.backup_storage.options import AUTO_RECONNECT, PING_INTERVAL
from simulator.probe.failures import Reason
from simulator.testing.client import Client

SLACK = 15.0
"""Seconds that a ping may take to fail."""
MOMENT = 0.001
AT_PATH = ("path_gone", "path_is_file", "permission_denied", "unmounted", "hung_mount", "zero_capacity")
KINDS: Mapping[str, str] = {
    Reason.REFUSED: "refuse",
    Reason.DNS: "unreachable",
    Reason.UNREACHABLE: "unreachable",
    Reason.TIMEOUT: "blackhole",
    Reason.RESET: "reset_on_connect",
    Reason.NOT_SSH: "not_ssh",
    Reason.BUSY: "max_startups",
    Reason.AUTH_FAILED: "auth_failure",
    Reason.HOST_KEY_CHANGED: "auth_failure",
    Reason.NO_SUCH_PATH: "path_gone",
    Reason.NOT_A_DIRECTORY: "path_is_file",
    Reason.PERMISSION_DENIED: "permission_denied",
    Reason.NOT_MOUNTED: "unmounted",
    Reason.NO_CAPACITY: "empty_answers",
    Reason.NO_COMMAND: "no_sftp",
    Reason.HUNG: "hung_mount",
}
"""A kind of fault for each reason: with it a probe fails for that reason, or for the nearest that can be caused."""
AT_LOGIN = ("max_startups", "auth_failure")
"""Kinds that a connection which is open does not notice."""

Event = Mapping[str, Any]
"""As the stream of events has it."""


@dataclass(slots=True)
class Recording:
    """What was seen of a node: its storages when it began, and all events until it ended (epoch seconds)."""

    url: str
    began: float
    ended: float
    interval: int
    storages: Sequence[Mapping[str, Any]]
    events: Sequence[Event] = ()


async def follow(url: str, stop: asyncio.Event, *, account: str, password: str) -> Recording:
    """Follow a node's events until `stop`, or until it ends the stream. Raises CallFailed, aiohttp.ClientError."""
    async with Client(url) as client:
        await client.log_in(account, password)
        storages = await client.query("/backup-storage/image-store")
        [option] = await client.query("/global-configurations", f"name={PING_INTERVAL.name}")
        recording = Recording(url, await _time_of(client), 0.0, int(option["value"]), storages)
        events: list[Event] = []
        reading = asyncio.ensure_future(_read_into(events, url))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reading, stopping):
            task.cancel()
        await asyncio.gather(reading, stopping, return_exceptions=True)
        if reading.done() and not reading.cancelled() and (error := reading.exception()) is not None and not events:
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
    milliseconds: int = answer["currentTime"]["MillionSeconds"]
    return milliseconds / 1000


async def _read_into(events: list[Event], url: str) -> None:
    async for event in _stream(url):
        events.append(event)


async def _stream(url: str) -> AsyncIterator[Event]:
    """The events of a node, as they come."""
    timeout = aiohttp.ClientTimeout(total=None, sock_read=None)
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url}/lab/v1/events") as response:
        response.raise_for_status()
        async for line in response.content:
            if line.startswith(b"data:") and b'"path"' in line:
                yield orjson.loads(line.removeprefix(b"data:"))


def scenario_of(recording: Recording) -> str:
    """The scenario, as the text of a file."""
    stories = [_Story(recording, one, name) for one, name in zip(recording.storages, _names(recording), strict=True)]
    steps = sorted((step for story in stories for step in story.tell()), key=lambda step: step[0])
    content = {
        "title": f"What happened on {recording.url}",
        "description": "Recorded: faults begin one ping before they were noticed, reconnects are made when one was.",
        "hosts": {story.host: story.machine() for story in stories},
        "storages": [story.record() for story in stories],
        "settings": {PING_INTERVAL.name: f"{recording.interval}s", AUTO_RECONNECT.name: False},
        "timeline": [{"at": f"{at:.3f}s", **step} for at, step in steps] or [{"at": "0s", "note": "nothing happened"}],
        "ends": f"{max(recording.ended - recording.began, steps[-1][0] if steps else 0) + 2 * recording.interval:.0f}s",
    }
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


def _names(recording: Recording) -> list[str]:
    """A name for each storage that a step can refer to."""
    names: list[str] = []
    for one in recording.storages:
        name = plain = re.sub(r"[^A-Za-z0-9-]+", "-", str(one["name"])).strip("-") or "storage"
        number = 2
        while name in names:
            name, number = f"{plain}-{number}", number + 1
        names.append(name)
    return names


Step = tuple[float, dict[str, Any]]


@dataclass(slots=True)
class _Story:
    """What one storage went through."""

    recording: Recording
    storage: Mapping[str, Any]
    name: str
    _steps: list[Step] = field(default_factory=list)
    _fault: str | None = None
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
        if self.storage["status"] != "Connected":
            reasons = [_reason(one) for one in events if one["path"] in (PROBE_FAILED, DISCONNECTED)]
            self._begin_fault(0.0, next(iter(reasons), "") or Reason.REFUSED)
            self._reconnect(MOMENT, fails=True)
        for number, event in enumerate(events):
            at = max(0.0, event["time"] - self.recording.began)
            if event["path"] == STATUS_CHANGED:
                self._status_changed(at, event["content"], events[number:])
            elif event["path"] == CAPACITY_CHANGED:
                self._capacity_changed(at, event["content"])
        return self._steps

    def _status_changed(self, at: float, content: Mapping[str, Any], rest: Sequence[Event]) -> None:
        old, new = content["oldStatus"], content["newStatus"]
        if new == "Connecting":
            outcome = next((one for one in rest[1:] if one["path"] == STATUS_CHANGED), None)
            failed = outcome is not None and outcome["content"]["newStatus"] == "Disconnected"
            if failed:
                self._begin_fault(max(self._last, at - MOMENT), _next_reason(rest[1:]) or Reason.REFUSED)
            else:
                self._end_fault(max(self._last, at - MOMENT))
            self._reconnect(at, fails=failed)
        elif (old, new) == ("Connected", "Disconnected"):
            since = self._before(at, self.recording.interval + SLACK)
            self._begin_fault(since, _next_reason(rest) or Reason.REFUSED)
            within = f"{self.recording.interval + 2 * SLACK:g}s"
            self._add(since, {"eventually": {"storage": self.name, "status": "Disconnected", "within": within}})
            self._last = at

    def _capacity_changed(self, at: float, content: Mapping[str, Any]) -> None:
        total, available = content["totalCapacity"], content["availableCapacity"]
        if not content["oldTotalCapacity"]:
            return  # the first time that it was measured: it is so from the beginning
        since = self._before(at, self.recording.interval)
        if total != content["oldTotalCapacity"]:
            self._add(since, {"resize": {"host": self.host, "size": total}})
        self._add(since, {"fill": {"host": self.host, "to": total - available}})
        self._last = at

    def _before(self, at: float, seconds: float) -> float:
        """So long before, but after what happened last."""
        return max(at - seconds, self._last + MOMENT if self._last else 0.0)

    def _begin_fault(self, at: float, reason: str) -> None:
        kind = KINDS.get(reason, "refuse")
        if kind == self._fault:
            return
        self._end_fault(at)
        where = {"path": self.storage["url"]} if kind in AT_PATH else {}
        self._add(at, {"fault": {"host": self.host, "kind": kind, **where}})
        if kind == "no_sftp":
            self._add(at, {"fault": {"host": self.host, "kind": "command_missing", "commands": ["df", "stat"]}})
        if kind in AT_LOGIN:
            self._add(at, {"fault": {"host": self.host, "kind": "cut"}})
        self._fault = kind

    def _end_fault(self, at: float) -> None:
        if self._fault is None:
            return
        kinds = [self._fault, "command_missing"] if self._fault == "no_sftp" else [self._fault]
        for kind in kinds:
            self._add(at, {"heal": {"host": self.host, "kind": kind}})
        self._fault = None

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


def _reason(event: Event) -> str:
    reason = event["content"].get("reason")
    return str(reason.get("reason", "")) if isinstance(reason, Mapping) else str(reason or "")


def _next_reason(events: Sequence[Event]) -> str:
    """Why the next probe failed."""
    return next((_reason(one) for one in events if one["path"] in (PROBE_FAILED, DISCONNECTED)), "")
