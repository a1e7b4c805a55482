"""Files on a host, over the SFTP session that probes use: folders, small files, and sparse files of any size."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

import asyncssh

from imagestore_sim.probe.sftp import Garbled, SftpSession

T = TypeVar("T")
_LOST = (Garbled, asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)


@dataclass(frozen=True, slots=True)
class FileRefused:
    """The host answers, and refuses a change of its files; `message` is its own text."""

    message: str


async def refusing(work: Awaitable[T]) -> T | FileRefused:
    """Return the result of `work`, or what the host said when it refused it.

    Raise the errors of a session that is broken: they are failures of the connection, not of the files.
    """
    try:
        return await work
    except _LOST:
        raise
    except asyncssh.SFTPError as error:
        return FileRefused(str(error.reason))


async def make_folder(sftp: SftpSession, path: str) -> None:
    """Make a folder, and those above it; one that is there already is no error. Raise asyncssh.SFTPError."""
    if await sftp.is_directory(path):
        return
    above = path.rpartition("/")[0]
    if above:
        await make_folder(sftp, above)
    await sftp.make_directory(path)


async def remove_files(sftp: SftpSession, folder: str, names: tuple[str, ...]) -> int:
    """Remove files of a folder, and return how many bytes they had; what is missing is no error.

    Raise asyncssh.SFTPError.
    """
    size = 0
    for name in names:
        size += await _without_missing(_remove(sftp, f"{folder}/{name}")) or 0
    return size


async def names_in(sftp: SftpSession, path: str, limit: int) -> list[str]:
    """Return the names in a folder, `limit` at most; none if it is missing or no folder. Raise asyncssh.SFTPError."""
    return await sftp.names(path, limit) if await sftp.is_directory(path) else []


async def remove_folder(sftp: SftpSession, folder: str) -> None:
    """Remove an empty folder; a missing one is no error. Raise asyncssh.SFTPError."""
    if await sftp.is_directory(folder):
        await _without_missing(sftp.remove_directory(folder))


async def _remove(sftp: SftpSession, path: str) -> int:
    size = await sftp.size(path)
    await sftp.remove(path)
    return size


async def _without_missing(work: Awaitable[T]) -> T | None:
    try:
        return await work
    except asyncssh.SFTPNoSuchFile:
        return None
