"""Places for logins: commands, reconnects and pings have their own; a host that hung last waits behind the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from enum import StrEnum

from imagestore_sim.clock import Clock
from imagestore_sim.tasks import Tasks

PATIENCE_SECONDS = 0.5
"""How long a login keeps its place: one that takes longer goes on without, so that the next one may begin."""
MOST_SLOW = 200
"""Logins that go on without a place, at once."""
_SUSPECTS_TURN = 4  # of this many places that become free, one is a suspect's even while others wait


class Purpose(StrEnum):
    """What a probe is for; each purpose has places of its own."""

    COMMAND = "command"
    """A client waits for it."""
    RECONNECT = "reconnect"
    """A storage that was lost is connected again."""
    PING = "ping"


_purpose: ContextVar[Purpose] = ContextVar("purpose of a probe", default=Purpose.COMMAND)


@contextmanager
def probing_for(purpose: Purpose) -> Iterator[None]:
    """Have what is probed in the block, and in tasks begun there, be for a purpose."""
    token = _purpose.set(purpose)
    try:
        yield
    finally:
        _purpose.reset(token)


def current_purpose() -> Purpose:
    """What is probed for at present: a command, unless somebody has said otherwise."""
    return _purpose.get()


class SlotQueue:
    """A number of places. Who waits for one is served in order, suspects behind all others, but never without end."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: tuple[deque[asyncio.Future[None]], deque[asyncio.Future[None]]] = (deque(), deque())
        self._given = 0

    async def take(self, *, suspect: bool) -> None:
        """Wait for a place and take it."""
        if self._free and not any(self._waiting):
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[suspect].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """Leave a place to the next one."""
        self._given += 1
        first = self._given % _SUSPECTS_TURN == 0
        for queue in (self._waiting[first], self._waiting[not first]):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


class LoginSlots:
    """Logins under way: `number` places a purpose, and MOST_SLOW more for those that take long."""

    def __init__(self, clock: Clock, number: int) -> None:
        self._clock = clock
        self._places = {purpose: SlotQueue(number) for purpose in Purpose}
        self._slow = 0
        self._tasks = Tasks()

    @asynccontextmanager
    async def place(self, purpose: Purpose, *, suspect: bool) -> AsyncIterator[None]:
        """Hold a place while the block runs, for PATIENCE_SECONDS at most if there is room among the slow ones."""
        places = self._places[purpose]
        await places.take(suspect=suspect)
        held = _Slot(places)
        leaving = self._tasks.begin(self._leave_in_time(held), "place of a login")
        try:
            yield
        finally:
            leaving.cancel()
            if held.slow:
                self._slow -= 1
            held.give_back()

    async def _leave_in_time(self, held: _Slot) -> None:
        await self._clock.sleep(PATIENCE_SECONDS)
        if self._slow < MOST_SLOW:
            self._slow += 1
            held.slow = True
            held.give_back()

    async def close(self) -> None:
        """Let nothing go on."""
        await self._tasks.close()


class _Slot:
    """A place, until it is given back."""

    def __init__(self, places: SlotQueue) -> None:
        self._places: SlotQueue | None = places
        self.slow = False

    def give_back(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places.give_back()
