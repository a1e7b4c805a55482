"""Capacity by SFTP's `statvfs@openssh.com`: exact bytes, no shell, no locale, one round trip."""

from __future__ import annotations

from itertools import accumulate
from pathlib import PurePosixPath

import asyncssh

from simulator.probe.capacity import Inodes, Space
from simulator.probe.connections import Connection
from simulator.probe.failures import Failed, NoSize, NotMounted, Reason, Unsupported, excerpt
from simulator.probe.sftp import Sftp
from simulator.probe.target import FOLDERS, Layout, Request

_READ_ONLY = 1  # SSH_FXE_STATVFS_ST_RDONLY


async def measure(connection: Connection, request: Request) -> Space:
    """Ask for the capacity; raises Unsupported without SFTP or the extension, Failed, asyncssh.Error, OSError."""
    sftp = await connection.sftp(request.phases)
    for path in request.to_create:
        await _create(sftp, path)
    space = await _read(sftp, request.url)
    if not space.total:
        raise NoSize(request.url)
    if request.layout is Layout.REQUIRE:
        await _require(sftp, request.url)
    return space


async def _read(sftp: Sftp, url: str) -> Space:
    """One question is enough: `/.` at its end makes it fail when the url is no directory, or may not be entered."""
    try:
        volume = await sftp.statvfs(f"{url.rstrip('/')}/.")
    except asyncssh.SFTPOpUnsupported as error:
        raise Unsupported(f"no statvfs over SFTP ({error})") from error
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPFailure) as error:
        if await sftp.is_file(url):
            raise Failed(Reason.NOT_A_DIRECTORY, f"{url} is a file") from error
        raise
    inodes = Inodes(volume.files, volume.favail)
    read_only = bool(volume.flags & _READ_ONLY)
    return Space.of_blocks(volume.frsize, volume.blocks, volume.bavail, inodes, read_only, f"id {volume.fsid:x}")


async def _create(sftp: Sftp, path: str) -> None:
    try:
        if not await sftp.is_directory(path):
            await _make_directories(sftp, path)
    except asyncssh.SFTPFailure as error:
        # One code for all that can be: a file in the way, a file system that is read-only or full.
        file = await _has_file(sftp, PurePosixPath(path))
        reason = Reason.NOT_A_DIRECTORY if file else Reason.PERMISSION_DENIED
        raise Failed(reason, f"{path} cannot be created ({excerpt(error)})") from error


async def _make_directories(sftp: Sftp, path: str) -> None:
    """Make a directory and those above it that are missing."""
    for above in accumulate(PurePosixPath(path).parts, lambda one, other: str(PurePosixPath(one, other))):
        if not await sftp.is_directory(above):
            await sftp.make_directory(above)


async def _has_file(sftp: Sftp, path: PurePosixPath) -> bool:
    """Whether a file stands where `path` or one above it should be."""
    return any([await sftp.is_file(str(part)) for part in (path, *path.parents)])


async def _require(sftp: Sftp, url: str) -> None:
    for folder in FOLDERS:
        if await sftp.is_directory(f"{url}/{folder}"):
            return
    raise NotMounted(url)
