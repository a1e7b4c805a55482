"""The disk of a host in a container: a real file system of the scenario's size, XFS in a sparse file.

A container of the run (`images/disks`) makes it and changes it; the engine mounts it in the host's container, which
needs no right for that. Space is used up by a file that has its blocks and was never written.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from imagestore_sim.statvfs import BLOCK, blocks_of

if TYPE_CHECKING:
    from imagestore_sim.containers.container import Container

FILE_SYSTEM = "xfs"
SMALLEST = 300 * 2**20
"""Bytes below which there is no such file system."""
SECONDS = 60.0


class ContainerDisk:
    """One file system, mounted in its host and in the container that holds the disks. Failures: ContainerProblem."""

    in_memory = False

    def __init__(self, holder: Container, name: str, size: int, used: int, reserved: int = 0) -> None:
        """`name` is its own; sizes are bytes. What is `reserved` for root is as good as used to everybody else."""
        self._holder = holder
        self.name = name
        self.size = size
        self.used = used
        self.reserved = reserved

    async def make(self) -> str:
        """Make it, with nothing on it yet; answers its device."""
        return (await self._do("make", self.size // BLOCK)).strip()

    async def fill(self, used: int) -> None:
        """Have `used` bytes in use, to the block; no fewer than its files take, and what the file system needs."""
        taken = blocks_of(used) + blocks_of(self.reserved)
        await self._do("use", min(self.size // BLOCK, taken))
        self.used = used

    async def resize(self, size: int) -> None:
        """Extend it to `size` bytes while it is in use; as much is used as before. It cannot shrink."""
        await self._do("grow", size // BLOCK)
        self.size = size

    async def set_read_only(self, read_only: bool) -> None:
        """Remount it, read-only or writable again."""
        await self._do("remount", "ro" if read_only else "rw")

    async def _do(self, action: str, value: object) -> str:
        return await self._holder.run(shlex.join(["disk", action, self.name, str(value)]), seconds=SECONDS)
