"""Capacity by SFTP's `statvfs@openssh.com`: exact bytes, no shell, no locale, one round trip."""

from __future__ import annotations

from pathlib import PurePosixPath

import asyncssh

from imagestore_sim.probe.capacity import Inodes, Space
from imagestore_sim.probe.connection import Connection
from imagestore_sim.probe.failures import Failed, NoSize, NotMounted, Unclear, Unsupported, excerpt
from imagestore_sim.probe.sftp import Garbled, SftpSession
from imagestore_sim.probe.target import FOLDERS, Layout, Request
from imagestore_sim.reasons import Reason

_READ_ONLY = 1  # SSH_FXE_STATVFS_ST_RDONLY


async def measure(connection: Connection, request: Request) -> Space:
    """Return the space. Raise Unsupported without SFTP or the extension, Failed, asyncssh.Error, OSError."""
    sftp = await connection.sftp(request.phases)
    try:
        for path in request.to_create:
            await _create(sftp, path)
        space = await _read(sftp, request.url)
        if space.total and request.layout is Layout.REQUIRE:
            await _require(sftp, request.url)
    except Garbled as error:
        raise Unclear(Reason.NO_CAPACITY, f"the SFTP server answers what was not asked ({excerpt(error)})") from error
    if not space.total:
        raise NoSize(request.url)
    return space


async def _read(sftp: SftpSession, url: str) -> Space:
    """Return the space with one request: `/.` makes it fail if the url is not a directory, or may not be entered."""
    try:
        found = await sftp.statvfs(f"{url.rstrip('/')}/.")
    except asyncssh.SFTPOpUnsupported as error:
        raise Unsupported(f"no statvfs over SFTP ({error})") from error
    except Garbled:
        raise
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPFailure, asyncssh.SFTPBadMessage) as error:
        raise await _why_not(sftp, url, error) from error
    read_only = bool(found.flags & _READ_ONLY)
    # f_frsize is 0 on some file systems: POSIX leaves their blocks to f_bsize.
    size = found.frsize or found.bsize
    inodes = Inodes.of(found.files, found.favail)
    return Space.of_blocks(size, found.blocks, found.bavail, inodes, read_only, f"id {found.fsid:x}")


async def _why_not(sftp: SftpSession, url: str, error: asyncssh.SFTPError) -> Failed:
    """Return what is wrong with a url. SFTP version 3 has few codes, and reports most errors as "Failure"."""
    if await sftp.is_file(url):
        return Failed(Reason.NOT_A_DIRECTORY, f"{url} is a file")
    if not isinstance(error, asyncssh.SFTPNoSuchFile):
        return Unclear(Reason.NO_CAPACITY, f"{url} has no capacity to tell ({excerpt(error)})")
    if await sftp.is_link(url.rstrip("/") or "/"):
        advice = "Correct the symbolic link on the host, or the url of the storage."
        return Failed(Reason.NO_SUCH_PATH, f"{url} is a link that leads nowhere", advice)
    if (file := await _file_on_the_way(sftp, url)) is not None:
        return Failed(Reason.NOT_A_DIRECTORY, f"{file}, on the way to {url}, is a file")
    return Failed(Reason.NO_SUCH_PATH, f"{url} does not exist")


async def _create(sftp: SftpSession, path: str) -> None:
    try:
        if not await sftp.is_directory(path):
            await _make_directories(sftp, path)
    except (asyncssh.SFTPFailure, asyncssh.SFTPBadMessage) as error:
        if isinstance(error, Garbled):
            raise
        # The code is the same for a file in the way and for a file system that is read-only, full or gone.
        text = f"{path} cannot be created ({excerpt(error)})"
        if await sftp.is_file(path) or await _file_on_the_way(sftp, path) is not None:
            raise Failed(Reason.NOT_A_DIRECTORY, text) from error
        raise Unclear(Reason.PERMISSION_DENIED, text) from error


async def _make_directories(sftp: SftpSession, path: str) -> None:
    """Create a directory, which is missing, and the missing ones above it."""
    missing = [path]
    for above in map(str, PurePosixPath(path).parents):
        if await sftp.is_directory(above):
            break
        missing.append(above)
    for folder in reversed(missing):
        await sftp.make_directory(folder)


async def _file_on_the_way(sftp: SftpSession, url: str) -> str | None:
    """Return the nearest existing path above `url`, if it is a file."""
    for part in PurePosixPath(url).parents:
        try:
            await sftp.mode(str(part))
        except asyncssh.SFTPNoSuchFile:
            continue
        except asyncssh.SFTPFailure:
            return None
        return str(part) if await sftp.is_file(str(part)) else None
    return None


async def _require(sftp: SftpSession, url: str) -> None:
    for folder in FOLDERS:
        if await sftp.is_directory(f"{url}/{folder}"):
            return
    raise NotMounted(url)
