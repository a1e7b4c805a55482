"""What a run has shown. A run is its story: seed and order stand in the story, so that `replay` plays it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from imagestore_sim.backup_storage.events import Event
from imagestore_sim.orders import Picks
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.play.results import Result

Json = Any


@dataclass(slots=True)
class Call:
    """A request to ZStack's API, as the node got it, and its answer. Times in seconds of the story."""

    began: float
    method: str
    path: str
    """Below /zstack/v1, with its query string."""
    body: Json = None
    ended: float | None = None
    """When its answer was there; None if the node gave none, or a fault has lost it."""
    status: int = 0
    """Of the answer; 0 if there was none. 202: the job is `job`."""
    answer: Json = None
    """The JSON of the answer."""
    job: str | None = None
    """The uuid of the job that it began, or that it polls."""
    meets_faults: bool = False
    """Whether faults of the management plane may have changed what became of it."""
    number: int = 0
    """Of its beginning among all that happened: things at one moment of virtual time have an order, too."""
    last: int = 0
    """The number of its answer; 0 while there is none."""
    node: int = 1
    """Which start of a node it belongs to: `Played.lives`."""

    @property
    def is_poll(self) -> bool:
        """Whether it asks for the result of a job."""
        return "/api-jobs/" in self.path


@dataclass(slots=True)
class Post:
    """An event that the node has posted to a web hook."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: Json


@dataclass(slots=True)
class Turn:
    """A time in which a probe, or a change of files, had a host for itself."""

    hostname: str
    purpose: str
    """Of `probe.login_slots.Purpose`: ping, reconnect, command."""
    began: float
    ended: float | None = None
    node: int = 1
    """Which start of a node it belongs to: `Played.lives`."""
    epoch: int = 0
    """Of the members, as that node knew them when it began; 0 for the only node of a story."""
    first: int = 0
    """The number of its beginning among all that happened."""
    last: int = 0
    """The number of its end; 0 while there is none."""


@dataclass(frozen=True, slots=True)
class Told:
    """When an event was told: in seconds of the story, and its number among all that happened."""

    at: float
    number: int
    node: int = 1
    """Which start of a node has told it: `Played.lives`."""
    epoch: int = 0
    """Of the members, as that node knew them."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a node stood still."""

    node: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the store has it in the end."""

    uuid: str
    api: str
    state: str
    """Processing, Done or Failed."""


@dataclass(frozen=True, slots=True)
class Census:
    """What the process holds at one moment."""

    tasks: Counter[str] = field(default_factory=Counter)
    """By the qualified name of their coroutine."""
    files: int = 0
    """Open file descriptors."""

    def grown(self, before: Census) -> dict[str, int]:
        """Return by name how much there is more than before: tasks, and `files`."""
        more = dict(self.tasks - before.tasks)
        return {**more, "files": self.files - before.files} if self.files > before.files else more


@dataclass(frozen=True, slots=True)
class Disk:
    """A host's disk in the end, in bytes."""

    total: int
    available: int
    files: Mapping[str, int]
    """Sizes of all that is on it, by path below its mount point."""


@dataclass(slots=True)
class Played:
    """All that a run has shown. What was not reached stays empty: `result.problem` says why."""

    story: Scenario
    result: Result
    """Steps with their verdicts, the log, statuses and capacities over time."""
    events: list[Event] = field(default_factory=list)
    """All events of the node, in order, over all its starts."""
    told: list[Told] = field(default_factory=list)
    """When each of `events` was told."""
    calls: list[Call] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    """When the node was started, in seconds of the story; the first before it began."""
    start_numbers: list[int] = field(default_factory=list)
    """The numbers of these starts among all that happened."""
    lives: list[str] = field(default_factory=list)
    """Which of several nodes each start was; '' for the only one."""
    pauses: list[Span] = field(default_factory=list)
    """When nodes stood still."""
    running: list[str] = field(default_factory=list)
    """Which of several nodes run in the end."""
    kills: list[float] = field(default_factory=list)
    """When the node was killed."""
    ended: float = 0.0
    """When it was looked at, in seconds of the story."""
    storages: dict[str, str] = field(default_factory=dict)
    """The uuids of storages, by their names in the story."""
    images: dict[str, str] = field(default_factory=dict)
    """The uuids of images, by their names in the story."""
    answers: dict[str, Json] = field(default_factory=dict)
    """By path: the answers in the end, before the node is stopped (`world.QUESTIONS`, and the storages in pages)."""
    jobs: list[Job] = field(default_factory=list)
    stored_events: list[Event] = field(default_factory=list)
    """The event log as the store has it in the end."""
    told_before_log: int = 0
    """How many of `events` had been published when the log was read. Others may follow while the nodes stop."""
    disks: dict[str, Disk] = field(default_factory=dict)
    """By host name."""
    connections: dict[str, int] = field(default_factory=dict)
    """By host name: the connections to it that are open in the end."""
    at_first: Census = Census()
    """Once the node has started, and every storage has been tried."""
    at_last: Census = Census()
    """Before the node is stopped."""
    left: Census = Census()
    """What is left over once all is closed, beyond what was there before."""
    errors: list[str] = field(default_factory=list)
    """Lines of the log at ERROR and above."""
    drawn: Picks = field(default_factory=dict)
    """The draws of its order that were not plain: `order` of the story may pin them."""
    apis: list[str] = field(default_factory=list)
    """The classes of the messages that clients have sent, `api-jobs` for polls; not the story's own calls."""
    exit_status: int | None = None
    """Of the client under test; None without one."""
    output: str = ""
    """What that wrote, the last part of it."""

    @property
    def log_text(self) -> str:
        """The log, a line for each entry: the same for the same story, byte for byte."""
        return lines_of(self.result.log)


def lines_of(log: Sequence[Mapping[str, Any]]) -> str:
    """Return a log as JSON lines."""
    return "".join(orjson.dumps(one).decode() + "\n" for one in log)
