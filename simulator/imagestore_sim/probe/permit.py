"""Whether a probe may still send: a node that has lost a storage to another one lets nothing more out to its host."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Permit = Callable[[], bool]
"""Returns whether to send now. It is asked before each write, so it must be fast."""
_AT_ONCE = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which a close drops what the host has not acknowledged yet."""


def always() -> bool:
    """Permit everything."""
    return True


_permit: ContextVar[Permit] = ContextVar("permit of a probe", default=always)


@contextmanager
def sending_while(permit: Permit) -> Iterator[None]:
    """Let all probes in the block, and in tasks begun there, send only as long as `permit` returns True."""
    token = _permit.set(permit)
    try:
        yield
    finally:
        _permit.reset(token)


def current_permit() -> Permit:
    """Return the permit set by `sending_while`; `always` outside of it."""
    return _permit.get()


def check_permit() -> None:
    """Raise ConnectionAbortedError if the current probe may send nothing more."""
    if not _permit.get()():
        raise ConnectionAbortedError("the probe may send nothing more to this host")


class PermittedTransport:
    """A transport that asks before each write, and closes in place of one that is not permitted.

    A node may stand still anywhere: between the check of its lease and a write, what it read may be long out of date.
    """

    __slots__ = ("_transport", "permit")

    def __init__(self, transport: Any, permit: Permit) -> None:
        self._transport = transport
        self.permit = permit
        """Whether what uses the connection now may send."""

    def write(self, data: bytes) -> None:
        """Send data, or close at once without it."""
        if self.permit():
            self._transport.write(data)
        else:
            self.abort()

    def abort(self) -> None:
        """Close at once. Without a permit, also drop what the system would go on sending by itself."""
        inside = self._transport
        tcp_socket = None if self.permit() or inside.is_closing() else inside.get_extra_info("socket")
        if tcp_socket is not None:
            tcp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        inside.abort()

    def __getattr__(self, name: str) -> Any:
        """Return what the transport has by that name."""
        return getattr(self._transport, name)
