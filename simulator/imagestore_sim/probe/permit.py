"""Whether a probe may still send: a node that has lost a storage to another one lets nothing more out to its host."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

from imagestore_sim.context_managers import set_in_block
from imagestore_sim.ssh_packets import Gathered

Permit = Callable[[], bool]
"""Returns whether to send now. It is asked before each write, so it must be fast."""
_RESET, _IN_ORDER = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)
"""The values of SO_LINGER with which a close drops what the host has not acknowledged yet, and sends it on."""


def always() -> bool:
    """Permit everything."""
    return True


_permit: ContextVar[Permit] = ContextVar("permit of a probe", default=always)


def sending_while(permit: Permit) -> AbstractContextManager[None]:
    """Let all probes in the block, and in tasks begun there, send only as long as `permit` returns True."""
    return set_in_block(_permit, permit)


def current_permit() -> Permit:
    """Return the permit set by `sending_while`; `always` outside of it."""
    return _permit.get()


def check_permit() -> None:
    """Raise ConnectionAbortedError if the current probe may send nothing more."""
    if not _permit.get()():
        raise ConnectionAbortedError("the probe may send nothing more to this host")


def reset_at_its_end(tcp_socket: socket.socket) -> None:
    """Have the system close a socket by a reset when this process is killed, if the current probe needs a permit."""
    if _permit.get() is not always:
        tcp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


class PermittedTransport:
    """A transport that asks before each write, and closes in place of one that is not permitted.

    A node may stand still anywhere: between the check of its lease and a write, what it read may be long out of date.
    And its process may be killed: the system then closes the connection by a reset, for else it would go on to send
    what the host has not acknowledged, for seconds, while another node has the storage.
    """

    __slots__ = ("_gathered", "_permit", "_resets", "_transport")

    def __init__(self, transport: Any, permit: Permit, *, gathering: bool = False) -> None:
        """With `gathering`, send all that is written in a turn of the event loop together, until `gather_no_more`."""
        self._transport = transport
        self._resets = False  # whether its close drops what the host has not acknowledged
        self._gathered = Gathered(self._send_together) if gathering else None
        self.use(permit)

    def use(self, permit: Permit) -> None:
        """Send as long as `permit` says from now on."""
        self._permit = permit
        if permit is not always and not self._resets:
            self._close_by(_RESET)

    def write(self, data: bytes) -> None:
        """Send data, or close at once without it."""
        if self._gathered is not None:
            self._gathered.add(data)
        else:
            self._send(data)

    def gather_no_more(self) -> None:
        """Send each packet as it is written from now on."""
        if self._gathered is not None:
            self._gathered.hand_on()
            self._gathered = None

    def _send_together(self, packets: list[bytes]) -> None:
        if not self._transport.is_closing():
            self._send(b"".join(packets))

    def _send(self, data: bytes) -> None:
        if self._permit():
            self._transport.write(data)
        else:
            self.abort()

    def abort(self) -> None:
        """Close at once. Without a permit, also drop what the system would go on sending by itself."""
        if self._gathered is not None:
            self._gathered.hand_on()
        if self._permit() and self._resets:
            self._close_by(_IN_ORDER)
        self._transport.abort()

    def _close_by(self, how: bytes) -> None:
        tcp_socket = None if self._transport.is_closing() else self._transport.get_extra_info("socket")
        if tcp_socket is not None:
            tcp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)
            self._resets = how is _RESET

    def __getattr__(self, name: str) -> Any:
        """Return what the transport has by that name."""
        return getattr(self._transport, name)
