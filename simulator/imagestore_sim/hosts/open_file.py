"""A file of a virtual disk that has been opened, and the attributes that stat returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagestore_sim.hosts.file_tree import READABLE, WRITABLE, File, require_mode
from imagestore_sim.statvfs import Statvfs

if TYPE_CHECKING:
    from imagestore_sim.hosts.disk import VirtualDisk


@dataclass(frozen=True, slots=True)
class Entry:
    """What stat(2) returns for a path."""

    directory: bool
    mode: int
    """Rights, without the type of the file."""
    size: int
    """Bytes."""
    inode: int
    links: int
    modified: float
    """Seconds since the epoch."""
    device: int


class OpenFile:
    """An open file: it can be read and written whatever happens to its name. It needs no closing."""

    def __init__(self, disk: VirtualDisk, file: File, path: str) -> None:
        self._disk = disk
        self._file = file
        self.path = path

    @property
    def size(self) -> int:
        """Return its length in bytes."""
        return self._file.size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on. Raise OSError (EACCES)."""
        require_mode(self._file, READABLE, self.path)
        return self._file.read(offset, length)

    def write(self, offset: int, data: bytes) -> int:
        """Write all of `data` at `offset`, or nothing; return its length. Raise OSError (EACCES, EROFS, ENOSPC)."""
        self._reshape(max(self.size, offset + len(data)))
        self._file.write(offset, data)
        return len(data)

    def extend(self, size: int) -> None:
        """Write `size` zeros at the end, which take no memory. Raise as `write` does."""
        self._reshape(self.size + size)
        self._file.size += size

    def truncate(self, size: int) -> None:
        """Make it `size` bytes long. Raise as `write` does."""
        self._reshape(size)
        self._file.truncate(size)

    def _reshape(self, size: int) -> None:
        require_mode(self._file, WRITABLE, self.path)
        self._disk.reshape(self._file, size, self.path)

    def chmod(self, mode: int) -> None:
        """Change the rights on it. Raise OSError (EROFS)."""
        self._disk.change_mode(self._file, mode, self.path)

    def stat(self) -> Entry:
        """Return the attributes that stat returns for it."""
        return self._disk.entry_of(self._file)

    def statvfs(self) -> Statvfs:
        """Return the numbers of the disk that it is on."""
        return self._disk.numbers()
