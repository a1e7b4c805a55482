"""The numbers of a file system, as statvfs(3) has them: blocks, inodes, and whether it is read-only."""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 4096
"""Bytes of a block, of every file system here (f_frsize)."""
INODES = 2**26
"""How many inodes a file system has by default: one for each 16 KiB of a TiB, as mkfs.ext4 makes them."""


def blocks_of(size: int) -> int:
    """Return the number of blocks that `size` bytes take; the last may be in use in part."""
    return -(-size // BLOCK)


@dataclass(frozen=True, slots=True)
class Statvfs:
    """The numbers of one file system at one moment, in blocks of BLOCK bytes."""

    blocks: int
    taken: int
    """Blocks in use, more than `blocks` if the file system has shrunk."""
    reserved: int
    """Blocks that only root can write."""
    inodes: int
    """0: the file system does not count them, as btrfs."""
    taken_inodes: int
    device: int
    """The device number that stat(2) shows for each file on it."""
    read_only: bool

    @property
    def free(self) -> int:
        """Blocks that root can still write (f_bfree)."""
        return max(0, self.blocks - self.taken)

    @property
    def available(self) -> int:
        """Blocks that ordinary users can still write (f_bavail)."""
        return max(0, self.blocks - self.taken - self.reserved)

    @property
    def used(self) -> int:
        """Blocks in use, as df shows them: never more than there are."""
        return self.blocks - self.free

    @property
    def free_inodes(self) -> int:
        """How many more files and directories fit (f_ffree)."""
        return max(0, self.inodes - self.taken_inodes)
