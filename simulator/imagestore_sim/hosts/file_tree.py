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
PAGE = 2**16
HOLE = 2**20
"""Bytes between two parts of a file from which on the zeros between them are not kept."""


@dataclass(slots=True, eq=False)
class File:
    """A file. Zeros at its end, and holes, are counted, not kept: a disk can be filled without filling memory."""

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
    """Its beginning. Bytes may be shared with other files; a write replaces them."""
    pages: dict[int, bytearray] | None = None
    """What is behind a hole of HOLE bytes or more, in pieces of PAGE bytes by their number; None: nothing is."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on; none at the end."""
        length = max(0, min(length, self.size - offset))
        found = bytes(self.content[offset : offset + length])
        if self.pages is None or len(found) == length:
            return found.ljust(length, b"\0")
        whole = bytearray(found.ljust(length, b"\0"))
        first, behind = offset + len(found), offset + length
        for number in range(first // PAGE, -(-behind // PAGE)):
            if (page := self.pages.get(number)) is not None:
                begin, end = max(first, number * PAGE), min(behind, (number + 1) * PAGE)
                whole[begin - offset : end - offset] = page[begin - number * PAGE : end - number * PAGE]
        return bytes(whole)

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset`; what is between it and the end reads as zeros."""
        if self.pages is not None or offset - len(self.content) >= HOLE:
            self._write_pages(offset, data)
        elif offset < len(self.content) or data.count(0) != len(data):
            content = self._own_content()
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data
        self.size = max(self.size, offset + len(data))

    def _write_pages(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset` of a file with a hole: over its beginning, and in pages behind that."""
        here = data[: max(0, len(self.content) - offset)]
        if here:
            self._own_content()[offset : offset + len(here)] = here
            offset, data = offset + len(here), data[len(here) :]
        while data:
            number, at = divmod(offset, PAGE)
            piece = data[: PAGE - at]
            pages = {} if self.pages is None else self.pages
            if number in pages or piece.count(0) != len(piece):
                pages.setdefault(number, bytearray(PAGE))[at : at + len(piece)] = piece
                self.pages = pages
            offset, data = offset + len(piece), data[len(piece) :]

    def truncate(self, size: int) -> None:
        """Make it `size` bytes long, with zeros at its end if it grows."""
        if size < len(self.content):
            del self._own_content()[size:]
        if self.pages is not None and size < self.size:
            number, at = divmod(size, PAGE)
            self.pages = {one: page for one, page in self.pages.items() if one <= number}
            if number in self.pages:
                self.pages[number][at:] = bytes(PAGE - at)
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
    waiting = [node]
    while waiting:  # not by recursion: a tree may be deeper than that goes
        found = waiting.pop()
        yield found
        if isinstance(found, Directory):
            waiting.extend(found.entries.values())


def directories_below(directory: Directory, at: str) -> Iterator[tuple[str, Directory]]:
    """Yield path and node of each directory below one at `at`; not what mounts hide."""
    waiting = [(at, directory)]
    while waiting:  # not by recursion: a tree may be deeper than that goes
        above, found = waiting.pop()
        if found is not directory:
            yield above, found
            if found.mounted is not None:
                continue
        below = [
            (f"{above.rstrip('/')}/{name}", one) for name, one in found.entries.items() if isinstance(one, Directory)
        ]
        waiting.extend(reversed(below))
