"""The port of a host: open, refusing, or deaf."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from imagestore_sim.clock import Clock
from imagestore_sim.faults.behaviour import PortState
from imagestore_sim.in_flight import moved
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
BACKLOG = 128
LOOPBACK = "127.0.0.1"
"""Where the ports of simulated hosts are opened."""
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors of a process that has nothing left to accept a connection with."""
REST_SECONDS = 1.0
"""Until it accepts again."""
NO_LINGER = b"\x01\0\0\0\0\0\0\0"
"""struct linger: on, and 0 seconds, so that closing resets."""

Factory = Callable[[], asyncio.BaseProtocol]


class HostPort(Protocol):
    """A port as a host uses it: one of its own (`Listener`), or its share of one (`shared_port.SharedListener`)."""

    @property
    def address(self) -> tuple[str, int] | None:
        """Return where it listens, or did last; None before the first `open`."""

    @property
    def is_open(self) -> bool:
        """Return whether it has its port, whatever the state of that."""

    async def open(self, host: str, port: int, state: PortState) -> None:
        """Take a port of `host`, in a state. Raise OSError."""

    async def become(self, state: PortState) -> bool:
        """Change the state of the port, if it has one; return whether it had to take another one. Raise OSError."""

    def close(self) -> None:
        """Let go of the port. Connections that were accepted stay open."""


NewListener = Callable[[Factory, Clock, Tasks], HostPort]


class Acceptor:
    """Accepts the connections of a listening socket, and rests while the process has nothing left to do so with."""

    def __init__(
        self,
        listening: socket.socket,
        take: Callable[[socket.socket], None],
        tasks: Tasks,
        sleep: Callable[[float], Awaitable[None]],
        *,
        most: int,
    ) -> None:
        """Accept from now on, at most `most` connections in a turn of the event loop; `take` gets each of them.

        `sleep` waits for some seconds, by the clock that the rest goes by.
        """
        self._listening = listening
        self._take = take
        self._tasks = tasks
        self._sleep = sleep
        self._most = most
        self._ended = False
        self._watch()

    def accept(self, most: int | None = None) -> None:
        """Accept what the kernel has accepted already, `most` connections."""
        moved()
        for _ in range(most or self._most):
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                logger.warning("cannot accept a connection: %s", error.strerror)
                asyncio.get_running_loop().remove_reader(self._listening.fileno())
                self._tasks.begin(self._rest(), "listener out of resources")
                return
            connection.setblocking(False)
            self._take(connection)

    def end(self) -> None:
        """Accept no more. The socket stays open."""
        self._ended = True
        asyncio.get_running_loop().remove_reader(self._listening.fileno())

    def _watch(self) -> None:
        asyncio.get_running_loop().add_reader(self._listening.fileno(), self.accept)

    async def _rest(self) -> None:
        await self._sleep(REST_SECONDS)
        if not self._ended:
            self._watch()


class Listener:
    """A TCP port whose every connection gets a protocol of `factory`."""

    def __init__(self, factory: Factory, clock: Clock, tasks: Tasks) -> None:
        self._factory = factory
        self._clock = clock
        self._tasks = tasks
        self._socket: socket.socket | None = None
        self._acceptor: Acceptor | None = None
        self._fillers: list[socket.socket] = []
        self._state = PortState.OPEN
        self.address: tuple[str, int] | None = None
        """Where it listens, or did last; None before the first `open`."""

    @property
    def is_open(self) -> bool:
        """Return whether it has its port, whatever the state of that."""
        return self._socket is not None

    async def open(self, host: str, port: int, state: PortState) -> None:
        """Take a port of `host`, in a state; with 0 the one that it had before if it is free, else any.

        Raise OSError.
        """
        before = self.address[1] if self.address else 0
        self._state = state
        try:
            await self._open(host, port or before)
        except OSError as error:
            if port or not before or error.errno != errno.EADDRINUSE:
                raise
            await self._open(host, 0)

    async def _open(self, host: str, port: int) -> None:
        infos = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = min(infos, key=lambda info: info[0] != socket.AF_INET)
        self._bind(family, address)
        self._begin()

    async def become(self, state: PortState) -> bool:
        """Change the state of the port, if it has one; return whether it had to take another port for that.

        A port is let go for a moment when its state changes. A listener that is to be open then takes another one if
        somebody else was faster. Raise OSError.
        """
        if self._socket is None or state is self._state:
            return False
        family, address = self._socket.family, self._socket.getsockname()
        self.close()
        self._state = state
        try:
            self._bind(family, address)
            self._begin()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or state is not PortState.OPEN:
                raise
            self.close()
            await self.open(address[0], 0, state)
            return True
        return False

    def close(self) -> None:
        """Let go of the port. Connections that were accepted stay open."""
        if self._acceptor is not None:
            self._acceptor.end()
            self._acceptor = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()

    def begin_beside(self, address: tuple[str, int], state: PortState) -> None:
        """Take a port that sockets of this user have at other addresses, in a state. Raise OSError."""
        self._state = state
        self._bind(socket.AF_INET, address, beside=True)
        self._begin()

    def finish(self) -> None:
        """Serve what the kernel has accepted already, and let go of the port."""
        if self._acceptor is not None:
            self._acceptor.accept()
        self.close()

    def _bind(self, family: int, address: object, *, beside: bool = False) -> None:
        bound = new_socket(family)
        try:
            if beside:
                share_port(bound)
            bound.bind(address)  # type: ignore[arg-type]  # typeshed's name for it is private
        except BaseException:
            bound.close()
            raise
        self._socket = bound
        self.address = bound.getsockname()[:2]

    def _begin(self) -> None:
        assert self._socket is not None
        if self._state is PortState.OPEN:
            self._socket.listen(BACKLOG)
            self._acceptor = Acceptor(self._socket, self._serve, self._tasks, self._clock.sleep, most=BACKLOG)
        elif self._state is PortState.DEAF:
            self._socket.listen(0)
            self._fill()
        # A socket that is bound and does not listen refuses.

    def _fill(self) -> None:
        """Fill the queue of a listener that accepts nothing: from then on the kernel drops every SYN."""
        assert self._socket is not None
        for _ in range(2):
            filler = socket.socket(self._socket.family, socket.SOCK_STREAM)
            filler.setblocking(False)
            with contextlib.suppress(OSError):
                filler.connect_ex(self._socket.getsockname())
            self._fillers.append(filler)

    def _serve(self, connection: socket.socket) -> None:
        self._tasks.begin(serve(self._factory, connection), "accepted connection")


def new_socket(family: int) -> socket.socket:
    """Return a socket that never blocks, for a port that was in use a moment ago, too."""
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def share_port(bound: socket.socket) -> None:
    """Let sockets of this user have the same port at single addresses: the kernel prefers those."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


async def serve(factory: Factory, connection: socket.socket) -> None:
    """Give a connection that was accepted to a protocol of `factory`."""
    try:
        await asyncio.get_running_loop().connect_accepted_socket(factory, connection)
    except OSError:
        connection.close()  # it had gone already
    except BaseException:
        connection.close()
        raise
