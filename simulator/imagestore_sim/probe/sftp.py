"""A small SFTP client (version 3) for probes, in which a request is one write and its answer one read.

The protocol is that of draft-ietf-secsh-filexfer-02; `statvfs@openssh.com` is described in OpenSSH's PROTOCOL.
"""

from __future__ import annotations

import asyncio
import stat
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

import asyncssh
from typing_extensions import override

from imagestore_sim.lean import shared
from imagestore_sim.probe.idle_connections import share_channel

VERSION = 3
STATVFS = b"statvfs@openssh.com"
_LONGEST = 256 * 1024  # bytes of a packet: OpenSSH's own limit
_HEADER = struct.Struct(">IBI")  # length, type, id
_WORD = struct.Struct(">I")
_NUMBERS = struct.Struct(">11Q")

_INIT, _VERSION, _OPEN, _CLOSE, _READ, _WRITE, _LSTAT, _SETSTAT, _OPENDIR, _READDIR, _REMOVE, _MKDIR, _RMDIR, _STAT = (
    *(1, 2, 3, 4, 5, 6, 7),
    *(9, 11, 12, 13, 14, 15, 17),
)
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS, _EXTENDED, _EXTENDED_REPLY = 101, 102, 103, 104, 105, 200, 201
_FOR_READING = 0x01  # SSH_FXF_READ
_CREATE = 0x02 | 0x08 | 0x10  # SSH_FXF_WRITE, _CREAT, _TRUNC
_LONG = struct.Struct(">Q")
_FIRST = 0  # stands for the answer to SSH_FXP_INIT, which has no request number
_SIZE, _OWNER, _PERMISSIONS, _TIMES = 1, 2, 4, 8  # SSH_FILEXFER_ATTR flags: which attributes are present
_EXTENDED_ATTRIBUTES = 0x80000000
_OK = 0
_ERRORS: Mapping[int, Callable[[str], asyncssh.SFTPError]] = {
    asyncssh.FX_EOF: asyncssh.SFTPEOFError,
    asyncssh.FX_NO_SUCH_FILE: asyncssh.SFTPNoSuchFile,
    asyncssh.FX_PERMISSION_DENIED: asyncssh.SFTPPermissionDenied,
    asyncssh.FX_BAD_MESSAGE: asyncssh.SFTPBadMessage,
    asyncssh.FX_NO_CONNECTION: asyncssh.SFTPNoConnection,
    asyncssh.FX_CONNECTION_LOST: asyncssh.SFTPConnectionLost,
    asyncssh.FX_OP_UNSUPPORTED: asyncssh.SFTPOpUnsupported,
}


class Garbled(asyncssh.SFTPBadMessage):
    """A server sent something that is not an answer to the request."""


class StatvfsReply(NamedTuple):
    """The answer to `statvfs@openssh.com`; for the fields see statvfs(3)."""

    bsize: int
    frsize: int
    blocks: int
    bfree: int
    bavail: int
    files: int
    ffree: int
    favail: int
    fsid: int
    flags: int
    namemax: int


class SftpRequests(asyncssh.SSHClientSession[bytes]):
    """Sends requests over an SFTP channel, and matches the answers to them by number."""

    def __init__(self) -> None:
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._received = bytearray()
        self._asked: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._last = 0
        self._lost: asyncssh.SFTPError | None = None
        self.extensions: frozenset[bytes] = frozenset()
        """The names of the server's extensions; set by `begin`."""

    async def begin(self) -> None:
        """Exchange versions."""
        kind, offered = await self._send(_FIRST, _HEADER.pack(5, _INIT, VERSION))
        if kind != _VERSION:
            raise Garbled(f"an answer of type {kind} in place of a version")
        self.extensions = shared(frozenset(_strings(offered)[::2]))

    async def ask(self, kind: int, body: bytes, expected: int) -> bytes:
        """Send a request of type `kind`, and return the body of its answer, which must be of type `expected`."""
        self._last = number = (self._last + 1) & 0xFFFFFFFF
        answered, content = await self._send(number, _HEADER.pack(5 + len(body), kind, number) + body)
        if answered == _STATUS:
            _raise_unless_ok(content)
        if answered != expected:
            raise Garbled(f"an answer of type {answered} in place of {expected}")
        return content

    async def _send(self, number: int, packet: bytes) -> tuple[int, bytes]:
        """Send a packet, and return type and content of the answer with the same number."""
        if self._lost is not None:
            raise self._lost
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        assert self._channel is not None, "asyncssh has opened the session"
        try:
            self._channel.write(packet)
        except OSError as error:
            del self._asked[number]
            raise asyncssh.SFTPConnectionLost(str(error)) from error
        return await answer

    def become_idle(self) -> None:
        """Take less memory from now on."""
        if self._channel is not None:
            share_channel(self._channel)

    def close(self) -> None:
        """Close the session; pending requests fail with SFTPConnectionLost."""
        self._end(asyncssh.SFTPConnectionLost("the session was closed"))

    # What asyncssh calls

    @override
    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    @override
    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is not None or self._lost is not None:
            return  # standard error is ignored
        received = self._received
        received += data
        while len(received) >= _HEADER.size:
            length, kind, number = _HEADER.unpack_from(received)
            if not 5 <= length <= _LONGEST:
                self._end(Garbled(f'it said "{bytes(received[:80]).decode(errors="replace")}"'))
                return
            if len(received) < 4 + length:
                return
            content = bytes(received[_HEADER.size : 4 + length])
            del received[: 4 + length]
            answer = self._asked.pop(_FIRST if _FIRST in self._asked else number, None)
            if answer is None:
                self._end(Garbled(f"an answer of type {kind} to a question that nobody asked"))
                return
            if not answer.done():
                answer.set_result((kind, content))

    @override
    def eof_received(self) -> bool:
        self._end(asyncssh.SFTPConnectionLost("the SFTP server ended"))
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        text = str(exc) if exc else "the session was closed"
        self._end(asyncssh.SFTPConnectionLost(text))

    def _end(self, error: asyncssh.SFTPError) -> None:
        if self._lost is None:
            self._lost = error
            if self._channel is not None:
                self._channel.close()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(self._lost)
        self._asked.clear()
        self._received.clear()


class SftpSession(SftpRequests):
    """An SFTP session. Its operations raise asyncssh.SFTPError when the server refuses, or is gone."""

    async def statvfs(self, path: str) -> StatvfsReply:
        """Return the numbers of the file system of `path`. Raise SFTPOpUnsupported without the extension."""
        if STATVFS not in self.extensions:
            raise asyncssh.SFTPOpUnsupported("the server has no statvfs")
        body = await self.ask(_EXTENDED, _STATVFS_STRING + _string(path.encode()), _EXTENDED_REPLY)
        if len(body) < _NUMBERS.size:
            raise Garbled(f"an answer of {len(body)} bytes to statvfs")
        return StatvfsReply(*_NUMBERS.unpack_from(body))

    async def mode(self, path: str) -> int | None:
        """Return st_mode of `path`, following links; None if the server does not report it."""
        return await self._mode(_STAT, path)

    async def _mode(self, request: int, path: str) -> int | None:
        body = await self.ask(request, _string(path.encode()), _ATTRS)
        present = _number(body, 0)
        if not present & _PERMISSIONS:
            return None
        return _number(body, 4 + (8 if present & _SIZE else 0) + (8 if present & _OWNER else 0))

    async def size(self, path: str) -> int:
        """Return the length of a file, in bytes."""
        body = await self.ask(_STAT, _string(path.encode()), _ATTRS)
        if not _number(body, 0) & _SIZE or len(body) < 4 + _LONG.size:
            raise Garbled("an answer without a size")
        found: int = _LONG.unpack_from(body, 4)[0]
        return found

    async def is_link(self, path: str) -> bool:
        """Return whether `path` is a symbolic link, even a broken one; False after an error."""
        try:
            mode = await self._mode(_LSTAT, path)
        except Garbled:
            raise
        except asyncssh.SFTPError:
            return False
        return mode is not None and stat.S_ISLNK(mode)

    async def is_directory(self, path: str) -> bool:
        """Return whether `path` is a directory, or of a type that the server does not report."""
        try:
            mode = await self.mode(path)
        except asyncssh.SFTPNoSuchFile:
            return False
        return mode is None or stat.S_IFMT(mode) in (stat.S_IFDIR, 0)

    async def is_file(self, path: str) -> bool:
        """Return whether `path` exists and is not a directory; False after an error."""
        try:
            mode = await self.mode(path)
        except Garbled:
            raise
        except asyncssh.SFTPError:
            return False
        return mode is not None and stat.S_IFMT(mode) not in (stat.S_IFDIR, 0)

    async def make_directory(self, path: str) -> None:
        """Create a directory, with the server's default rights."""
        await self.ask(_MKDIR, _string(path.encode()) + _WORD.pack(0), _STATUS)

    async def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        await self.ask(_RMDIR, _string(path.encode()), _STATUS)

    async def remove(self, path: str) -> None:
        """Remove a file."""
        await self.ask(_REMOVE, _string(path.encode()), _STATUS)

    async def read_file(self, path: str, limit: int) -> bytes:
        """Return the first `limit` bytes of a file, which is a few kilobytes long, or less where the server says so."""
        given = _string(path.encode()) + _WORD.pack(_FOR_READING) + _WORD.pack(0)
        handle = (_strings(await self.ask(_OPEN, given, _HANDLE)) or [b""])[0]
        try:
            part = _string(handle) + _LONG.pack(0) + _WORD.pack(limit)
            return (_strings(await self.ask(_READ, part, _DATA)) or [b""])[0]
        except asyncssh.SFTPEOFError:
            return b""
        finally:
            await self.ask(_CLOSE, _string(handle), _STATUS)

    async def names(self, path: str, limit: int) -> list[str]:
        """Return the names in a folder, sorted; no more than `limit`, which are any of them."""
        handle = (_strings(await self.ask(_OPENDIR, _string(path.encode()), _HANDLE)) or [b""])[0]
        found: set[str] = set()
        try:
            while len(found) < limit:
                listed = _names(await self.ask(_READDIR, _string(handle), _NAME))
                found |= {name.decode(errors="replace") for name in listed} - {".", ".."}
        except asyncssh.SFTPEOFError:
            pass
        finally:
            await self.ask(_CLOSE, _string(handle), _STATUS)
        return sorted(found)[:limit]

    async def write_file(self, path: str, content: bytes) -> None:
        """Write a file of a few kilobytes, in place of one that exists."""
        given = _string(path.encode()) + _WORD.pack(_CREATE) + _WORD.pack(0)
        handle = (_strings(await self.ask(_OPEN, given, _HANDLE)) or [b""])[0]
        try:
            if content:
                await self.ask(_WRITE, _string(handle) + _LONG.pack(0) + _string(content), _STATUS)
        finally:
            await self.ask(_CLOSE, _string(handle), _STATUS)

    async def resize(self, path: str, size: int) -> None:
        """Give a file a length of `size` bytes: what is added reads as zeros."""
        await self.ask(_SETSTAT, _string(path.encode()) + _WORD.pack(_SIZE) + _LONG.pack(size), _STATUS)


def _string(text: bytes) -> bytes:
    return _WORD.pack(len(text)) + text


_STATVFS_STRING = _string(STATVFS)


def _strings(body: bytes) -> list[bytes]:
    """Return the consecutive SSH strings in `body`, of which an incomplete last one is dropped."""
    found: list[bytes] = []
    offset = 0
    while offset + 4 <= len(body):
        length: int
        (length,) = _WORD.unpack_from(body, offset)
        found.append(body[offset + 4 : offset + 4 + length])
        offset += 4 + length
    return found


def _names(body: bytes) -> list[bytes]:
    """Return the names in an answer to SSH_FXP_READDIR. Raise Garbled."""
    found: list[bytes] = []
    offset = 4
    for _ in range(_number(body, 0)):
        size = _number(body, offset)
        found.append(body[offset + 4 : offset + 4 + size])
        offset += 4 + size
        offset += 4 + _number(body, offset)  # what `ls -l` would print
        offset = _after_attributes(body, offset)
    return found


def _after_attributes(body: bytes, offset: int) -> int:
    """Return where the attributes end that begin at `offset`. Raise Garbled."""
    present = _number(body, offset)
    offset += 4
    for flag, size in ((_SIZE, 8), (_OWNER, 8), (_PERMISSIONS, 4), (_TIMES, 8)):
        offset += size if present & flag else 0
    if present & _EXTENDED_ATTRIBUTES:
        pairs = _number(body, offset)
        offset += 4
        for _ in range(2 * pairs):
            offset += 4 + _number(body, offset)
    return offset


def _number(body: bytes, offset: int) -> int:
    if len(body) < offset + _WORD.size:
        raise Garbled(f"an answer of {len(body)} bytes")
    found: int = _WORD.unpack_from(body, offset)[0]
    return found


def _raise_unless_ok(body: bytes) -> None:
    code = _number(body, 0)
    if code != _OK:
        text = (_strings(body[4:]) or [b""])[0].decode(errors="replace") or f"status {code}"
        raise _ERRORS.get(code, asyncssh.SFTPFailure)(text)
