"""Bytes between two TCP sockets of this process that one has sent and the other has not received yet.

The kernel delivers between two loopback sockets a moment after `send` returns. A virtual clock that jumped in that
moment would fire timeouts of a peer whose answer is already sent.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Container, Iterable
from dataclasses import dataclass

TCP_INFO: int | None = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
UNKNOWN, ESTABLISHED = 0, 1
SIZE = 216
"""Bytes of struct tcp_info that are read; a kernel that gives fewer does not count the bytes sent."""
# Of the kernel's struct tcp_info: the state; at 128 bytes received; at 144 bytes that wait to be sent; at 200 bytes
# sent, and bytes sent again.
_FIELDS = struct.Struct("=B127xQ8xI52xQQ")
_Traffic = tuple[int, int, int, int]
"""Of a socket: its TCP state, the bytes that it has received and sent, and those that wait to be sent."""
_AF_INET, _SOCK_STREAM, _IPPROTO_TCP = int(socket.AF_INET), int(socket.SOCK_STREAM), socket.IPPROTO_TCP


@dataclass(slots=True)
class _End:
    """A connected socket, by the addresses of both ends."""

    here: object
    there: object
    met: bool = False
    """Whether the other end has been seen in this process."""
    given_up: bool = False


class UndeliveredBytes:
    """Watches the sockets of an event loop. It needs Linux; on other systems it finds nothing."""

    def __init__(self) -> None:
        self._ends: dict[int, _End] = {}
        self._by_addresses: dict[tuple[object, object], int] = {}

    def add(self, descriptor: int) -> None:
        """Watch a socket, unless it is not a connected TCP socket."""
        if TCP_INFO is None or descriptor in self._ends or (end := _end(descriptor)) is None:
            return
        self._ends[descriptor] = end
        self._by_addresses[end.here, end.there] = descriptor
        other = self._ends.get(self._by_addresses.get((end.there, end.here), -1))
        if other is not None:
            end.met = other.met = True

    def discard(self, descriptor: int) -> None:
        """Stop watching a socket: it was closed, or the loop waits for nothing from it just now."""
        self._ends.pop(descriptor, None)

    def forget(self, descriptor: int) -> None:
        """Stop watching a socket that was closed. Once its peer is forgotten too, nothing is kept of the connection."""
        end = self._ends.pop(descriptor, None)
        if end is not None and self._by_addresses.get((end.there, end.here)) not in self._ends:
            self._by_addresses.pop((end.here, end.there), None)
            self._by_addresses.pop((end.there, end.here), None)

    def has_both_ends(self, descriptor: int) -> bool:
        """Return whether both ends of a connection are in this process."""
        end = self._ends.get(descriptor)
        return end is not None and end.met

    def any(self) -> bool:
        """Return whether a watched socket is still to receive bytes, or the close of its peer."""
        traffic: dict[int, _Traffic] = {}
        return any(
            not end.given_up and self._awaits(descriptor, end, traffic) for descriptor, end in self._ends.items()
        )

    def in_flight(self, read: Container[int], ready: Container[int]) -> list[int]:
        """Return the sockets among those that are `read` to which the kernel is about to deliver something.

        One that is not `ready` has room for all that its peer was given to send. One that is has perhaps not: only what
        its peer has sent is in flight.
        """
        traffic: dict[int, _Traffic] = {}
        return [
            descriptor
            for descriptor, end in self._ends.items()
            if end.met and not end.given_up and descriptor in read
            if self._awaits(descriptor, end, traffic, without_queue=descriptor in ready)
        ]

    def give_up(self) -> None:
        """Ignore from now on the sockets that are still to receive something: they may never read it."""
        self.ignore(descriptor for descriptor, end in self._ends.items() if self._awaits(descriptor, end, {}))

    def ignore(self, descriptors: Iterable[int]) -> None:
        """Ignore sockets from now on."""
        for descriptor in list(descriptors):
            self._ends[descriptor].given_up = True

    def _awaits(self, descriptor: int, end: _End, traffic: dict[int, _Traffic], without_queue: bool = False) -> bool:
        """Return whether this end is still to receive something, of what its peer has sent, and of what that queues.

        `traffic` keeps that of each socket: no callback runs between two looks of one question.
        """
        if not end.met:
            return False
        if (here := traffic.get(descriptor)) is None:
            here = traffic[descriptor] = _traffic(descriptor)
        if here[0] == UNKNOWN:  # it was closed; its transport removes it in the next turn of the loop
            return False
        other = self._other(end)
        if other is None:  # it is gone and has sent its FIN: until that arrives, this end is still ESTABLISHED
            return here[0] == ESTABLISHED
        if (there := traffic.get(other)) is None:
            there = traffic[other] = _traffic(other)
        if there[0] == UNKNOWN:
            return here[0] == ESTABLISHED
        return here[1] < there[2] + (0 if without_queue else there[3])

    def _other(self, end: _End) -> int | None:
        """Return the socket at the other end, None if it was closed.

        It may be open and unwatched, and its number may have been given to another socket since.
        """
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
    except OSError:  # it listens, or is not connected any more
        return None
    finally:
        borrowed.detach()


def _traffic(descriptor: int) -> _Traffic:
    """Return the traffic of a socket; zeros if it is unknown, as that of one that was closed a moment ago."""
    assert TCP_INFO is not None
    try:
        borrowed = socket.SocketType(_AF_INET, _SOCK_STREAM, 0, descriptor)  # of any family; quicker than socket.socket
    except OSError:
        return 0, 0, 0, 0
    try:
        info = borrowed.getsockopt(_IPPROTO_TCP, TCP_INFO, SIZE)
    except OSError:
        return 0, 0, 0, 0
    finally:
        borrowed.detach()
    if len(info) < SIZE:  # an older kernel
        return 0, 0, 0, 0
    state, received, not_sent, sent, again = _FIELDS.unpack(info)
    return state, received, sent - again, not_sent
