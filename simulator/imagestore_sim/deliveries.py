"""Whether bytes are on their way between two TCP sockets of this process: sent by one, not yet there for the other."""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass

TCP_INFO: int | None = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
ESTABLISHED = 1
SIZE = 216
# Of the kernel's struct tcp_info: bytes received, bytes sent and bytes sent again.
RECEIVED, SENT, SENT_AGAIN = 128, 200, 208


@dataclass(slots=True)
class _End:
    """A socket that is connected to another, here or elsewhere."""

    here: object
    there: object
    met: bool = False  # the other end has been seen in this process
    given_up: bool = False


class Deliveries:
    """Watches the sockets of an event loop. Elsewhere than on Linux it sees nothing, and says that nothing is there."""

    def __init__(self) -> None:
        self._ends: dict[int, _End] = {}
        self._by_addresses: dict[tuple[object, object], int] = {}

    def add(self, descriptor: int) -> None:
        """Watch a socket, if it is a connected one."""
        if TCP_INFO is None or descriptor in self._ends or (end := _end(descriptor)) is None:
            return
        self._ends[descriptor] = end
        self._by_addresses[end.here, end.there] = descriptor
        other = self._ends.get(self._by_addresses.get((end.there, end.here), -1))
        if other is not None:
            end.met = other.met = True

    def discard(self, descriptor: int) -> None:
        """Watch a socket no more: it is closed, or only has nothing to do just now."""
        self._ends.pop(descriptor, None)

    def under_way(self) -> bool:
        """Whether anything is on its way."""
        return any(not end.given_up and self._awaits(descriptor, end) for descriptor, end in self._ends.items())

    def give_up(self) -> None:
        """Count what is on its way now as lost."""
        for descriptor, end in self._ends.items():
            end.given_up = end.given_up or self._awaits(descriptor, end)

    def _awaits(self, descriptor: int, end: _End) -> bool:
        """Whether something is on its way to this end."""
        if not end.met:
            return False
        state, received, _ = _traffic(descriptor)
        other = self._other(end)
        # One that has closed has said so, and this end is going to hear of it.
        return state == ESTABLISHED if other is None else received < _traffic(other)[2]

    def _other(self, end: _End) -> int | None:
        """The socket at the other end, if it is still open."""
        other = self._by_addresses.get((end.there, end.here))
        if other is None or other in self._ends:
            return other
        found = _end(other)
        if found is not None and (found.here, found.there) == (end.there, end.here):
            return other
        del self._by_addresses[end.there, end.here]
        return None


def _end(descriptor: int) -> _End | None:
    try:
        borrowed = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        if borrowed.family not in (socket.AF_INET, socket.AF_INET6) or borrowed.type != socket.SOCK_STREAM:
            return None
        return _End(borrowed.getsockname()[:2], borrowed.getpeername()[:2])
    except OSError:  # it listens, or is no longer connected
        return None
    finally:
        borrowed.detach()


def _traffic(descriptor: int) -> tuple[int, int, int]:
    """The state of a socket, and the bytes that it has received and sent."""
    assert TCP_INFO is not None
    borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)  # nothing is asked of its family
    try:
        info = borrowed.getsockopt(socket.IPPROTO_TCP, TCP_INFO, SIZE)
    except OSError:
        return 0, 0, 0
    finally:
        borrowed.detach()
    if len(info) < SIZE:  # an older kernel, which does not tell
        return 0, 0, 0
    received, sent, again = (struct.unpack_from("=Q", info, at)[0] for at in (RECEIVED, SENT, SENT_AGAIN))
    return info[0], received, sent - again
