"""The disks of container hosts: XFS in a sparse file, or a tmpfs in the memory of the engine's machine.

Both are filled by a file that has its blocks and was never written.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Protocol

from imagestore_sim.containers.errors import ContainerProblem
from imagestore_sim.statvfs import BLOCK, blocks_of

if TYPE_CHECKING:
    from imagestore_sim.containers.container import Container

XFS = "xfs"
SMALLEST_XFS = 300 * 2**20
"""Bytes below which mkfs.xfs makes no file system."""
XFS_SECONDS = 60.0
TMPFS_SECONDS = 30.0
TMPFS_PROGRAM = "PATH=/usr/local/lib/faults/bin:$PATH /usr/local/lib/faults/disk"


class Disk(Protocol):
    """The disk of a host. Failures: ContainerProblem."""

    size: int
    """Bytes, as last asked for."""
    used: int
    """Bytes in use, as last asked for."""

    async def fill(self, used: int) -> None:
        """Have `used` bytes in use, rounded up to blocks, but at least what its files take."""

    async def resize(self, size: int) -> None:
        """Give it another size in bytes while it is in use."""

    async def set_read_only(self, read_only: bool) -> None:
        """Remount it read-only or writable."""


class XfsDisk:
    """An XFS file system in a sparse file.

    One container of the run (`images/disks`) makes and changes the disks of all hosts, whether those run or not. The
    engine mounts them in the hosts' containers, which need no privilege for that.
    """

    def __init__(self, holder: Container, name: str, size: int, used: int, reserved: int = 0) -> None:
        """`name` is the host's; sizes are in bytes. `reserved` is kept for root, so it counts as used."""
        self._holder = holder
        self.name = name
        self.size = size
        self.used = used
        self.reserved = reserved

    async def make(self) -> str:
        """Make the empty file system. Return its device."""
        return (await self._do("make", self.size // BLOCK)).strip()

    async def fill(self, used: int) -> None:
        """Have `used` bytes in use, rounded up to blocks, but at least what its files and XFS itself take."""
        taken = blocks_of(used) + blocks_of(self.reserved)
        await self._do("use", min(self.size // BLOCK, taken))
        self.used = used

    async def resize(self, size: int) -> None:
        """Extend it to `size` bytes while it is in use. It cannot shrink."""
        await self._do("grow", size // BLOCK)
        self.size = size

    async def set_read_only(self, read_only: bool) -> None:
        """Remount it read-only or writable."""
        await self._do("remount", "ro" if read_only else "rw")

    async def _do(self, action: str, value: object) -> str:
        return await self._holder.run(shlex.join(["disk", action, self.name, str(value)]), seconds=XFS_SECONDS)


class MemoryDisk:
    """The tmpfs of a host, as docker-compose.yml has them, from one start of the host to the next.

    The program `disk` of `images/host/faults` changes it from inside: the host's account fills it, and root needs
    SYS_ADMIN to remount it. What is in use on it takes memory of the engine's machine.
    """

    def __init__(self, container: Container, path: str, size: int, used: int) -> None:
        """`path` is where it is mounted; sizes are in bytes, as found at the start of the host."""
        self._container = container
        self._path = path
        self._gone = False
        self.size = size
        self.used = used

    def close(self) -> None:
        """Refuse all changes from now on: the host was started again, with another tmpfs."""
        self._gone = True

    async def fill(self, used: int) -> None:
        """Have `used` bytes in use, rounded up to blocks, but at least what its files take."""
        await self._do("use", min(self.size // BLOCK, blocks_of(used)))
        self.used = used

    async def resize(self, size: int) -> None:
        """Give it another size in bytes, not below what is in use."""
        await self._do("resize", size)
        self.size = size

    async def set_read_only(self, read_only: bool) -> None:
        """Remount it read-only or writable."""
        await self._do("remount", "ro" if read_only else "rw")

    async def use_inodes(self, all_of_them: bool) -> None:
        """Take all free inodes, or give back those that this took."""
        await self._do("inodes", "full" if all_of_them else "free")

    async def release(self) -> None:
        """Remove what the changes needed on it. All of them have been undone before."""
        await self._do("release")

    async def _do(self, action: str, *values: object) -> None:
        if self._gone:
            raise ContainerProblem(f"{self._container.name}: its disk is another one since it was started again")
        arguments = shlex.join([self._path, action, *map(str, values)])
        await self._container.run(f"{TMPFS_PROGRAM} {arguments}", seconds=TMPFS_SECONDS)
