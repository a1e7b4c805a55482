"""Key exchanges: how many a server begins, and which algorithms the two sides do not have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import asyncssh
from asyncssh.packet import PacketDecodeError, SSHPacket

from imagestore_sim.probe.failures import excerpt

_NOT_ALGORITHMS = (b"kex-strict-", b"ext-info-")
"""Prefixes of entries in a list of key exchanges that announce a server's abilities."""


_KEXINIT = 20  # SSH_MSG_KEXINIT


def watch_key_exchanges(ssh: asyncssh.SSHClientConnection, allow: Callable[[], bool]) -> None:
    """Call `allow` at each SSH_MSG_KEXINIT, and ignore the packet if it returns False."""
    process = ssh.process_packet

    def process_packet(kind: int, number: int, packet: SSHPacket) -> Any:
        if kind == _KEXINIT and not allow():
            return True
        return process(kind, number, packet)

    ssh.process_packet = process_packet  # type: ignore[assignment]  # of this connection alone


def find_mismatch(ssh: asyncssh.SSHClientConnection) -> str | None:
    """Return the first kind of algorithm without a common one, and what the server has; None if all match.

    Also None while the server's SSH_MSG_KEXINIT (RFC 4253, 7.1) has not come, or cannot be decoded.
    """
    offer = ssh._server_kexinit
    if not offer:
        return None
    packet = SSHPacket(offer)
    try:
        packet.get_bytes(17)  # the type, and a random cookie of 16 bytes
        theirs = [packet.get_namelist() for _ in range(6)]
    except PacketDecodeError:
        return None
    # Each kind with our names and the places of its lists in the packet: ciphers and MACs have one in each direction.
    ours: tuple[tuple[str, Sequence[bytes], tuple[int, ...]], ...] = (
        ("the key exchange", ssh._kex_algs, (0,)),
        ("host keys", ssh._server_host_key_algs or (), (1,)),
        ("ciphers", ssh._enc_algs, (2, 3)),
        ("MACs", ssh._mac_algs, (4, 5)),
    )
    for kind, names, places in ours:
        for place in places:
            # A cipher that authenticates by itself needs no MAC.
            needed = kind != "MACs" or not any(b"gcm" in name or b"poly1305" in name for name in theirs[place - 2])
            if needed and not set(names).intersection(theirs[place]):
                real = [name for name in theirs[place] if not name.startswith(_NOT_ALGORITHMS)]
                offered = ", ".join(name.decode("ascii", "replace") for name in real[:5])
                return f"{kind}: it has {excerpt(offered) or 'none'}"
    return None
