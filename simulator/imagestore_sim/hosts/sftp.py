"""SFTP over a virtual disk, with the answers of OpenSSH's server."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import asyncssh
from asyncssh.packet import Byte, String, UInt32
from typing_extensions import override

from imagestore_sim.clock import RealClock
from imagestore_sim.faults.behaviour import Behaviour
from imagestore_sim.hosts.link import Link
from imagestore_sim.hosts.mounts import NAME_LIMIT
from imagestore_sim.hosts.nodes import DIRECTORY_MODE, FILE_MODE
from imagestore_sim.hosts.open_file import Entry, OpenFile
from imagestore_sim.statvfs import BLOCK, Statvfs

if TYPE_CHECKING:
    from imagestore_sim.hosts.host import SimulatedHost

P = ParamSpec("P")
T = TypeVar("T")
SFTP_VERSION = 3
"""OpenSSH's."""
MOST_READ = 256 * 1024
"""Bytes that one request reads, as in OpenSSH's server: a client asks again for the rest."""
_READ_ONLY = 1  # SSH_FXE_STATVFS_ST_RDONLY
_INIT, _STAT, _EXTENDED = 1, 17, 200  # types of requests
_ATTRIBUTES_REPLY, _EXTENDED_REPLY = Byte(105), Byte(201)
_STATVFS = String(b"statvfs@openssh.com")
_TYPE_AT, _NUMBER_AT, _BODY_AT = 4, 5, 9  # after the length of a request
_NUMBERS = struct.Struct(">11Q")
_STATVFS_HEAD = UInt32(1 + 4 + _NUMBERS.size) + _EXTENDED_REPLY  # before the number of the request
_ATTRIBUTES = struct.Struct(">IQ5I")  # flags, size, owner, group, permissions, times
_ALL_ATTRIBUTES = 1 | 2 | 4 | 8  # SSH_FILEXFER_ATTR flags of version 3
_STAT_HEAD = UInt32(1 + 4 + _ATTRIBUTES.size) + _ATTRIBUTES_REPLY

# errno_to_portable in OpenSSH's sftp-server.c; every other number is FX_FAILURE.
_NO_SUCH_FILE = (asyncssh.FX_NO_SUCH_FILE, "No such file")
_PERMISSION_DENIED = (asyncssh.FX_PERMISSION_DENIED, "Permission denied")
_BAD_MESSAGE = (asyncssh.FX_BAD_MESSAGE, "Bad message")
_FAILURE = (asyncssh.FX_FAILURE, "Failure")
_ANSWERS: Mapping[int, tuple[int, str]] = {
    errno.ENOENT: _NO_SUCH_FILE,
    errno.ENOTDIR: _NO_SUCH_FILE,
    errno.EBADF: _NO_SUCH_FILE,
    errno.EPERM: _PERMISSION_DENIED,
    errno.EACCES: _PERMISSION_DENIED,
    errno.ENAMETOOLONG: _BAD_MESSAGE,
    errno.EINVAL: _BAD_MESSAGE,
}


@contextmanager
def _answering() -> Iterator[None]:
    """Turn errors of the disk into those of OpenSSH's server. Raise SFTPError."""
    try:
        yield
    except OSError as error:
        raise asyncssh.SFTPError(*_ANSWERS.get(error.errno or 0, _FAILURE)) from error


class Handle:
    """A file that a client has opened, with its access flags."""

    def __init__(self, file: OpenFile, flags: int) -> None:
        self.file = file
        self._flags = flags

    def read(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset` on. Raise OSError (EBADF where it is not open for that)."""
        if not self._flags & asyncssh.FXF_READ:
            raise OSError(errno.EBADF, "not open for reading")
        return self.file.read(offset, size)

    def write(self, offset: int, data: bytes) -> int:
        """Write at `offset`, or at the end with FXF_APPEND; return the length. Raise OSError."""
        if not self._flags & asyncssh.FXF_WRITE:
            raise OSError(errno.EBADF, "not open for writing")
        return self.file.write(self.file.size if self._flags & asyncssh.FXF_APPEND else offset, data)

    def seek(self, offset: int, whence: int) -> int:
        """Return where data (os.SEEK_DATA) or a hole (os.SEEK_HOLE) begins: there are no holes.

        asyncssh calls this of files for a remote copy. Raise OSError (ENXIO) at the end.
        """
        if offset >= self.file.size:
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
        return offset if whence == os.SEEK_DATA else self.file.size


def _waits_for_path(
    ask: Callable[Concatenate[DiskServer, bytes, P], T],
) -> Callable[Concatenate[DiskServer, bytes, P], T | Awaitable[T]]:
    """Answer a request about a path once neither that nor the server hangs; later requests wait for it too."""

    @wraps(ask)
    def ask_in_time(self: DiskServer, path: bytes, /, *args: P.args, **kwargs: P.kwargs) -> T | Awaitable[T]:
        if self.is_stuck(path, self.host.behaviour):
            return ask_later(self, path, *args, **kwargs)
        return ask(self, path, *args, **kwargs)

    async def ask_later(self: DiskServer, path: bytes, *args: P.args, **kwargs: P.kwargs) -> T:
        await self.until_free(path)
        return ask(self, path, *args, **kwargs)

    return ask_in_time


class DiskServer(asyncssh.SFTPServer):
    """Serves a host's disk; relative paths begin at `home`. The real file system is never accessed."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], host: SimulatedHost, link: Link, home: str) -> None:
        super().__init__(channel)
        self.host = host
        self._link = link
        self._disk = host.disk
        self._home = home
        self._has_statvfs = host.statvfs and not host.behaviour.no_statvfs
        self._has_begun = False
        """Whether a client has begun with SSH_FXP_INIT, in real time: in virtual time the turns of an answer count."""

    def answer_at_once(self, request: bytes) -> bytes | None:
        """Return the answer to a request of the kinds that nodes send: stat, and statvfs each minute.

        Return None for any other request, and for one that fails or hangs: asyncssh answers it, with twice the work.
        """
        if len(request) < _BODY_AT:
            return None
        kind, body = request[_TYPE_AT], request[_BODY_AT:]
        if not self._has_begun:
            self._has_begun = kind == _INIT and isinstance(self.host.clock, RealClock)
            return None
        if kind == _EXTENDED and self._has_statvfs and body.startswith(_STATVFS):
            path = body[len(_STATVFS) + 4 :]
        elif kind == _STAT:
            path = body[4:]
        else:
            return None
        if not body.endswith(UInt32(len(path)) + path) or self.is_stuck(path, self.host.behaviour):
            return None
        number = request[_NUMBER_AT:_BODY_AT]
        try:
            if kind == _STAT:
                return _STAT_HEAD + number + _packed(self._disk.stat(self._path(path)))
            return _STATVFS_HEAD + number + _NUMBERS.pack(*_statvfs_numbers(self._disk.statvfs(self._path(path))))
        except (OSError, struct.error):
            return None

    def is_stuck(self, path: bytes, now: Behaviour) -> bool:
        """Return whether a request about `path` gets no answer now."""
        return now.hung_sftp or (bool(now.hung_paths) and now.hangs(posixpath.normpath(self._path(path))))

    async def until_free(self, path: bytes) -> None:
        """Wait until it is answered. Raise CancelledError when the connection is cut."""
        await self._link.hold(self.host.wait_until(lambda now: not self.is_stuck(path, now)))

    def _path(self, path: bytes) -> str:
        return posixpath.join(self._home, path.decode(errors="surrogateescape"))

    # Looking

    @override
    @_waits_for_path
    def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        with _answering():
            return attributes(self._disk.stat(self._path(path)))

    @override
    @_waits_for_path
    def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        with _answering():
            return attributes(self._disk.stat(self._path(path)))

    @override
    def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        return attributes(_handle(file_obj).file.stat())

    @override
    @_waits_for_path
    def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        self._require_statvfs()
        with _answering():
            return statvfs_attributes(self._disk.statvfs(self._path(path)))

    @override
    def fstatvfs(self, file_obj: object) -> asyncssh.SFTPVFSAttrs:
        self._require_statvfs()
        return statvfs_attributes(_handle(file_obj).file.statvfs())

    def _require_statvfs(self) -> None:
        if not self._has_statvfs:
            raise asyncssh.SFTPOpUnsupported("Operation unsupported")

    @override
    def realpath(self, path: bytes) -> bytes:
        return posixpath.normpath(self._path(path)).replace("//", "/").encode(errors="surrogateescape")

    @override
    def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        # No generator: a missing directory must fail when it is opened, not when it is read.
        if self.is_stuck(path, self.host.behaviour):
            return self._scan_later(path)
        folder = self._path(path)
        with _answering():
            names = self._disk.listdir(folder)
        return self._entries(folder, names)

    async def _scan_later(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        await self.until_free(path)
        async for entry in self.scandir(path):
            yield entry

    async def _entries(self, folder: str, names: list[str]) -> AsyncIterator[asyncssh.SFTPName]:
        for name in (".", "..", *names):
            if self._disk.exists(posixpath.join(folder, name)):  # it may have been removed meanwhile
                entry = self._disk.stat(posixpath.join(folder, name))
                yield asyncssh.SFTPName(name.encode(errors="surrogateescape"), attrs=attributes(entry))

    @override
    def format_user(self, uid: int | None) -> str:
        return "root"

    @override
    def format_group(self, gid: int | None) -> str:
        return "root"

    # Changing

    @override
    @_waits_for_path
    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        with _answering():
            self._disk.make_directory(self._path(path), mode=_mode(attrs, DIRECTORY_MODE))

    @override
    @_waits_for_path
    def rmdir(self, path: bytes) -> None:
        with _answering():
            self._disk.remove_directory(self._path(path))

    @override
    @_waits_for_path
    def remove(self, path: bytes) -> None:
        with _answering():
            self._disk.remove_file(self._path(path))

    @override
    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        with _answering():
            self._disk.rename(self._path(oldpath), self._path(newpath), replace=False)

    @override
    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        with _answering():
            self._disk.rename(self._path(oldpath), self._path(newpath))

    @override
    @_waits_for_path
    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        with _answering():
            if attrs.size is not None:
                self._disk.open(self._path(path), write=True).truncate(attrs.size)
            if attrs.permissions is not None:
                self._disk.chmod(self._path(path), stat.S_IMODE(attrs.permissions))

    @override
    def lsetstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        self.setstat(path, attrs)

    @override
    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        file = _handle(file_obj).file
        with _answering():
            if attrs.size is not None:
                file.truncate(attrs.size)
            if attrs.permissions is not None:
                file.chmod(stat.S_IMODE(attrs.permissions))

    @override
    def readlink(self, path: bytes) -> bytes:
        with _answering():
            self._disk.stat(self._path(path))
        raise asyncssh.SFTPBadMessage("Bad message")  # nothing on a virtual disk is a link

    @override
    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("Operation unsupported")

    @override
    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("Operation unsupported")

    # Files

    @override
    @_waits_for_path
    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Handle:
        flags = pflags if pflags & (asyncssh.FXF_READ | asyncssh.FXF_WRITE) else pflags | asyncssh.FXF_READ
        with _answering():
            file = self._disk.open(
                self._path(path),
                write=bool(flags & asyncssh.FXF_WRITE),
                create=bool(flags & asyncssh.FXF_CREAT),
                exclusive=bool(flags & asyncssh.FXF_EXCL),
                truncate=bool(flags & asyncssh.FXF_TRUNC),
                mode=_mode(attrs, FILE_MODE),
            )
        return Handle(file, flags)

    @override
    def open56(self, path: bytes, desired_access: int, flags: int, attrs: asyncssh.SFTPAttrs) -> object:
        raise asyncssh.SFTPOpUnsupported("Operation unsupported")  # of a version that is not offered

    @override
    def close(self, file_obj: object) -> None:
        pass  # an open file needs no closing

    @override
    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        with _answering():
            return _handle(file_obj).read(offset, min(size, MOST_READ))

    @override
    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        with _answering():
            return _handle(file_obj).write(offset, data)

    @override
    def fsync(self, file_obj: object) -> None:
        pass  # nothing is more durable than memory here


def attributes(entry: Entry) -> asyncssh.SFTPAttrs:
    """Return the attributes of an entry in version 3 of SFTP."""
    kind = stat.S_IFDIR if entry.directory else stat.S_IFREG
    modified = int(entry.modified)
    return asyncssh.SFTPAttrs(
        size=entry.size, uid=0, gid=0, permissions=kind | entry.mode, atime=modified, mtime=modified
    )


def _packed(entry: Entry) -> bytes:
    """Return what `attributes` says as version 3 sends it. Raise struct.error for a number that has no room there."""
    of = attributes(entry)
    return _ATTRIBUTES.pack(_ALL_ATTRIBUTES, of.size, of.uid, of.gid, of.permissions, of.atime, of.mtime)


def statvfs_attributes(numbers: Statvfs) -> asyncssh.SFTPVFSAttrs:
    """Return the numbers of a file system as statvfs@openssh.com has them."""
    names = ("bsize", "frsize", "blocks", "bfree", "bavail", "files", "ffree", "favail", "fsid", "flags", "namemax")
    return asyncssh.SFTPVFSAttrs(**dict(zip(names, _statvfs_numbers(numbers), strict=True)))


def _statvfs_numbers(of: Statvfs) -> tuple[int, ...]:
    """Return them in the order of the protocol, which is that of `struct statvfs` (OpenSSH's PROTOCOL)."""
    free_inodes = of.free_inodes
    flags = _READ_ONLY if of.read_only else 0
    return (
        *(BLOCK, BLOCK, of.blocks, of.free, of.available),
        *(of.inodes, free_inodes, free_inodes, of.device, flags, NAME_LIMIT),
    )


def _handle(file_obj: object) -> Handle:
    assert isinstance(file_obj, Handle)
    return file_obj


def _mode(attrs: asyncssh.SFTPAttrs, default: int) -> int:
    """Return the mode that a client asks for, less the umask 022."""
    return default if attrs.permissions is None else stat.S_IMODE(attrs.permissions) & ~0o022
