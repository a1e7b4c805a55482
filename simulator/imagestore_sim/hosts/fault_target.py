"""What a kind of fault may do to a simulated host, in the terms of `faults.target.FaultTarget`."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from imagestore_sim.clock import Clock
from imagestore_sim.faults.target import AppliedFault, Undo
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.statvfs import Statvfs

if TYPE_CHECKING:
    from imagestore_sim.hosts.host import SimulatedHost


class SimulatedTarget:
    """A simulated host as the `begin` of a fault sees it."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host

    @property
    def name(self) -> str:
        """Return the name of the host."""
        return self._host.name

    @property
    def clock(self) -> Clock:
        """Return the clock that the host lives by."""
        return self._host.clock

    @property
    def faults(self) -> Collection[AppliedFault]:
        """Return the faults that are on the host already, the oldest first."""
        return self._host.faults

    def disk_at(self, path: str | None) -> VirtualDisk:
        """Return the disk that `path` is on; without one, the disk of the host's storage. Raise OSError."""
        disk = self._host.disk
        return disk.storage_disk() if path is None else disk.at(path)

    def mount_disk(self, path: str, size: int, used: int) -> Undo:
        """Mount a new disk of `size` bytes at a directory; return what unmounts it. Raise OSError."""
        return self._host.disk.cover(path, VirtualDisk(size, used, clock=self.clock))

    def show_mount_point(self, path: str, root_size: int) -> Undo:
        """Show the directory that the disk at `path` is mounted over; return what mounts it again. Raise OSError."""
        root = self._host.disk
        _, *mounted = root.mounts()
        is_mount_point = path in (point for point, _ in mounted)
        below = root if is_mount_point else VirtualDisk(root_size, root_size // 5, clock=self.clock)
        return root.cover(path, _MountPoint(below))

    def displace(self, path: str, *, by_file: bool) -> Undo:
        """Hide what is at `path`, with an empty file in its place or nothing; return what puts it back."""
        return self._host.disk.replace(path, by_file=by_file)

    def fail_path(self, path: str, number: int) -> Undo:
        """Fail each access to `path` and below it with an error number; return what ends that."""
        return self._host.disk.fail_path(path, number)

    def cut_connections(self, count: int | None = None) -> None:
        """Reset the open connections: all, or the `count` oldest."""
        for link in sorted(self._host.links, key=lambda link: link.number)[:count]:
            link.reset()

    def restart_agent(self) -> None:
        """Restart the agent of the host."""
        self._host.agent.restart()

    def silence_connections(self) -> None:
        """Drop from now on what goes over the connections that are open."""
        for link in self._host.links:
            link.stale = True


class _MountPoint(VirtualDisk):
    """The empty directory that a disk is mounted over: its numbers are those of the disk that it is on."""

    def __init__(self, below: VirtualDisk) -> None:
        super().__init__(below.size)
        self._below = below

    def numbers(self) -> Statvfs:
        return self._below.numbers()
