"""The empty SSH_MSG_IGNORE that asyncssh sends before each packet, as a filling that some ciphers need.

It protects ciphers that chain packets, such as those in CBC mode (RFC 4251, 9.3.1), and doubles the work of both sides.
OpenSSH sends none.
"""

from __future__ import annotations

from asyncssh.connection import SSHConnection
from asyncssh.constants import MSG_IGNORE
from asyncssh.encryption import ChachaEncryption, GCMEncryption
from asyncssh.packet import SSHPacketLogger, String

AUTHENTICATED = (GCMEncryption, ChachaEncryption)
"""The ciphers that authenticate each packet by itself."""
_NOTHING = (String(b""),)


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
