"""The nodes of one virtual disk: made, named, removed, and accounted for in its space."""

from __future__ import annotations

import itertools
import sys

from imagestore_sim.clock import Clock
from imagestore_sim.hosts.disk_space import DiskSpace
from imagestore_sim.hosts.file_tree import WRITABLE, Directory, File, Node, require_mode
from imagestore_sim.hosts.open_file import Entry
from imagestore_sim.statvfs import BLOCK, blocks_of

DIRECTORY_MODE = 0o755
FILE_MODE = 0o644


class NodeStore(DiskSpace):
    """The directories and files of one disk, whatever their paths. Errors are OSError, with the numbers of Linux."""

    def __init__(self, size: int, used: int, *, inodes: int, reserved: int, read_only: bool, clock: Clock) -> None:
        super().__init__(size, used, inodes=inodes, reserved=reserved, read_only=read_only)
        self._clock = clock
        self._inode_numbers = itertools.count(2)
        self._root = self._new_directory(DIRECTORY_MODE)

    def _new_directory(self, mode: int) -> Directory:
        return Directory(next(self._inode_numbers), mode, self._clock.time())

    def _new_file(self, mode: int) -> File:
        return File(next(self._inode_numbers), mode, self._clock.time())

    def _require_change(self, node: Node, path: str) -> None:
        self.require_writable(path)
        require_mode(node, WRITABLE, path)

    def _insert(self, directory: Directory, name: str, node: Node) -> None:
        directory.entries[sys.intern(name)] = node
        directory.modified = node.modified
        self._inodes_used += not node.installed

    def _unlink(self, directory: Directory, name: str, nodes: list[Node]) -> None:
        """Take a name out of `directory`, and give back what `nodes`, all that is behind it, took."""
        del directory.entries[name]
        directory.modified = self._clock.time()
        self._inodes_used -= sum(not node.installed for node in nodes)
        for node in nodes:
            if isinstance(node, File):
                self._written -= 0 if node.installed else blocks_of(node.size)
                node.linked = False

    def entry_of(self, node: Node) -> Entry:
        """Return the attributes that stat returns for a node of this disk."""
        if isinstance(node, File):
            return Entry(False, node.mode, node.size, node.inode, 1, node.modified, self.device)
        links = 2 + sum(isinstance(one, Directory) for one in node.entries.values())
        return Entry(True, node.mode, BLOCK, node.inode, links, node.modified, self.device)

    def change_mode(self, node: Node, mode: int, path: str) -> None:
        """Change the rights on a node of this disk. Raise OSError (EROFS)."""
        self.require_writable(path)
        node.mode = mode & 0o7777

    def reshape(self, file: File, size: int, path: str) -> None:
        """Account for a file of this disk that is about to have `size` bytes. Raise OSError (EROFS, ENOSPC)."""
        self.account_for(file, size, path)
        file.modified = self._clock.time()
