"""What a fault is put on: the one Host protocol, and what a kind may do to a simulated host.

Whatever plays faults speaks to a `Host`: a simulated host (`hosts.SimulatedHost`), a container (`containers`), or a
host of a lab in another process (`scenario.worlds.remote_lab`). An implementation has the attributes below and raises
nothing but FaultProblem, ValueError and OSError, each with a text for people:

    for host in world.hosts.values():
        applied = await host.apply(read_fault("blackhole", {"for": "30s"}))
        ...
        await applied.heal()

`state()` returns plain data. The lab's API turns it into JSON; nothing else needs to know what kind of host it is of.

A kind that needs more of a *simulated* host than a change of its behaviour gets a `FaultTarget` in `Fault.begin`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagestore_sim.clock import Clock
from imagestore_sim.statvfs import Statvfs

if TYPE_CHECKING:
    from imagestore_sim.faults.base import Fault

Undo = Callable[[], None]


class AppliedFault(Protocol):
    """A fault on a host, from `Host.apply` on."""

    @property
    def fault(self) -> Fault:
        """Return the fault, with its parameters."""

    @property
    def number(self) -> int:
        """Return a number that no other fault on this host has or had."""

    @property
    def active(self) -> bool:
        """Return whether it has not been healed, by hand or by its `for`."""

    @property
    def expires_at(self) -> float | None:
        """Return when it heals by itself, in seconds of the clock's monotonic time; None: it does not."""

    async def heal(self) -> None:
        """Undo it; return when the host behaves accordingly. A fault that is healed stays so. Raise OSError."""


@dataclass(frozen=True, slots=True)
class DiskState:
    """The disk of a host as df would show it, faults included: bytes and numbers of inodes."""

    size: int
    used: int
    reserved: int
    """Bytes kept for root, so not available."""
    available: int
    inodes: int
    """0: the file system does not count them."""
    free_inodes: int
    read_only: bool


@dataclass(frozen=True, slots=True)
class HostState:
    """A host at one moment."""

    at: float
    """The moment, in seconds of the clock's monotonic time: the time that `expires_at` of its faults is in."""
    name: str
    port: int
    """The port that storages know it by."""
    listening: bool
    """Whether it runs. A fault may have closed its port all the same."""
    address: str
    """`address:port` where it really listens, or did last."""
    disk: DiskState | None
    """The disk of its storage; None: it cannot be asked now."""
    logins: int | None
    """Successful logins since the host was made; None: they are not counted."""
    connections: int | None
    """Connections that are open; None: unknown."""
    username: str | None
    """The only account that may log in; None: any may."""
    faults: Collection[AppliedFault]
    """The faults on it, the oldest first."""
    agent_running: bool | None = None
    """Whether its agent runs; None: unknown."""


@dataclass(frozen=True, slots=True)
class AgentState:
    """The agent of a host at one moment, and what a client needs to speak to it."""

    running: bool
    address: str
    """`address:port` where it really listens, or does when it runs."""
    instance: str | None
    """The name of its run, which changes whenever it starts; None: it does not run."""
    fingerprint: str
    """The SHA-256 fingerprint of its certificate, in hex digits with colons."""
    ends: datetime
    """When its certificate expires."""
    authority: str
    """The certificate of the authority that has issued its own, as PEM."""


class Host(Protocol):
    """A host that faults can be put on. What it cannot do raises ValueError or OSError, with a text for people."""

    @property
    def name(self) -> str:
        """Return the name that it is known by, which storages have as hostname."""

    @property
    def faults(self) -> Collection[AppliedFault]:
        """Return the faults that are on it, the oldest first."""

    async def state(self) -> HostState:
        """Return how it is now. Raise OSError."""

    async def start(self) -> None:
        """Start it, unless it runs, with the faults that are on it. Raise OSError."""

    async def stop(self) -> None:
        """Shut it down, if it runs: it is unreachable then. Its disk and its faults stay. Raise OSError."""

    async def apply(self, fault: Fault) -> AppliedFault:
        """Put a fault on it, beside those that are on it; return when it behaves accordingly.

        Raise FaultProblem, which is a ValueError, for a fault that it cannot have, and OSError.
        """


class TargetDisk(Protocol):
    """A disk of a simulated host, as a fault's `begin` sees it."""

    def numbers(self) -> Statvfs:
        """Return its numbers, with what `change` has made of them."""

    def change(self, change: Callable[[Statvfs], Statvfs]) -> Undo:
        """Show the numbers that `change` returns for its own; return a function that ends that.

        Changes add up: each gets what the ones before it have left.
        """


class FaultTarget(Protocol):
    """A simulated host, as a fault's `begin` sees it. Paths are absolute; those that cannot be used raise OSError."""

    @property
    def name(self) -> str:
        """Return the name of the host."""

    @property
    def clock(self) -> Clock:
        """Return the clock that the host lives by."""

    @property
    def faults(self) -> Collection[AppliedFault]:
        """Return the faults that are on the host already, the oldest first."""

    def disk_at(self, path: str | None) -> TargetDisk:
        """Return the disk that `path` is on; without one, the disk of its storage.

        That is the one mounted beside the root's disk if there is exactly one, else the root's.
        """

    def mount_disk(self, path: str, size: int, used: int) -> Undo:
        """Mount a new disk of `size` bytes, `used` of them in use by others, at a directory; return the unmounting."""

    def show_mount_point(self, path: str, root_size: int) -> Undo:
        """Show at `path` the empty directory that its disk is mounted over; return what mounts the disk again.

        The directory has the numbers of the disk below it: the root's, or one of `root_size` bytes, a fifth of them in
        use, where `path` is not a mount point.
        """

    def displace(self, path: str, *, by_file: bool) -> Undo:
        """Hide what is at `path`, with an empty file in its place or nothing; return what puts it back."""

    def fail_path(self, path: str, number: int) -> Undo:
        """Fail each access to `path` and below it with an error number of Linux; return what ends that."""

    def cut_connections(self, count: int | None = None) -> None:
        """Reset the open connections: all, or the `count` oldest."""

    def restart_agent(self) -> None:
        """Restart the agent of the host: it is no longer the one that was connected."""

    def silence_connections(self) -> None:
        """Drop from now on what goes over the connections that are open, in both directions."""
