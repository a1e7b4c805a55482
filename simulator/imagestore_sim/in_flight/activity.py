"""Activity of an event loop that takes real time: bytes between hosts and clients, calls of the store.

A clock that is stepped or sped up waits until there is none. Otherwise what takes the machine a millisecond would seem
to take the minutes that the clock moves on meanwhile. Each event loop has an Activity of its own.

Silence is counted in turns of the event loop, in each of which every ready callback runs and every socket is polled. A
busy machine can make a turn last long, but cannot skip one.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from imagestore_sim.in_flight.undelivered import UndeliveredBytes

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 10.0
"""Real seconds that `quiet` waits at most."""
UNDELIVERED_SECONDS = 0.2
"""Real seconds to wait for bytes between sockets of this process; then the receiver is taken not to read them."""


class Activity:
    """Counts what is under way on one event loop."""

    def __init__(self) -> None:
        self.moves = 0
        """Grows whenever bytes have moved or a call has returned."""
        self.calls = 0
        """Calls that have not returned yet."""
        self.sockets = UndeliveredBytes()
        """The connections between hosts and probes of this process."""

        self._remote_stores = 0

    @contextmanager
    def has_remote_store(self) -> Iterator[None]:
        """Have a virtual clock wait, while the block runs, for calls too that no thread of this process works on."""
        self._remote_stores += 1
        try:
            yield
        finally:
            self._remote_stores -= 1

    @property
    def waits_for_store(self) -> bool:
        """Whether the answer of a store in another process is awaited."""
        return self._remote_stores > 0 and self.calls > 0

    async def quiet(self, turns: int) -> bool:
        """Wait until nothing has moved for that many turns of the event loop, and no byte is under way.

        Return False after LONGEST real seconds in which that did not happen.
        """
        begun = time.monotonic()  # real: see above
        seen, quiet_turns = self.moves, 0
        undelivered_since: float | None = None
        while time.monotonic() - begun < LONGEST:  # real: see above
            await asyncio.sleep(0)  # real: one turn
            quiet_turns += 1
            if self.calls or self.moves != seen:
                seen, quiet_turns = self.moves, 0
            elif quiet_turns >= turns:
                if not self.sockets.any():
                    return True
                quiet_turns = 0
                undelivered_since = undelivered_since or time.monotonic()  # real: the kernel delivers
                if time.monotonic() - undelivered_since > UNDELIVERED_SECONDS:  # real: see above
                    self.sockets.give_up()
        return False


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Activity] = WeakKeyDictionary()


class _Latest(threading.local):
    """The event loop that this thread asked for last: `moved` is called for each packet."""

    def __init__(self) -> None:
        self.loop: Callable[[], asyncio.AbstractEventLoop | None] = lambda: None
        self.activity = Activity()


_latest = _Latest()


def activity() -> Activity:
    """Return the activity of the running event loop. Raise RuntimeError if none runs."""
    loop = asyncio.get_running_loop()
    if _latest.loop() is loop:
        return _latest.activity
    found = _by_loop.get(loop)
    if found is None:
        found = _by_loop[loop] = Activity()
    _latest.loop, _latest.activity = weakref.ref(loop), found
    return found


def moved() -> None:
    """Note that something has moved: bytes were sent or received, a request arrived."""
    activity().moves += 1


def opened(transport: asyncio.BaseTransport) -> int | None:
    """Watch the bytes on a connection; return the number to give to `closed`, None for one that has no socket."""
    tcp_socket = transport.get_extra_info("socket")
    return None if tcp_socket is None else opened_socket(tcp_socket)


def opened_socket(connected: socket.socket) -> int:
    """Watch the bytes on a connected socket; return the number to give to `closed`."""
    descriptor = connected.fileno()
    activity().sockets.add(descriptor)
    return descriptor


def closed(descriptor: int | None) -> None:
    """Stop watching a connection."""
    if descriptor is not None:
        activity().sockets.forget(descriptor)


@contextmanager
def under_way() -> Iterator[None]:
    """Count the block as a call that returns by itself, whatever a clock does."""
    here = activity()
    here.calls += 1
    try:
        yield
    finally:
        here.calls -= 1
        here.moves += 1


def counted(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Decorate a coroutine function, so that each call of it counts as under way."""

    @wraps(function)
    async def call(*arguments: P.args, **options: P.kwargs) -> T:
        with under_way():
            return await function(*arguments, **options)

    return call
