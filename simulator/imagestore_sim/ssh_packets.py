"""How the packets of SSH are sent: those of one turn of the event loop together, and most without a filling.

The filling is the empty SSH_MSG_IGNORE that asyncssh sends before each packet. It protects ciphers that chain packets,
such as those in CBC mode (RFC 4251, 9.3.1), and doubles the work of both sides. OpenSSH sends none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from asyncssh.connection import SSHConnection
from asyncssh.constants import MSG_IGNORE
from asyncssh.encryption import ChachaEncryption, GCMEncryption
from asyncssh.packet import SSHPacketLogger, String

AUTHENTICATED = (GCMEncryption, ChachaEncryption)
"""The ciphers that authenticate each packet by itself."""
_NOTHING = (String(b""),)


class Gathered:
    """Packets that are written in one turn of the event loop, and handed on together after it."""

    __slots__ = ("_hand_on", "_packets")

    def __init__(self, hand_on: Callable[[list[bytes]], None]) -> None:
        self._hand_on = hand_on
        self._packets: list[bytes] = []

    def add(self, packet: bytes) -> None:
        """Take one more."""
        if not self._packets:
            asyncio.get_running_loop().call_soon(self.hand_on)
        self._packets.append(packet)

    def hand_on(self) -> None:
        """Hand on now what there is, if anything."""
        packets, self._packets = self._packets, []
        if packets:
            self._hand_on(packets)


def is_filling(kind: int, arguments: tuple[bytes, ...]) -> bool:
    """Return whether a packet is the filling, rather than an SSH_MSG_IGNORE that somebody means to send."""
    return kind == MSG_IGNORE and arguments == _NOTHING


def needs_filling(ssh: SSHConnection) -> bool:
    """Return whether the cipher that a connection sends with may need the filling."""
    return not isinstance(ssh._send_encryption, AUTHENTICATED)


def send_no_filling(ssh: SSHConnection) -> None:
    """Leave the filling out on a connection whose cipher does not need it."""
    send = ssh.send_packet

    def send_packet(kind: int, *arguments: bytes, handler: SSHPacketLogger | None = None) -> None:
        if not is_filling(kind, arguments) or needs_filling(ssh):
            send(kind, *arguments, handler=handler)

    ssh.send_packet = send_packet  # type: ignore[assignment]  # of this connection alone
