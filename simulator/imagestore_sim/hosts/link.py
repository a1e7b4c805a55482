"""One TCP connection to a host, with what the network does to it: prompt, late, silent or cut."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, cast

import asyncssh
from typing_extensions import override

from imagestore_sim.clock import RealClock
from imagestore_sim.faults.behaviour import Behaviour
from imagestore_sim.hosts.listener import NO_LINGER
from imagestore_sim.in_flight import activity, closed, opened
from imagestore_sim.ssh_packets import Gathered

if TYPE_CHECKING:
    from imagestore_sim.hosts.host import SimulatedHost

TURN_BYTES = 4 * 1024
"""Bytes read from a client in one turn of the event loop: 256 of the smallest packets."""
WAITING_BYTES = 2**20
"""Bytes held back by the network from which on no more are read."""
UNREAD_BYTES = 4 * 2**20
"""Bytes that a client has not read from which on no more are read from it."""
FLOOD_BYTES = 2**20
FLOOD_LINE = b"All work and no play makes Jack a dull boy.\r\n"
FLOOD_PACKET = b"\0\0\0\x0c\x06\x02\0\0\0\0" + bytes(6)  # SSH_MSG_IGNORE, before anything is encrypted
_numbers = itertools.count()


class _Received(threading.local):
    """What is read from any connection, for as long as it takes to copy it: an event loop has its thread to itself."""

    def __init__(self) -> None:
        self.buffer = bytearray(TURN_BYTES)


_received = _Received()


class Link(asyncio.BufferedProtocol):
    """Stands between the transport of a connection and the SSH server behind it.

    One client cannot slow down the others. Its bytes are read a little at a time, because asyncssh copies all that is
    left of them with each packet; and reading stops while too many of them wait, or while it does not read its answers.
    """

    __slots__ = (
        "_activity", "_gathered", "_held", "_host", "_in", "_out", "_sent", "_ssh", "_transport", "_unread", "_watched",
        "closed", "logged_in", "number", "stale",
    )  # fmt: skip

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host
        self._activity = activity()
        self.number = next(_numbers)
        """Numbers follow the order in which the connections came."""
        self._transport: asyncio.Transport
        self._ssh: asyncssh.SSHServerConnection | None = None
        self._watched: int | None = None
        self._unread = False
        """Whether the client leaves too many answers unread."""
        self._in = Direction(host, self._arrive)
        self._out = Direction(host, self._leave)
        self._sent = 0
        self._gathered: Gathered | None = None
        """Packets of this turn of the event loop that are sent together; None where each is sent by itself."""
        self.logged_in = False
        self.stale = False
        """Whether everything on it is dropped, in both directions."""
        self._held: dict[asyncio.Task[None], None] = {}
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def reset(self) -> None:
        """Cut it at once, with a TCP reset."""
        if not self._transport.is_closing():
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.abort()

    def abort(self) -> None:
        """Cut it at once."""
        self._send_what_is_gathered()
        self._out.close()
        self._transport.abort()

    def finish(self) -> None:
        """Close it once everything written has been sent."""
        self._send_what_is_gathered()
        self._out.put(None)

    def write(self, data: bytes) -> None:
        """Send bytes to the client; of a login in real time, all of one turn of the event loop together."""
        if self._gathered is None:
            self._out.put(data)
        else:
            self._gathered.add(data)

    def _send_what_is_gathered(self) -> None:
        if self._gathered is not None:
            self._gathered.hand_on()

    def _send_together(self, packets: list[bytes]) -> None:
        if self._transport.is_closing():
            return
        if self.logged_in:
            self._gathered = None
        for data in [b"".join(packets)] if self._host.behaviour.reset_after is None else packets:
            self._out.put(data)

    async def hold(self, work: Coroutine[object, object, None]) -> None:
        """Wait for `work`, but no longer than the connection is open. Raise CancelledError when it is cut."""
        task = self._host.tasks.begin(work, f"connection to {self._host.name}")
        self._held[task] = None
        task.add_done_callback(self._held.pop)
        if self.closed.done():
            task.cancel()
        await task

    def _arrive(self, data: bytes | None) -> None:
        self._activity.moves += 1
        self._set_pace()
        if self._ssh is None or data is None or self.stale:
            return
        if self._host.behaviour.cut_on_request and self.logged_in:
            self.reset()
        else:
            self._ssh.data_received(data)

    def _set_pace(self) -> None:
        """Read on from the client, or pause."""
        if self._transport.is_closing():
            return
        if self._unread or self._in.waiting > WAITING_BYTES:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _leave(self, data: bytes | None) -> None:
        self._activity.moves += 1
        if data is None:
            self._end()
            return
        if self.stale:
            return
        limit = self._host.behaviour.reset_after
        self._sent += len(data)
        if limit is not None and self._sent > limit:
            self.reset()
        else:
            self._transport.write(data)

    def _end(self) -> None:
        """Send no more, and close.

        Without an SSH server behind it the client closes: closing here would reset the bytes that were just sent.
        """
        if self._ssh is None and not self._transport.is_closing():
            self._transport.write_eof()
        else:
            self._transport.close()

    # What the event loop calls

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._activity.moves += 1
        self._transport = cast(asyncio.Transport, transport)
        self._watched = opened(transport)
        self._transport.set_write_buffer_limits(UNREAD_BYTES)
        host = self._host
        host.links[self] = None
        now = host.behaviour
        if not host.listening or now.reset_on_connect:
            self.reset()
        elif now.greeting is not None:
            self.write(now.greeting)
            self.finish()
        elif now.startups is not None and host.sshd.turns_away(now.startups):
            _turn_away(self, now.startups.how)
        else:
            self._begin_ssh(now)

    def _begin_ssh(self, now: Behaviour) -> None:
        if now.flood == "banner":
            self.write(FLOOD_LINE * (FLOOD_BYTES // len(FLOOD_LINE)))
        if isinstance(self._host.clock, RealClock):  # in virtual time, each packet counts
            self._gathered = Gathered(self._send_together)
        self._ssh = self._host.sshd.new_connection()
        self._ssh.connection_made(_SshTransport(self, self._transport))
        if now.flood == "keys":
            self.write(FLOOD_PACKET * (FLOOD_BYTES // len(FLOOD_PACKET)))

    @override
    def get_buffer(self, sizehint: int) -> bytearray:
        return _received.buffer

    @override
    def buffer_updated(self, nbytes: int) -> None:
        self._in.put(bytes(_received.buffer[:nbytes]))
        if nbytes == TURN_BYTES and not self._transport.is_closing():
            self._transport.pause_reading()  # libuv would read on at once, many times
            asyncio.get_running_loop().call_soon(self._set_pace)
        else:
            self._set_pace()

    @override
    def pause_writing(self) -> None:
        self._unread = True
        self._set_pace()

    @override
    def resume_writing(self) -> None:
        self._unread = False
        self._set_pace()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._activity.moves += 1
        closed(self._watched)
        self._in.close()
        self._out.close()
        self._host.links.pop(self, None)
        for task in list(self._held):
            task.cancel()
        if self._ssh is not None:
            self._ssh.connection_lost(exc)
        if not self.closed.done():
            self.closed.set_result(None)


async def abort_all(links: Iterable[Link]) -> None:
    """Cut connections at once; return when all are closed."""
    cut = list(links)
    for link in cut:
        link.abort()
    await asyncio.gather(*(link.closed for link in cut))


def _turn_away(link: Link, how: str) -> None:
    """Do what sshd does at its MaxStartups."""
    if how == "reset":
        link.reset()
        return
    if how == "line":
        link.write(b"Exceeded MaxStartups\r\n")
    link.finish()


class Direction:
    """One direction of a connection: bytes are delivered in order, at once or when the network lets them through."""

    __slots__ = ("_closed", "_deliver", "_free", "_host", "_queue", "_task", "waiting")

    def __init__(self, host: SimulatedHost, deliver: Callable[[bytes | None], None]) -> None:
        self._host = host
        self._deliver = deliver
        self._queue: deque[tuple[float, bytes | None]] | None = None
        """What waits; none while nothing is late, since an empty one takes as much memory as all else here."""
        self._free = 0.0  # when the line is free again, in the clock's monotonic seconds
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.waiting = 0
        """Bytes that have not been delivered."""

    def put(self, data: bytes | None) -> None:
        """Queue or deliver bytes; None is the end."""
        now = self._host.behaviour
        if not self._queue and not now.is_late:
            self._deliver(data)
            return
        if self._queue is None:
            self._queue = deque()
        self._queue.append((self._due(now, len(data or b"")), data))
        self.waiting += len(data or b"")
        if self._task is None and not self._closed:
            self._task = self._host.tasks.begin(self._deliver_in_time(), f"network of {self._host.name}")

    def close(self) -> None:
        """Drop what waits, and deliver no more."""
        self._closed = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        if self._queue is not None:
            self._queue.clear()

    def _due(self, now: Behaviour, size: int) -> float:
        moment = self._host.clock.monotonic()
        begins = max(moment, self._free)
        self._free = begins + (size / now.rate if now.rate else 0.0)
        late = now.latency + self._host.random.uniform(-now.jitter, now.jitter)
        due = self._free + max(0.0, late)
        return max(due, self._queue[-1][0]) if self._queue else due

    async def _deliver_in_time(self) -> None:
        while self._queue:
            await self._host.wait_until(lambda now: not now.silent)
            wait = self._queue[0][0] - self._host.clock.monotonic()
            if wait > 0:
                await self._host.clock.sleep(wait)
                continue
            _, data = self._queue.popleft()
            self.waiting -= len(data or b"")
            self._deliver(data)
        self._task = None


class _SshTransport(asyncio.Transport):
    """The transport that the SSH server gets: what it writes goes through the link."""

    __slots__ = ("_link", "_transport")

    def __init__(self, link: Link, transport: asyncio.Transport) -> None:
        super().__init__()
        self._link = link
        self._transport = transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._link if name == "link" else self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._link.write(bytes(data))

    def close(self) -> None:
        self._link.finish()

    def abort(self) -> None:
        self._link.abort()
