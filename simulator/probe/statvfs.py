"""Capacity by SFTP's `statvfs@openssh.com`: exact bytes, no shell, no locale, one round trip."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath

import asyncssh

from simulator.probe.capacity import Inodes, Space
from simulator.probe.connections import Connection
from simulator.probe.failures import Failed, NotMounted, Reason, Unsupported, excerpt
from simulator.probe.target import FOLDERS, Layout, Request

_READ_ONLY = 1  # SSH_FXE_STATVFS_ST_RDONLY
_DIRECTORY = (asyncssh.FILEXFER_TYPE_DIRECTORY, asyncssh.FILEXFER_TYPE_UNKNOWN)


async def measure(connection: Connection, request: Request) -> Space:
    """Ask for the capacity; raises Unsupported without SFTP or the extension, Failed, asyncssh.Error, OSError."""
    sftp = await connection.sftp(request.phases)
    for path in request.to_create:
        await _create(sftp, path)
    space = await _read(sftp, request.url)
    if request.layout is Layout.REQUIRE:
        await _require(sftp, request.url)
    return space


async def _read(sftp: asyncssh.SFTPClient, url: str) -> Space:
    """Both questions are under way at once, so that the second costs no round trip."""
    try:
        file, volume = await asyncio.gather(sftp.stat(url), sftp.statvfs(url))
    except asyncssh.SFTPOpUnsupported as error:
        raise Unsupported(f"no statvfs over SFTP ({error})") from error
    if file.type not in _DIRECTORY:
        raise Failed(Reason.NOT_A_DIRECTORY, f"{url} is a file")
    inodes = Inodes(volume.files, volume.favail)
    return Space.of_blocks(volume.frsize, volume.blocks, volume.bavail, inodes, bool(volume.flags & _READ_ONLY))


async def _create(sftp: asyncssh.SFTPClient, path: str) -> None:
    try:
        if not await sftp.isdir(path):
            await sftp.makedirs(path, exist_ok=True)
    except asyncssh.SFTPFailure as error:
        # One code for all that can be: a file in the way, a file system that is read-only or full.
        file = await _has_file(sftp, PurePosixPath(path))
        reason = Reason.NOT_A_DIRECTORY if file else Reason.PERMISSION_DENIED
        raise Failed(reason, f"{path} cannot be created ({excerpt(error)})") from error


async def _has_file(sftp: asyncssh.SFTPClient, path: PurePosixPath) -> bool:
    """Whether a file stands where `path` or one above it should be."""
    return any([await sftp.isfile(str(part)) for part in (path, *path.parents)])


async def _require(sftp: asyncssh.SFTPClient, url: str) -> None:
    found = await asyncio.gather(*(sftp.isdir(f"{url}/{folder}") for folder in FOLDERS))
    if not any(found):
        raise NotMounted(url)
