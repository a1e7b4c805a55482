"""A virtual disk: a file system in memory, whose size and use are what a test sets them to."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.hosts.file_tree import (
    READABLE,
    SEARCHABLE,
    Directory,
    File,
    Node,
    as_directory,
    names_in,
    nodes_below,
    os_error,
    require_mode,
)
from imagestore_sim.hosts.mounts import MountedTree
from imagestore_sim.hosts.nodes import DIRECTORY_MODE, FILE_MODE
from imagestore_sim.hosts.open_file import Entry, OpenFile
from imagestore_sim.statvfs import INODES

MOST_READ = 64 * 2**20
"""Bytes of a file that a program of a host reads as a whole."""
ROOT_SIZE = 50 * 2**30
"""Bytes of a root's disk that another disk is mounted in."""


class VirtualDisk(MountedTree):
    """A file system of its own; `mount` puts others below it. Paths are absolute, and there are no links.

    What is not possible raises OSError with the number that Linux would give: ENOENT, ENOTDIR, EEXIST, EISDIR,
    ENOTEMPTY, EBUSY, ENAMETOOLONG, EACCES, EROFS, ENOSPC. Rights are those of an account that is not root, for all
    callers: without its x bits a directory cannot be entered, without w not be changed, without r not be listed.
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

        Raise ValueError for a number below zero.
        """
        super().__init__(size, used, inodes=inodes, reserved=reserved, read_only=read_only, clock=clock or RealClock())

    # Reading

    def stat(self, path: str) -> Entry:
        """Return the attributes that stat returns for a path."""
        disk, node = self._find(path)
        return disk.entry_of(node)

    def listdir(self, path: str) -> list[str]:
        """Return the names in a directory, in order."""
        directory = as_directory(self._find(path)[1], path)
        require_mode(directory, READABLE, path)
        return sorted(directory.entries)

    def exists(self, path: str) -> bool:
        """Return whether `path` can be reached."""
        return self._find_or_none(path) is not None

    def is_directory(self, path: str) -> bool:
        """Return whether `path` can be reached, and is a directory."""
        return isinstance(self._find_or_none(path), Directory)

    def is_file(self, path: str) -> bool:
        """Return whether `path` can be reached, and is a file."""
        return isinstance(self._find_or_none(path), File)

    def _find_or_none(self, path: str) -> Node | None:
        try:
            return self._find(path)[1]
        except OSError:
            return None

    def require_executable(self, path: str) -> None:
        """Raise OSError (EACCES) for a file that may not be run."""
        require_mode(self._find(path)[1], SEARCHABLE, path)

    def read_file(self, path: str) -> bytes:
        """Return all that a file holds. Raise OSError (ENOMEM) for one of more than MOST_READ bytes."""
        file = self.open(path)
        if file.size > MOST_READ:  # zeros that take no memory would take it here
            raise os_error(errno.ENOMEM, path)
        return file.read(0, file.size)

    # Making

    def make_directory(self, path: str, parents: bool = False, mode: int = DIRECTORY_MODE) -> None:
        """Make a directory; with `parents` those above it too, and one that exists already is no error."""
        if parents:
            self._make_directories(names_in(path), mode)
            return
        disk, directory, name = self._place(path, errno.EEXIST)
        if name in directory.entries:
            raise os_error(errno.EEXIST, path)
        disk._require_change(directory, path)
        disk.require_room(path, blocks=1)
        disk._insert(directory, name, disk._new_directory(mode))

    def _make_directories(self, names: list[str], mode: int) -> None:
        for depth in range(1, len(names) + 1):
            path = "/" + "/".join(names[:depth])
            try:
                node = self._find(path)[1]
            except FileNotFoundError:
                self.make_directory(path, mode=mode)
                continue
            if isinstance(node, File):
                raise os_error(errno.EEXIST if depth == len(names) else errno.ENOTDIR, path)

    def furnish(self, paths: Iterable[str]) -> None:
        """Make directories as the installation of a machine does: before the disk was full, or read-only."""
        for path in paths:
            directory = self._root
            for name in names_in(path):
                if name not in directory.entries:
                    self._insert(directory, name, self._new_directory(DIRECTORY_MODE))
                directory = as_directory(directory.entries[name], path)

    def install(self, path: str, content: bytes, mode: int = FILE_MODE) -> None:
        """Write a file of the machine's own programs, which takes no space, whatever the rights on its way."""
        file = self._installed_file(path, mode)
        file.content, file.size = content, len(content)

    def log(self, path: str, line: str, most: int) -> None:
        """Append a line to a file as `install` makes it; the older half goes where it has more than `most` bytes."""
        file = self._installed_file(path, FILE_MODE)
        kept = file.read(0, file.size)
        if len(kept) > most:
            kept = kept[len(kept) // 2 :].partition(b"\n")[2]
            file.truncate(0)
            file.write(0, kept)
        file.write(file.size, f"{line}\n".encode())
        file.modified = self._clock.time()

    def _installed_file(self, path: str, mode: int) -> File:
        """Return a file, made with the directories above it where it is missing. Raise OSError (ENOTDIR, EISDIR)."""
        disk, directory = self, self._root
        *above, name = names_in(path)
        for one in above:
            if one not in directory.entries:
                made = disk._new_directory(DIRECTORY_MODE)
                made.installed = True
                disk._insert(directory, one, made)
            directory = as_directory(directory.entries[one], path)
            while directory.mounted is not None:
                disk, directory = directory.mounted, directory.mounted._root
        if name not in directory.entries:
            file = disk._new_file(mode)
            file.installed = True
            disk._insert(directory, name, file)
        node = directory.entries[name]
        if isinstance(node, Directory):
            raise os_error(errno.EISDIR, path)
        return node

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
        """Return a file to read, and to `write` if it may be written.

        With `create` it is made where it is missing, with `exclusive` it has to be missing; `truncate` empties it.
        """
        disk, directory, name = self._place(path, errno.EISDIR)
        node = directory.entries.get(name)
        if node is None and create:
            node = disk._make_file(directory, name, path, mode)
        elif node is None:
            raise os_error(errno.ENOENT, path)
        elif create and exclusive:
            raise os_error(errno.EEXIST, path)
        if isinstance(node, Directory):
            raise os_error(errno.EISDIR, path)
        if write:
            disk._require_change(node, path)
        file = OpenFile(disk, node, path)
        if truncate:
            file.truncate(0)
        return file

    def _make_file(self, directory: Directory, name: str, path: str, mode: int) -> File:
        self._require_change(directory, path)
        self.require_room(path)
        file = self._new_file(mode)
        self._insert(directory, name, file)
        return file

    def write_file(self, path: str, content: bytes) -> None:
        """Write a file, in place of one that exists."""
        self.open(path, create=True, truncate=True).write(0, content)

    # Changing

    def remove(self, path: str) -> None:
        """Remove a file, or a directory with all that is in it."""
        disk, directory, name = self._existing(path)
        removed = list(nodes_below(directory.entries[name]))
        if any(isinstance(node, Directory) and node.mounted for node in removed):
            raise os_error(errno.EBUSY, path)
        disk._require_change(directory, path)
        disk._unlink(directory, name, removed)

    def remove_file(self, path: str) -> None:
        """Remove a file, as unlink does."""
        disk, directory, name = self._existing(path)
        node = directory.entries[name]
        if isinstance(node, Directory):
            raise os_error(errno.EISDIR, path)
        disk._require_change(directory, path)
        disk._unlink(directory, name, [node])

    def remove_directory(self, path: str) -> None:
        """Remove a directory that is empty, as rmdir does."""
        disk, directory, name = self._existing(path)
        node = as_directory(directory.entries[name], path)
        if node.mounted:
            raise os_error(errno.EBUSY, path)
        if node.entries:
            raise os_error(errno.ENOTEMPTY, path)
        disk._require_change(directory, path)
        disk._unlink(directory, name, [node])

    def rename(self, old: str, new: str, *, replace: bool = True) -> None:
        """Give a file or directory another name on the same disk; with `replace` in place of one that it may replace.

        A file replaces a file, a directory an empty directory.
        """
        disk, source, old_name = self._existing(old)
        target_disk, target, new_name = self._place(new, errno.EBUSY)
        if disk is not target_disk:
            raise os_error(errno.EXDEV, new)
        node, other = source.entries[old_name], target.entries.get(new_name)
        if other is node:
            return
        if target in nodes_below(node):
            raise os_error(errno.EINVAL, new)
        disk._require_change(source, old)
        disk._require_change(target, new)
        if other is not None and not replace:
            raise os_error(errno.EEXIST, new)
        if other is not None and isinstance(node, Directory):
            self.remove_directory(new)
        elif other is not None:
            self.remove_file(new)
        del source.entries[old_name]
        target.entries[new_name] = node
        source.modified = target.modified = self._clock.time()

    def chmod(self, path: str, mode: int) -> None:
        """Change the rights on a path; `mode` is the usual nine bits."""
        disk, node = self._find(path)
        disk.change_mode(node, mode, path)


def mounted_on_root(disk: VirtualDisk, path: str, clock: Clock | None) -> VirtualDisk:
    """Return a root's disk with another disk mounted at `path`, as most machines have it."""
    root = VirtualDisk(ROOT_SIZE, ROOT_SIZE // 5, clock=clock)
    root.make_directory(path, parents=True)
    root.mount(path, disk)
    return root
