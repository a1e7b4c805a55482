"""The tree of a virtual disk: how paths are found in it, disks mounted over its directories, and paths that fail."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from imagestore_sim.clock import Clock
from imagestore_sim.faults.target import Undo
from imagestore_sim.hosts.file_tree import (
    SEARCHABLE,
    Directory,
    Node,
    as_directory,
    directories_below,
    names_in,
    os_error,
    require_mode,
)
from imagestore_sim.hosts.nodes import FILE_MODE, NodeStore
from imagestore_sim.statvfs import Statvfs

if TYPE_CHECKING:
    from imagestore_sim.hosts.disk import VirtualDisk

NAME_LIMIT = 255
"""Bytes of a name in a directory."""
PATH_LIMIT = 4096
"""Bytes of a path, with the zero at its end (PATH_MAX)."""


class MountedTree(NodeStore):
    """A tree of files in which other disks may be mounted. Errors are OSError, with the numbers of Linux."""

    def __init__(self, size: int, used: int, *, inodes: int, reserved: int, read_only: bool, clock: Clock) -> None:
        super().__init__(size, used, inodes=inodes, reserved=reserved, read_only=read_only, clock=clock)
        self._failing = _FailingPaths()

    # Mounts

    def at(self, path: str) -> VirtualDisk:
        """Return the disk that `path` is on."""
        return self._find(path)[0]

    def statvfs(self, path: str) -> Statvfs:
        """Return the numbers of the file system that `path` is on."""
        return self.at(path).numbers()

    def storage_disk(self) -> VirtualDisk:
        """Return the disk of the host's storage: that mounted beside the root's if there is exactly one, else this."""
        this, *mounted = (disk for _, disk in self.mounts())
        return mounted[0] if len(mounted) == 1 else this

    def mount(self, path: str, disk: VirtualDisk) -> None:
        """Mount another disk over a directory, whose own entries stay below it. Raise EBUSY when either is mounted."""
        node = as_directory(self._find(path)[1], path)
        here = {one for _, one in (*self.mounts(), *self.file_systems())}
        if any(node is one._root for one in here) or not here.isdisjoint(one for _, one in disk.mounts()):
            raise os_error(errno.EBUSY, path)
        node.mounted = disk

    def unmount(self, path: str) -> VirtualDisk:
        """Unmount and return the disk that is mounted at `path`. Raise EINVAL where no disk is."""
        _, directory, name = self._place(path, errno.EBUSY)
        node = directory.entries.get(name)
        if not isinstance(node, Directory) or node.mounted is None:
            raise os_error(errno.EINVAL, path)
        disk, node.mounted = node.mounted, None
        return disk

    def mounts(self, at: str = "/") -> Iterator[tuple[str, VirtualDisk]]:
        """Yield this disk and those mounted in it, each with its mount point; not those that cover another one."""
        yield at, cast("VirtualDisk", self)
        for path, node in directories_below(self._root, at):
            if node.mounted is not None:
                yield from node.mounted.mounts(path)

    def file_systems(self, at: str = "/") -> Iterator[tuple[str, VirtualDisk]]:
        """Yield the disks that paths lead to, each with its mount point; not those that another one covers."""
        disk = cast("VirtualDisk", self)
        while disk._root.mounted is not None:
            disk = disk._root.mounted
        yield at, disk
        for path, node in directories_below(disk._root, at):
            if node.mounted is not None:
                yield from node.mounted.file_systems(path)

    def cover(self, path: str, disk: VirtualDisk) -> Undo:
        """Mount a disk over a directory, even over a mount point; return what unmounts it, in any order."""
        _, parent, name = self._place(path, errno.EBUSY)
        lowest = as_directory(parent.entries.get(name) or self._find(path)[1], path)
        as_directory(self._find(path)[1], path).mounted = disk

        def uncover() -> None:
            holder = lowest
            while holder.mounted is not None and holder.mounted is not disk:
                holder = holder.mounted._root
            if holder.mounted is disk:
                holder.mounted = disk._root.mounted

        return uncover

    # What faults do to paths

    def replace(self, path: str, *, by_file: bool) -> Undo:
        """Hide what is at `path`, with an empty file in its place or nothing; return what puts it back.

        What has been made there meanwhile is lost then. No rights are checked.
        """
        disk, parent, name = self._place(path, errno.EBUSY)
        hidden = parent.entries.get(name)
        if hidden is None:
            raise os_error(errno.ENOENT, path)
        if by_file:
            parent.entries[name] = disk._new_file(FILE_MODE)
        else:
            del parent.entries[name]

        def put_back() -> None:
            parent.entries[name] = hidden

        return put_back

    def fail_path(self, path: str, number: int = errno.EACCES) -> Undo:
        """Fail each access to `path`, or below it, with an error number; return what ends that."""
        return self._failing.add(path, number)

    # Paths

    def _find(self, path: str) -> tuple[VirtualDisk, Node]:
        """Return the node at `path`, and the disk that it is on."""
        if not path:
            raise os_error(errno.ENOENT, path)
        _require_length(path)
        self._failing.check(path)
        disk = cast("VirtualDisk", self)
        node: Node = self._root
        for name in names_in(path):
            directory = as_directory(node, path)
            require_mode(directory, SEARCHABLE, path)
            if name not in directory.entries:
                raise os_error(errno.ENOENT, path)
            node = directory.entries[name]
            while isinstance(node, Directory) and node.mounted is not None:
                disk = node.mounted
                node = disk._root
        if path.endswith(("/", "/.")):
            as_directory(node, path)
            require_mode(node, SEARCHABLE, path)
        return disk, node

    def _place(self, path: str, at_root: int) -> tuple[VirtualDisk, Directory, str]:
        """Return the directory that `path` is or would be in, its disk, and the name there.

        `at_root` is the error number for the path `/`, which is in no directory.
        """
        _require_length(path)
        names = names_in(path)
        if not names:
            raise os_error(at_root if path else errno.ENOENT, path)
        self._failing.check(path)
        if len(names[-1].encode(errors="surrogateescape")) > NAME_LIMIT:
            raise os_error(errno.ENAMETOOLONG, path)
        disk, node = self._find("/" + "/".join(names[:-1]))
        directory = as_directory(node, path)
        require_mode(directory, SEARCHABLE, path)
        return disk, directory, names[-1]

    def _existing(self, path: str) -> tuple[VirtualDisk, Directory, str]:
        """Return what `_place` does, for a path that exists."""
        disk, directory, name = self._place(path, errno.EBUSY)
        if name not in directory.entries:
            raise os_error(errno.ENOENT, path)
        return disk, directory, name


def _require_length(path: str) -> None:
    """Raise OSError (ENAMETOOLONG) for a path of PATH_LIMIT bytes or more."""
    if len(path) > PATH_LIMIT // 4 and len(path.encode(errors="surrogateescape")) >= PATH_LIMIT:
        raise os_error(errno.ENAMETOOLONG, path)


class _FailingPaths:
    """Paths whose every access fails."""

    def __init__(self) -> None:
        self._numbers: dict[object, tuple[list[str], int]] = {}

    def add(self, path: str, number: int) -> Undo:
        """Fail accesses to a path, and below it; return what ends that."""
        key = object()
        self._numbers[key] = (names_in(path), number)

        def end() -> None:
            del self._numbers[key]

        return end

    def check(self, path: str) -> None:
        """Raise the error of the first failing path on the way to `path`; of several at one place, of the latest."""
        if not self._numbers:
            return
        names = names_in(path)
        met = [(len(above), number) for above, number in self._numbers.values() if names[: len(above)] == above]
        if met:
            _, number = min(reversed(met), key=lambda one: one[0])
            raise os_error(number, path)
