"""The disk of a host in a container: a real file system of the scenario's size, XFS in a sparse file.

It is made, and changed, by a container of the run that holds the disks (docker/disks); the engine mounts it in the
host's, which needs no right for that. Space is used up by a file that has its blocks and was never written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.scenario.compose.container import Container


class ContainerDisk:
    """One file system, mounted in its host and in the container that holds the disks."""

    def __init__(self, holder: Container, name: str, size: int, used: int, reserved: int) -> None:
        """`name` is the host's; sizes are bytes."""
        self._holder = holder
        self.name = name
        self.size = size
        self.used = used
        self.reserved = reserved

    async def fill(self, used: int) -> None:
        """Have `used` bytes in use, exactly: no fewer than what its files and its file system take."""
        raise NotImplementedError

    async def grow(self, size: int) -> None:
        """Extend it to `size` bytes while it is in use; what is used stays. Raises ContainerProblem."""
        raise NotImplementedError

    async def set_read_only(self, read_only: bool) -> None:
        """Remount it, read-only or writable again. Raises ContainerProblem."""
        raise NotImplementedError
