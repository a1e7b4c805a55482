"""Servers that no SSH client should meet, but does: SFTP that answers what was not asked, and floods."""

from __future__ import annotations

import struct

import asyncssh
from asyncssh.connection import SSHConnection
from asyncssh.packet import String

_HEADER = struct.Struct(">IBI")  # length, type, number
_INIT, _VERSION, _NAME, _EXTENDED_REPLY = 1, 2, 104, 201
_EXTENSION = b"statvfs@openssh.com"
_IGNORE, _BANNER = 2, 53
_FLOOD_BYTES = 2**20
_PACKET = 1000  # bytes of each


class BrokenSftp:
    """An SFTP server that agrees on the version, and then answers every question wrongly."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._heard = bytearray()

    def answer(self, data: bytes) -> bytes:
        """What it says to what a client has sent."""
        self._heard += data
        said = b""
        while len(self._heard) >= _HEADER.size:
            length, kind, number = _HEADER.unpack_from(self._heard)
            if len(self._heard) < 4 + length:
                break
            del self._heard[: 4 + length]
            said += self._version() if kind == _INIT else self._wrong(number)
        return said

    def _version(self) -> bytes:
        if self._how == "text":
            return b"sftp-server: error while loading shared libraries\n"
        body = String(_EXTENSION) + String(b"2")
        return _HEADER.pack(5 + len(body), _VERSION, 3) + body

    def _wrong(self, number: int) -> bytes:
        match self._how:
            case "type":
                return _HEADER.pack(9, _NAME, number) + bytes(4)
            case "id":
                return _HEADER.pack(93, _EXTENDED_REPLY, number + 1000) + bytes(88)
            case "short":
                return _HEADER.pack(13, _EXTENDED_REPLY, number) + bytes(8)
            case _:
                return _HEADER.pack(2**31, _EXTENDED_REPLY, number)


def flood(connection: SSHConnection) -> None:
    """Send packets that are to be ignored."""
    for _ in range(_FLOOD_BYTES // _PACKET):
        connection.send_packet(_IGNORE, String(bytes(_PACKET)))


def flood_login(connection: asyncssh.SSHServerConnection) -> None:
    """Send one notice after the other to somebody who is logging in."""
    for _ in range(_FLOOD_BYTES // _PACKET):
        connection.send_packet(_BANNER, String("x" * _PACKET), String(""))
