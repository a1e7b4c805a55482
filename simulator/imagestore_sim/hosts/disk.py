"""A virtual disk: a file system in memory, whose size and use are whatever a test says they are."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.hosts.file_tree import Directory, File, Node
from imagestore_sim.statvfs import BLOCK, INODES, Statvfs, blocks_of

NAME_LIMIT = 255
ROOT_SIZE = 50 * 2**30
DIRECTORY_MODE = 0o755
FILE_MODE = 0o644
_READABLE, _WRITABLE, _SEARCHABLE = 0o444, 0o222, 0o111

Undo = Callable[[], None]
NumbersChange = Callable[[Statvfs], Statvfs]

_devices = itertools.count(0xFD00)  # the major number of virtual block devices, 253


@dataclass(frozen=True, slots=True)
class Entry:
    """What stat tells of a path: sizes in bytes, `modified` in seconds since the epoch, `mode` without the type."""

    directory: bool
    mode: int
    size: int
    inode: int
    links: int
    modified: float
    device: int


class VirtualDisk:
    """A file system of its own; `mount` puts others below it. Paths are absolute, and there are no links.

    Whatever cannot be done raises OSError with the number that Linux would give: ENOENT, ENOTDIR, EEXIST, EISDIR,
    ENOTEMPTY, EBUSY, ENAMETOOLONG, EACCES, EROFS, ENOSPC. Rights are those of an account that is not root, whoever
    asks: without its x bits a directory cannot be entered, without w not be changed, without r not be listed.
    """

    def __init__(
        self,
        size: int = 2**40,
        used: int = 0,
        *,
        inodes: int = INODES,
        reserved: int = 0,
        read_only: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """`size`, `used` and `reserved` (kept for root, so not available) are bytes; 0 `inodes` are not counted.

        Raises ValueError for a number below zero.
        """
        self._clock = clock or RealClock()
        self._numbers = itertools.count(2)
        self._root = Directory(next(self._numbers), DIRECTORY_MODE, self._clock.time())
        self._inodes_used = 1
        self._written = 0  # blocks of the files in the tree
        self._others = 0  # blocks of data that nobody sees
        self._changes: list[NumbersChange] = []
        self._barred: dict[object, tuple[list[str], int]] = {}
        self.device = next(_devices)
        self.read_only = read_only
        self.inodes = inodes
        self.reserved = reserved
        self.resize(size)
        self.used = used

    # Numbers

    @property
    def size(self) -> int:
        """Bytes in all: whole blocks, what is over is not used."""
        return self.numbers().blocks * BLOCK

    def resize(self, size: int) -> None:
        """Grow or shrink to `size` bytes, even below what is used; raises ValueError below zero."""
        self._blocks = _not_negative("size", size) // BLOCK

    @property
    def used(self) -> int:
        """Bytes in use, whole blocks; set it to model data of others beside the files that are in the tree.

        Raises ValueError when set to less than the files take. Directories take no blocks.
        """
        return self.numbers().taken * BLOCK

    @used.setter
    def used(self, used: int) -> None:
        blocks = blocks_of(_not_negative("used", used))
        if blocks < self._written:
            raise ValueError(f"used cannot be {used}: the files on this disk take {self._written * BLOCK} bytes")
        self._others = blocks - self._written

    @property
    def reserved(self) -> int:
        """Bytes kept for root, whole blocks."""
        return self._reserved * BLOCK

    @reserved.setter
    def reserved(self, reserved: int) -> None:
        self._reserved = blocks_of(_not_negative("reserved", reserved))

    @property
    def available(self) -> int:
        """Bytes that ordinary users can still write: f_bavail x f_frsize, never below zero."""
        return self.numbers().available * BLOCK

    @property
    def inodes(self) -> int:
        """How many files and directories it can hold; 0 when it does not count them."""
        return self._inodes

    @inodes.setter
    def inodes(self, inodes: int) -> None:
        self._inodes = _not_negative("inodes", inodes)

    def numbers(self) -> Statvfs:
        """Its numbers, as what has been changed in them by `change` leaves them."""
        numbers = Statvfs(
            blocks=self._blocks,
            taken=self._written + self._others,
            reserved=self._reserved,
            inodes=self._inodes,
            taken_inodes=self._inodes_used,
            device=self.device,
            read_only=self.read_only,
        )
        for change in self._changes:
            numbers = change(numbers)
        return numbers

    def change(self, change: NumbersChange) -> Undo:
        """Have other numbers than its own, after what changes them already; answers what ends that."""
        self._changes.append(change)
        return lambda: self._changes.remove(change)

    def storage_disk(self) -> VirtualDisk:
        """Return the disk of the host's storage: that mounted beside the root's if there is exactly one, else this."""
        _, *mounted = (disk for _, disk in self.mounts())
        return mounted[0] if len(mounted) == 1 else self

    def at(self, path: str) -> VirtualDisk:
        """The disk that `path` is on."""
        return self._find(path)[0]

    def statvfs(self, path: str) -> Statvfs:
        """The numbers of the file system that `path` is on."""
        disk, _ = self._find(path)
        return disk.numbers()

    # Looking

    def stat(self, path: str) -> Entry:
        """What is at `path`."""
        disk, node = self._find(path)
        return disk._entry(node)

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, in order."""
        directory = _as_directory(self._find(path)[1], path)
        _allow(directory, _READABLE, path)
        return sorted(directory.entries)

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`, and the way to it is open."""
        return self._look(path) is not None

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory at `path`."""
        return isinstance(self._look(path), Directory)

    def is_file(self, path: str) -> bool:
        """Whether there is a file at `path`."""
        return isinstance(self._look(path), File)

    def read_file(self, path: str) -> bytes:
        """All that a file holds."""
        file = self.open(path)
        return file.read(0, file.size)

    # Changing

    def make_directory(self, path: str, parents: bool = False, mode: int = DIRECTORY_MODE) -> None:
        """Make a directory; with `parents` those above it too, and one that is there already will do."""
        if parents:
            self._make_directories(_parts(path), mode)
            return
        disk, directory, name = self._place(path, errno.EEXIST)
        if name in directory.entries:
            raise _error(errno.EEXIST, path)
        disk._claim(directory, path, blocks=1)
        disk._insert(directory, name, Directory(next(disk._numbers), mode, self._clock.time()))

    def _make_directories(self, parts: list[str], mode: int) -> None:
        for depth in range(1, len(parts) + 1):
            path = "/" + "/".join(parts[:depth])
            node = self._find_or_none(path)
            if node is None:
                self.make_directory(path, mode=mode)
            elif isinstance(node, File):
                raise _error(errno.EEXIST if depth == len(parts) else errno.ENOTDIR, path)

    def furnish(self, paths: Iterable[str]) -> None:
        """Make directories as whoever set the machine up would have: before the disk was full, or read-only."""
        for path in paths:
            directory = self._root
            for name in _parts(path):
                if name not in directory.entries:
                    self._insert(directory, name, Directory(next(self._numbers), DIRECTORY_MODE, self._clock.time()))
                directory = _as_directory(directory.entries[name], path)

    def open(
        self,
        path: str,
        *,
        write: bool = False,
        create: bool = False,
        exclusive: bool = False,
        truncate: bool = False,
        mode: int = FILE_MODE,
    ) -> OpenFile:
        """A file to read, and to `write` if it may be written.

        With `create` it is made where it is missing, with `exclusive` it has to be missing; `truncate` empties it.
        """
        disk, directory, name = self._place(path, errno.EISDIR)
        node = directory.entries.get(name)
        if node is None and create:
            node = disk._make_file(directory, name, path, mode)
        elif node is None:
            raise _error(errno.ENOENT, path)
        elif create and exclusive:
            raise _error(errno.EEXIST, path)
        if isinstance(node, Directory):
            raise _error(errno.EISDIR, path)
        if write:
            disk._allow_change(node, path)
        file = OpenFile(disk, node, path)
        if truncate:
            file.truncate(0)
        return file

    def _make_file(self, directory: Directory, name: str, path: str, mode: int) -> File:
        self._claim(directory, path)
        file = File(next(self._numbers), mode, self._clock.time())
        self._insert(directory, name, file)
        return file

    def write_file(self, path: str, content: bytes) -> None:
        """Write a file anew."""
        self.open(path, create=True, truncate=True).write(0, content)

    def remove(self, path: str) -> None:
        """Remove a file, or a directory with all that is in it."""
        disk, directory, name = self._existing(path)
        doomed = list(_below(directory.entries[name]))
        if any(isinstance(node, Directory) and node.mounted for node in doomed):
            raise _error(errno.EBUSY, path)
        disk._allow_change(directory, path)
        disk._unlink(directory, name, doomed)

    def remove_file(self, path: str) -> None:
        """Remove a file, as unlink does."""
        disk, directory, name = self._existing(path)
        node = directory.entries[name]
        if isinstance(node, Directory):
            raise _error(errno.EISDIR, path)
        disk._allow_change(directory, path)
        disk._unlink(directory, name, [node])

    def remove_directory(self, path: str) -> None:
        """Remove a directory that is empty, as rmdir does."""
        disk, directory, name = self._existing(path)
        node = _as_directory(directory.entries[name], path)
        if node.mounted:
            raise _error(errno.EBUSY, path)
        if node.entries:
            raise _error(errno.ENOTEMPTY, path)
        disk._allow_change(directory, path)
        disk._unlink(directory, name, [node])

    def rename(self, old: str, new: str, *, replace: bool = True) -> None:
        """Give a file or directory another name on the same disk; a file that is there is replaced if it may be."""
        disk, source, old_name = self._existing(old)
        target_disk, target, new_name = self._place(new, errno.EBUSY)
        if disk is not target_disk:
            raise _error(errno.EXDEV, new)
        node, other = source.entries[old_name], target.entries.get(new_name)
        if other is node:
            return
        if target in _below(node):
            raise _error(errno.EINVAL, new)
        disk._allow_change(source, old)
        disk._allow_change(target, new)
        if other is not None:
            self._make_way(node, new, replace=replace)
        del source.entries[old_name]
        target.entries[new_name] = node
        source.modified = target.modified = self._clock.time()

    def chmod(self, path: str, mode: int) -> None:
        """Change the rights on a path; `mode` is the usual nine bits."""
        disk, node = self._find(path)
        disk._change_mode(node, mode, path)

    def _change_mode(self, node: Node, mode: int, path: str) -> None:
        self._allow_writing(path)
        node.mode = mode & 0o7777

    # Mounting

    def mount(self, path: str, disk: VirtualDisk) -> None:
        """Put another disk over a directory, whose own entries stay below it; raises EBUSY when either is mounted."""
        node = _as_directory(self._find(path)[1], path)
        here = {one for _, one in self.mounts()}
        if any(node is one._root for one in here) or not here.isdisjoint(one for _, one in disk.mounts()):
            raise _error(errno.EBUSY, path)
        node.mounted = disk

    def unmount(self, path: str) -> VirtualDisk:
        """Take the disk away that is mounted at `path`; answers it. Raises EINVAL when there is none."""
        _, directory, name = self._place(path, errno.EBUSY)
        node = directory.entries.get(name)
        if not isinstance(node, Directory) or node.mounted is None:
            raise _error(errno.EINVAL, path)
        disk, node.mounted = node.mounted, None
        return disk

    def mounts(self, at: str = "/") -> Iterator[tuple[str, VirtualDisk]]:
        """This disk and those below it, each with its mount point."""
        yield at, self
        for path, node in _directories(self._root, at):
            if node.mounted is not None:
                yield from node.mounted.mounts(path)

    # What befalls a path

    def cover(self, path: str, disk: VirtualDisk) -> Undo:
        """Put a disk over a directory, even one that is mounted on; answers what takes it away, in any order."""
        _, parent, name = self._place(path, errno.EBUSY)
        lowest = _as_directory(parent.entries.get(name) or self._find(path)[1], path)
        _as_directory(self._find(path)[1], path).mounted = disk

        def uncover() -> None:
            holder = lowest
            while holder.mounted is not None and holder.mounted is not disk:
                holder = holder.mounted._root
            if holder.mounted is disk:
                holder.mounted = disk._root.mounted

        return uncover

    def replace(self, path: str, *, by_file: bool) -> Undo:
        """Have what is at `path` out of sight, with a file in its place or nothing; answers what puts it back.

        What has been made there meanwhile is lost then. No rights are asked for.
        """
        disk, parent, name = self._place(path, errno.EBUSY)
        hidden = parent.entries.get(name)
        if hidden is None:
            raise _error(errno.ENOENT, path)
        if by_file:
            parent.entries[name] = File(next(disk._numbers), FILE_MODE, self._clock.time())
        else:
            del parent.entries[name]

        def put_back() -> None:
            parent.entries[name] = hidden

        return put_back

    def bar(self, path: str, number: int = errno.EACCES) -> Undo:
        """Have whatever touches `path`, or anything below it, fail with an error number; answers what ends that."""
        bar = object()
        self._barred[bar] = (_parts(path), number)

        def end() -> None:
            del self._barred[bar]

        return end

    def _ask_for_admission(self, path: str) -> None:
        """Raise OSError: of what a walk down from the root meets first, and of those at one place the latest."""
        parts = _parts(path)
        met = [(len(barred), number) for barred, number in self._barred.values() if parts[: len(barred)] == barred]
        if met:
            _, number = min(reversed(met), key=lambda one: one[0])
            raise _error(number, path)

    # The tree

    def _find(self, path: str) -> tuple[VirtualDisk, Node]:
        """The node at `path` and the disk that it is on."""
        if not path:
            raise _error(errno.ENOENT, path)
        if self._barred:
            self._ask_for_admission(path)
        disk: VirtualDisk = self
        node: Node = self._root
        for name in _parts(path):
            directory = _as_directory(node, path)
            _allow(directory, _SEARCHABLE, path)
            if name not in directory.entries:
                raise _error(errno.ENOENT, path)
            node = directory.entries[name]
            while isinstance(node, Directory) and node.mounted is not None:
                disk = node.mounted
                node = disk._root
        if path.endswith(("/", "/.")):
            _as_directory(node, path)
            _allow(node, _SEARCHABLE, path)
        return disk, node

    def _find_or_none(self, path: str) -> Node | None:
        try:
            return self._find(path)[1]
        except FileNotFoundError:
            return None

    def _look(self, path: str) -> Node | None:
        try:
            return self._find(path)[1]
        except OSError:
            return None  # a question whose answer is no, whatever stands in the way

    def _place(self, path: str, at_root: int) -> tuple[VirtualDisk, Directory, str]:
        """The directory that `path` is or would be in, its disk, and the name there; `at_root` is / 's own error."""
        parts = _parts(path)
        if not parts:
            raise _error(at_root if path else errno.ENOENT, path)
        if self._barred:
            self._ask_for_admission(path)
        if len(parts[-1].encode(errors="surrogateescape")) > NAME_LIMIT:
            raise _error(errno.ENAMETOOLONG, path)
        disk, node = self._find("/" + "/".join(parts[:-1]))
        directory = _as_directory(node, path)
        _allow(directory, _SEARCHABLE, path)
        return disk, directory, parts[-1]

    def _existing(self, path: str) -> tuple[VirtualDisk, Directory, str]:
        disk, directory, name = self._place(path, errno.EBUSY)
        if name not in directory.entries:
            raise _error(errno.ENOENT, path)
        return disk, directory, name

    def _entry(self, node: Node) -> Entry:
        if isinstance(node, File):
            return Entry(False, node.mode, node.size, node.inode, 1, node.modified, self.device)
        links = 2 + sum(isinstance(one, Directory) for one in node.entries.values())
        return Entry(True, node.mode, BLOCK, node.inode, links, node.modified, self.device)

    def _allow_writing(self, path: str) -> None:
        if self.numbers().read_only:
            raise _error(errno.EROFS, path)

    def _allow_change(self, node: Node, path: str) -> None:
        self._allow_writing(path)
        _allow(node, _WRITABLE, path)

    def _claim(self, directory: Directory, path: str, *, blocks: int = 0) -> None:
        """Make sure that one more thing fits into `directory`, with `blocks` free for it."""
        self._allow_change(directory, path)
        numbers = self.numbers()
        if numbers.available < blocks or (numbers.inodes and not numbers.free_inodes):
            raise _error(errno.ENOSPC, path)

    def _insert(self, directory: Directory, name: str, node: Node) -> None:
        directory.entries[name] = node
        directory.modified = self._clock.time()
        self._inodes_used += 1

    def _unlink(self, directory: Directory, name: str, nodes: list[Node]) -> None:
        """Take a name out of `directory`, and give back what `nodes`, all that is behind it, took."""
        del directory.entries[name]
        directory.modified = self._clock.time()
        self._inodes_used -= len(nodes)
        for node in nodes:
            if isinstance(node, File):
                self._written -= blocks_of(node.size)
                node.linked = False

    def _make_way(self, node: Node, path: str, *, replace: bool) -> None:
        """Remove what stands where `node` is to go, if it may be replaced by it."""
        if not replace:
            raise _error(errno.EEXIST, path)
        if isinstance(node, Directory):
            self.remove_directory(path)
        else:
            self.remove_file(path)

    def _reshape(self, file: File, size: int, path: str) -> None:
        """Account for a file that is to have `size` bytes; raises EROFS, ENOSPC."""
        self._allow_writing(path)
        more = blocks_of(size) - blocks_of(file.size)
        if more > self.numbers().available:
            raise _error(errno.ENOSPC, path)
        if file.linked:
            self._written += more
        file.modified = self._clock.time()


class OpenFile:
    """A file that has been opened: it can be read and written whatever becomes of its name. It needs no closing."""

    def __init__(self, disk: VirtualDisk, file: File, path: str) -> None:
        self._disk = disk
        self._file = file
        self.path = path

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self._file.size

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` on; raises EACCES."""
        _allow(self._file, _READABLE, self.path)
        return self._file.read(offset, length)

    def write(self, offset: int, data: bytes) -> int:
        """Write all of `data` at `offset`; raises EACCES, EROFS, ENOSPC, and then nothing has been written."""
        _allow(self._file, _WRITABLE, self.path)
        self._disk._reshape(self._file, max(self.size, offset + len(data)), self.path)
        self._file.write(offset, data)
        return len(data)

    def extend(self, size: int) -> None:
        """Write `size` zeros at the end, which take no memory; raises as `write` does."""
        _allow(self._file, _WRITABLE, self.path)
        self._disk._reshape(self._file, self.size + size, self.path)
        self._file.size += size

    def truncate(self, size: int) -> None:
        """Make it `size` bytes long; raises as `write` does."""
        _allow(self._file, _WRITABLE, self.path)
        self._disk._reshape(self._file, size, self.path)
        self._file.truncate(size)

    def chmod(self, mode: int) -> None:
        """Change the rights on it; raises EROFS."""
        self._disk._change_mode(self._file, mode, self.path)

    def stat(self) -> Entry:
        """What stat tells of it."""
        return self._disk._entry(self._file)

    def statvfs(self) -> Statvfs:
        """The numbers of the disk that it is on."""
        return self._disk.numbers()


def _not_negative(name: str, number: int) -> int:
    if number < 0:
        raise ValueError(f"{name} cannot be {number}")
    return number


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


def _parts(path: str) -> list[str]:
    """The names on the way to `path`; without links, `..` can be told from the text alone."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def _as_directory(node: Node, path: str) -> Directory:
    if not isinstance(node, Directory):
        raise _error(errno.ENOTDIR, path)
    return node


def _allow(node: Node, bits: int, path: str) -> None:
    if not node.mode & bits:
        raise _error(errno.EACCES, path)


def _below(node: Node) -> Iterator[Node]:
    """A node and all in it."""
    yield node
    if isinstance(node, Directory):
        for entry in node.entries.values():
            yield from _below(entry)


def _directories(directory: Directory, at: str) -> Iterator[tuple[str, Directory]]:
    for name, node in directory.entries.items():
        if isinstance(node, Directory):
            path = f"{at.rstrip('/')}/{name}"
            yield path, node
            if node.mounted is None:
                yield from _directories(node, path)


def mounted_on_root(disk: VirtualDisk, path: str, clock: Clock | None) -> VirtualDisk:
    """A root's disk with another one mounted at `path`, as most machines have it."""
    root = VirtualDisk(ROOT_SIZE, ROOT_SIZE // 5, clock=clock)
    root.make_directory(path, parents=True)
    root.mount(path, disk)
    return root
