"""The space of a virtual disk: blocks and inodes in use, by its files and by data of others."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable

from imagestore_sim.faults.target import DiskState, Undo
from imagestore_sim.hosts.file_tree import File, os_error
from imagestore_sim.statvfs import BLOCK, Statvfs, blocks_of

_devices = itertools.count(0xFD00)  # the major number of virtual block devices, 253


class DiskSpace:
    """The numbers of a file system. They can be set while it is in use, and `change` puts others over them."""

    def __init__(self, size: int, used: int, *, inodes: int, reserved: int, read_only: bool) -> None:
        """`size`, `used` and `reserved` are bytes; 0 `inodes` are not counted. Raise ValueError below zero."""
        self._written = 0
        """Blocks of the files in the tree."""
        self._used_by_others = 0
        """Blocks of data beside the tree."""
        self._inodes_used = 1  # the root directory
        self._changes: list[Callable[[Statvfs], Statvfs]] = []
        self.device = next(_devices)
        """The device number that stat shows for its files."""
        self.read_only = read_only
        self.inodes = inodes
        self.reserved = reserved
        self.resize(size)
        self.used = used

    @property
    def size(self) -> int:
        """Return its size in bytes: whole blocks, a rest is not used."""
        return self.numbers().blocks * BLOCK

    def resize(self, size: int) -> None:
        """Grow or shrink to `size` bytes, even below what is used. Raise ValueError below zero."""
        self._blocks = _not_negative("size", size) // BLOCK

    @property
    def used(self) -> int:
        """Return the bytes in use, whole blocks; set it to model data of others beside the files in the tree.

        Setting it to less than the files take raises ValueError. Directories take no blocks.
        """
        return self.numbers().taken * BLOCK

    @used.setter
    def used(self, used: int) -> None:
        blocks = blocks_of(_not_negative("used", used))
        if blocks < self._written:
            raise ValueError(f"used cannot be {used}: the files on this disk take {self._written * BLOCK} bytes")
        self._used_by_others = blocks - self._written

    @property
    def reserved(self) -> int:
        """Return the bytes that only root can write, whole blocks."""
        return self._reserved * BLOCK

    @reserved.setter
    def reserved(self, reserved: int) -> None:
        self._reserved = blocks_of(_not_negative("reserved", reserved))

    @property
    def available(self) -> int:
        """Return the bytes that ordinary users can still write: f_bavail x f_frsize, never below zero."""
        return self.numbers().available * BLOCK

    @property
    def inodes(self) -> int:
        """Return how many files and directories it can hold; 0 when it does not count them."""
        return self._inodes

    @inodes.setter
    def inodes(self, inodes: int) -> None:
        self._inodes = _not_negative("inodes", inodes)

    def numbers(self) -> Statvfs:
        """Return its numbers, with what `change` has made of them."""
        numbers = Statvfs(
            blocks=self._blocks,
            taken=self._written + self._used_by_others,
            reserved=self._reserved,
            inodes=self._inodes,
            taken_inodes=self._inodes_used,
            device=self.device,
            read_only=self.read_only,
        )
        for change in self._changes:
            numbers = change(numbers)
        return numbers

    def state(self) -> DiskState:
        """Return its numbers in bytes, as the state of a host shows them."""
        numbers = self.numbers()
        return DiskState(
            size=numbers.blocks * BLOCK,
            used=numbers.used * BLOCK,
            reserved=numbers.reserved * BLOCK,
            available=numbers.available * BLOCK,
            inodes=numbers.inodes,
            free_inodes=numbers.free_inodes,
            read_only=numbers.read_only,
        )

    def change(self, change: Callable[[Statvfs], Statvfs]) -> Undo:
        """Show the numbers that `change` returns for those that the changes before it left; return what ends that."""
        self._changes.append(change)
        return lambda: self._changes.remove(change)

    # For the tree

    def require_writable(self, path: str) -> None:
        """Raise OSError (EROFS), about `path`, for a read-only file system."""
        if self.numbers().read_only:
            raise os_error(errno.EROFS, path)

    def require_room(self, path: str, *, blocks: int = 0) -> None:
        """Raise OSError (ENOSPC), about `path`, when no inode is free, or fewer than `blocks` blocks."""
        numbers = self.numbers()
        if numbers.available < blocks or (numbers.inodes and not numbers.free_inodes):
            raise os_error(errno.ENOSPC, path)

    def account_for(self, file: File, size: int, path: str) -> None:
        """Account for a file on it that is to have `size` bytes. Raise OSError (EROFS, ENOSPC)."""
        self.require_writable(path)
        more = blocks_of(size) - blocks_of(file.size)
        if more > self.numbers().available:
            raise os_error(errno.ENOSPC, path)
        if file.linked and not file.installed:
            self._written += more


def _not_negative(name: str, number: int) -> int:
    if number < 0:
        raise ValueError(f"{name} cannot be {number}")
    return number
