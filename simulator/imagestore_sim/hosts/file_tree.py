"""What a virtual disk holds: files with their bytes, directories with their entries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagestore_sim.hosts.disk import VirtualDisk


@dataclass(slots=True, eq=False)
class File:
    """A file. Zeros at its end are counted, not kept: a disk can be filled without filling memory."""

    inode: int
    mode: int
    modified: float
    size: int = 0
    linked: bool = True  # has a name; one without takes no space any more
    content: bytearray = field(default_factory=bytearray)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` on; none at the end."""
        length = max(0, min(length, self.size - offset))
        return bytes(self.content[offset : offset + length]).ljust(length, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset`; what is between it and the end reads as zeros."""
        if offset < len(self.content) or data.count(0) != len(data):
            self.content.extend(bytes(max(0, offset - len(self.content))))
            self.content[offset : offset + len(data)] = data
        self.size = max(self.size, offset + len(data))

    def truncate(self, size: int) -> None:
        """Make it `size` bytes long."""
        del self.content[size:]
        self.size = size


@dataclass(slots=True, eq=False)
class Directory:
    """A directory, and the disk that is mounted over it."""

    inode: int
    mode: int
    modified: float
    entries: dict[str, Node] = field(default_factory=dict)
    mounted: VirtualDisk | None = None


Node = File | Directory
