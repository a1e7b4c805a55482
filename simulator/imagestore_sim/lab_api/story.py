"""What was done on a lab by hand, as it is handed to what writes a scenario of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from imagestore_sim.hosts.windows import HostWindow
from imagestore_sim.rest.journal import Entry


class StoryProblem(Exception):
    """No scenario can be written of what was done; the text says why."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a client, with when it came in epoch seconds."""

    time: float
    entry: Entry


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What of a simulated host does not change, and its disk as it is now: bytes."""

    name: str
    port: int
    size: int
    used: int
    reserved: int
    mount: str
    """Where the disk of its storage is mounted; `/`: it is the root's."""
    sftp: bool
    statvfs: bool


@dataclass(frozen=True, slots=True)
class Story:
    """What was done on a lab between two times (epoch seconds)."""

    source: str
    """The URL of the node."""
    database: str
    """The file or the URL of its database."""
    began: float | None
    """None: with the first thing that was done."""
    ended: float
    title: str | None
    is_simulated: bool
    """Whether the hosts are simulated: else nothing is known of them but what pings met."""
    hosts: Mapping[str, HostFacts]
    """The hosts that there are now, by name."""
    windows: Sequence[HostWindow]
    """The faults on hosts, and when they were shut down, in the order in which they began."""
    calls: Sequence[Call]
    """The calls of clients that changed something or met a fault, the oldest first."""
    ping_interval: int | None
    """Seconds between pings that the node was started with; None: not said."""
    options: Mapping[str, Any]
    """How the node was started, in the words of a scenario's `node`, where that is not as by default."""


@dataclass(frozen=True, slots=True)
class WrittenStory:
    """A scenario: its text, and what is not in it, in sentences."""

    text: str
    began: float
    ended: float
    steps: int
    expectations: int
    left_out: Sequence[str]


@dataclass(frozen=True, slots=True)
class StoryCheck:
    """What came of playing a scenario."""

    held: bool
    seconds: float
    """By the machine's clock."""
    text: str
    """What `imagestore-sim replay` printed."""


class StoryWriter(Protocol):
    """Writes a story as a scenario that `imagestore-sim replay` takes."""

    async def write(self, story: Story) -> WrittenStory:
        """Return the scenario. Raise StoryProblem."""

    async def check(self, text: str) -> StoryCheck:
        """Play a scenario in a process of its own. Raise StoryProblem when that takes too long."""
