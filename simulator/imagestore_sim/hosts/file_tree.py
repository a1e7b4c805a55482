"""What a virtual disk holds: files with their bytes, directories with their entries."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagestore_sim.hosts.disk import VirtualDisk

READABLE, WRITABLE, SEARCHABLE = 0o444, 0o222, 0o111
"""Bits of a mode; the account has a right if any of its bits is set."""


@dataclass(slots=True, eq=False)
class File:
    """A file. Zeros at its end are counted, not kept: a disk can be filled without filling memory."""

    inode: int
    mode: int
    modified: float
    """Seconds since the epoch."""
    size: int = 0
    """Bytes, zeros at the end included."""
    linked: bool = True
    """Whether it has a name: one without takes no space on its disk."""
    installed: bool = False
    """Whether it belongs to the machine's own programs, which take no space of a virtual disk."""
    content: bytes | bytearray = b""
    """Bytes may be shared with other files; a write replaces them."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on; none at the end."""
        length = max(0, min(length, self.size - offset))
        return bytes(self.content[offset : offset + length]).ljust(length, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset`; what is between it and the end reads as zeros."""
        if offset < len(self.content) or data.count(0) != len(data):
            content = self._own_content()
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data
        self.size = max(self.size, offset + len(data))

    def truncate(self, size: int) -> None:
        """Make it `size` bytes long, with zeros at its end if it grows."""
        if size < len(self.content):
            del self._own_content()[size:]
        self.size = size

    def _own_content(self) -> bytearray:
        if not isinstance(self.content, bytearray):
            self.content = bytearray(self.content)
        return self.content


@dataclass(slots=True, eq=False)
class Directory:
    """A directory, and the disk that is mounted over it."""

    inode: int
    mode: int
    modified: float
    """Seconds since the epoch."""
    installed: bool = False
    """As of a file."""
    entries: dict[str, Node] = field(default_factory=dict)
    mounted: VirtualDisk | None = None


Node = File | Directory


def os_error(number: int, path: str) -> OSError:
    """Return the error that Linux has of this number, about a path."""
    return OSError(number, os.strerror(number), path)


def names_in(path: str) -> list[str]:
    """Return the names on the way to an absolute path; without links, `..` follows from the text alone."""
    names: list[str] = []
    for name in path.split("/"):
        if name == "..":
            del names[-1:]
        elif name not in ("", "."):
            names.append(name)
    return names


def as_directory(node: Node, path: str) -> Directory:
    """Return a node that is a directory. Raise OSError (ENOTDIR)."""
    if not isinstance(node, Directory):
        raise os_error(errno.ENOTDIR, path)
    return node


def require_mode(node: Node, bits: int, path: str) -> None:
    """Raise OSError (EACCES) for a node that has none of the `bits` of READABLE, WRITABLE or SEARCHABLE."""
    if not node.mode & bits:
        raise os_error(errno.EACCES, path)


def nodes_below(node: Node) -> Iterator[Node]:
    """Yield a node and all in it, but for what is mounted there."""
    yield node
    if isinstance(node, Directory):
        for entry in node.entries.values():
            yield from nodes_below(entry)


def directories_below(directory: Directory, at: str) -> Iterator[tuple[str, Directory]]:
    """Yield path and node of each directory below one at `at`; not what mounts hide."""
    for name, node in directory.entries.items():
        if isinstance(node, Directory):
            path = f"{at.rstrip('/')}/{name}"
            yield path, node
            if node.mounted is None:
                yield from directories_below(node, path)
