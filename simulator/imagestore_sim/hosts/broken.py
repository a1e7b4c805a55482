"""Servers that break their protocol: SFTP with wrong answers, and floods."""

from __future__ import annotations

import struct

import asyncssh
from asyncssh.connection import SSHConnection
from asyncssh.constants import MSG_IGNORE, MSG_USERAUTH_BANNER
from asyncssh.packet import String

_HEADER = struct.Struct(">IBI")  # length, type, number
_INIT, _VERSION, _NAME, _EXTENDED_REPLY = 1, 2, 104, 201
_EXTENSION = b"statvfs@openssh.com"
_FLOOD_BYTES = 2**20
_PACKET = 1000  # bytes of each


class BrokenSftp:
    """An SFTP server that agrees on the version, and then answers every request wrongly."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._received = bytearray()

    def answer(self, data: bytes) -> bytes:
        """Return its answers to the bytes that a client has sent; an incomplete request waits for its rest."""
        self._received += data
        answers = b""
        while len(self._received) >= _HEADER.size:
            length, kind, number = _HEADER.unpack_from(self._received)
            if len(self._received) < 4 + length:
                break
            del self._received[: 4 + length]
            answers += self._version() if kind == _INIT else self._wrong(number)
        return answers

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
    """Send a megabyte of SSH_MSG_IGNORE."""
    for _ in range(_FLOOD_BYTES // _PACKET):
        connection.send_packet(MSG_IGNORE, String(bytes(_PACKET)))


def flood_login(connection: asyncssh.SSHServerConnection) -> None:
    """Send a megabyte of SSH_MSG_USERAUTH_BANNER to a client that is logging in."""
    for _ in range(_FLOOD_BYTES // _PACKET):
        connection.send_packet(MSG_USERAUTH_BANNER, String("x" * _PACKET), String(""))
