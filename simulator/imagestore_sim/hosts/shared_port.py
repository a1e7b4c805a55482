"""One TCP port at every address of this machine, behind one socket: many hosts, each at an address of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from imagestore_sim.clock import Clock
from imagestore_sim.faults.behaviour import PortState
from imagestore_sim.hosts.listener import NO_LINGER, Acceptor, Factory, Listener, new_socket, serve, share_port
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
ANY = "0.0.0.0"  # noqa: S104 - connections to addresses of no host are reset
BACKLOG = 4096
AT_ONCE = 128
"""Connections that are accepted in one turn of the event loop."""
_LOOPBACK_DEVICE = b"lo"


class SharedPort:
    """Accepts the connections of all its hosts, and tells these apart by the address that a client connected to.

    While the port of some host has to refuse, the kernel needs a listening socket for each of the others: one socket
    for all addresses would accept everywhere.
    """

    def __init__(self, *, loopback: bool) -> None:
        """With `loopback`, listen on the loopback device alone where the system can: no other machine sees the port."""
        self.number = 0
        """The port, from `open` on."""
        self._loopback = loopback
        self._socket: socket.socket | None = None
        self._acceptor: Acceptor | None = None
        self._places: dict[str, SharedListener] = {}
        self._refusing: set[SharedListener] = set()
        self._tasks = Tasks()
        self._closed = True

    def open(self, number: int) -> None:
        """Take a port, with 0 any that is free. Raise OSError."""
        self._closed = False
        listening = self._listen(number, shared=False)
        self.number = listening.getsockname()[1]
        self._begin(listening)

    async def close(self) -> None:
        """Let go of the port. Its hosts do not listen from then on."""
        self._closed = True
        self._stop_listening()
        for place in self._places.values():
            place.let_go()
        await self._tasks.close()

    def listener(self, factory: Factory, clock: Clock, tasks: Tasks) -> SharedListener:
        """Return the port of one host: `hosts.listener.NewListener`."""
        return SharedListener(self, factory, clock, tasks)

    def enter(self, address: str, place: SharedListener) -> None:
        """Serve an address. Raise OSError: it may not be one of this machine."""
        with new_socket(socket.AF_INET) as trial:
            trial.bind((address, 0))
        self._places[address] = place

    def settle(self, place: SharedListener) -> None:
        """Let a host's port be as its state says, and listen for the others accordingly. Raise OSError."""
        self._refusing.discard(place)
        if self._closed:
            return
        if place.state is PortState.REFUSING:
            self._refusing.add(place)
        elif place.state is PortState.DEAF:
            place.take()
        if self._refusing:
            self._part()
        elif self._socket is None:
            self._join()

    def _join(self) -> None:
        """Listen by one socket for all hosts. Raise OSError."""
        self._begin(self._listen(self.number, shared=True))
        for place in self._places.values():
            if place.state is PortState.OPEN:
                place.let_go()

    def _part(self) -> None:
        """Give each host that is open a socket of its own, and none to all. Raise OSError."""
        try:
            for place in self._places.values():
                if place.state is PortState.OPEN and not place.has_socket:
                    place.take()
        except OSError:
            for place in self._places.values():
                if place.state is PortState.OPEN and self._socket is not None:
                    place.let_go()
            raise
        self._stop_listening()

    def _listen(self, number: int, *, shared: bool) -> socket.socket:
        """Return a socket that listens at every address, with `shared` beside the hosts' own. Raise OSError."""
        bound = new_socket(socket.AF_INET)
        try:
            if self._loopback and hasattr(socket, "SO_BINDTODEVICE"):
                with contextlib.suppress(OSError):  # an older kernel allows it to root alone
                    bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _LOOPBACK_DEVICE)
            if shared:
                share_port(bound)
            bound.bind((ANY, number))
            share_port(bound)  # not before the bind, or two programs of one user could have the same port
            bound.listen(BACKLOG)
        except BaseException:
            bound.close()
            raise
        return bound

    def _begin(self, listening: socket.socket) -> None:
        """Accept the connections of a socket. A rest is real: other programs let go of files."""
        self._socket = listening
        self._acceptor = Acceptor(listening, self._assign, self._tasks, asyncio.sleep, most=AT_ONCE)

    def _stop_listening(self) -> None:
        if self._socket is not None and self._acceptor is not None:
            self._acceptor.accept(most=BACKLOG)  # what the kernel has accepted already
            self._acceptor.end()
            self._socket.close()
            self._socket = self._acceptor = None

    def _assign(self, connection: socket.socket) -> None:
        place = self._places.get(connection.getsockname()[0])
        if place is None or place.state is not PortState.OPEN:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            connection.close()
            return
        place.serve(connection)


class SharedListener:
    """The port of one host on a SharedPort (`hosts.listener.HostPort`).

    A host that is shut down does not answer, as a machine that is off: it takes one socket meanwhile.
    """

    def __init__(self, shared: SharedPort, factory: Factory, clock: Clock, tasks: Tasks) -> None:
        self._shared = shared
        self._factory = factory
        self._clock = clock
        self._tasks = tasks
        self._own: Listener | None = None
        self.is_open = False
        self.state = PortState.DEAF
        """What happens to connections."""
        self.address: tuple[str, int] | None = None

    @property
    def has_socket(self) -> bool:
        """Return whether a socket listens for it alone."""
        return self._own is not None

    async def open(self, host: str, port: int, state: PortState) -> None:
        """Listen at the address `host`, at the shared port whatever `port` is. Raise OSError."""
        if self.address is None:
            self._shared.enter(host, self)
            self.address = host, self._shared.number
        self.is_open = True
        self._become(state)

    async def become(self, state: PortState) -> bool:
        """Change the state of the port, if it is open; return False: it keeps its address. Raise OSError."""
        if self.is_open and state is not self.state:
            self._become(state)
        return False

    def close(self) -> None:
        """Answer no more. Connections that were accepted stay open."""
        if self.is_open:
            self.is_open = False
            self._become(PortState.DEAF)

    def serve(self, connection: socket.socket) -> None:
        """Serve a connection that was accepted."""
        self._tasks.begin(serve(self._factory, connection), "accepted connection")

    def take(self) -> None:
        """Get a socket of its own. Raise OSError."""
        assert self.address is not None
        self._own = Listener(self._factory, self._clock, self._tasks)
        try:
            self._own.begin_beside(self.address, self.state)
        except BaseException:
            self._own = None
            raise

    def let_go(self) -> None:
        """Close its own socket, if it has one."""
        if self._own is not None:
            self._own.finish()
            self._own = None

    def _become(self, state: PortState) -> None:
        before, self.state = self.state, state
        try:
            self.let_go()
            self._shared.settle(self)
        except OSError:
            self.state = before
            raise
