"""The port of a host: open, refusing, or deaf."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable

from imagestore_sim.clock import Clock
from imagestore_sim.faults.behaviour import PortState
from imagestore_sim.in_flight import moved
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
BACKLOG = 128
LOOPBACK = "127.0.0.1"
"""Where the ports of simulated hosts are opened."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_REST_SECONDS = 1.0  # before accepting again when there was nothing left to accept with

Factory = Callable[[], asyncio.BaseProtocol]


class Listener:
    """A TCP port whose every connection gets a protocol of `factory`."""

    def __init__(self, factory: Factory, clock: Clock, tasks: Tasks) -> None:
        self._factory = factory
        self._clock = clock
        self._tasks = tasks
        self._socket: socket.socket | None = None
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
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()

    def _bind(self, family: int, address: object) -> None:
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setblocking(False)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._accept)
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

    def _accept(self) -> None:
        moved()
        loop = asyncio.get_running_loop()
        for _ in range(BACKLOG):
            if self._socket is None:
                return
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                logger.warning("cannot accept a connection: %s", error.strerror)
                loop.remove_reader(self._socket.fileno())
                self._tasks.begin(self._rest(self._socket), "listener out of resources")
                return
            connection.setblocking(False)
            self._tasks.begin(self._serve(connection), "accepted connection")

    async def _serve(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._factory, connection)
        except OSError:
            connection.close()  # it had gone already
        except BaseException:
            connection.close()
            raise

    async def _rest(self, exhausted: socket.socket) -> None:
        await self._clock.sleep(_REST_SECONDS)
        if self._socket is exhausted and self._state is PortState.OPEN:
            asyncio.get_running_loop().add_reader(exhausted.fileno(), self._accept)
