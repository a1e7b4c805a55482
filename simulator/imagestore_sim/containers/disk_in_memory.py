"""The disk of a host in a container that is a tmpfs of its own, as docker-compose.yml makes them.

It is changed from inside, with the program `disk` of `images/host/faults`: to fill it, the account has the right; to
remount it, root needs SYS_ADMIN. What is in use on it is in the memory of the engine's machine.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from imagestore_sim.containers.host import ContainerProblem
from imagestore_sim.statvfs import BLOCK, blocks_of

if TYPE_CHECKING:
    from imagestore_sim.containers.container import Container

DISK = "/usr/local/lib/faults/bin:$PATH /usr/local/lib/faults/disk"
SECONDS = 30.0


class DiskInMemory:
    """One tmpfs, from a start of its host to the next. Failures: ContainerProblem."""

    in_memory = True

    def __init__(self, container: Container, path: str, size: int, used: int) -> None:
        """It is mounted at `path`; sizes are bytes, as they are found."""
        self._container = container
        self._path = path
        self._gone = False
        self.size = size
        self.used = used

    def close(self) -> None:
        """It is gone: the host has been started again. What would change it from now on fails."""
        self._gone = True

    async def fill(self, used: int) -> None:
        """Have `used` bytes in use, to the block; no fewer than its files take."""
        await self._do("use", min(self.size // BLOCK, blocks_of(used)))
        self.used = used

    async def resize(self, size: int) -> None:
        """Give it another size while it is in use; no smaller one than what is used."""
        await self._do("resize", size)
        self.size = size

    async def set_read_only(self, read_only: bool) -> None:
        """Remount it, read-only or writable again."""
        await self._do("remount", "ro" if read_only else "rw")

    async def use_inodes(self, all_of_them: bool) -> None:
        """Have no inode free, or those that this took."""
        await self._do("inodes", "full" if all_of_them else "free")

    async def release(self) -> None:
        """Leave it as it was found, once nothing is wrong with it."""
        await self._do("release")

    async def _do(self, action: str, *values: object) -> None:
        if self._gone:
            raise ContainerProblem(f"{self._container.name}: its disk is another one since it was started again")
        await self._container.run(f"PATH={DISK} {shlex.join([self._path, action, *map(str, values)])}", seconds=SECONDS)
