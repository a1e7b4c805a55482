"""Slots for logins: each purpose has its own, and a host whose last probe hung queues behind the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from contextvars import ContextVar
from enum import StrEnum

from imagestore_sim.clock import Clock
from imagestore_sim.context_managers import set_in_block
from imagestore_sim.tasks import Tasks

PATIENCE_SECONDS = 0.5
"""How long a login holds its slot. One that takes longer continues without, so that the next one may begin."""
MOST_SLOW = 200
"""The number of logins that may continue without a slot."""
_SUSPECT_SHARE = 4  # one in this many free slots goes to a suspect even while others wait


class Purpose(StrEnum):
    """What a probe is for; each purpose has slots of its own."""

    COMMAND = "command"
    """A client waits for it."""
    RECONNECT = "reconnect"
    """A lost storage is connected again."""
    PING = "ping"


_purpose: ContextVar[Purpose] = ContextVar("purpose of a probe", default=Purpose.COMMAND)


def probing_for(purpose: Purpose) -> AbstractContextManager[None]:
    """Set the purpose of all probes in the block, and in tasks begun there."""
    return set_in_block(_purpose, purpose)


def current_purpose() -> Purpose:
    """Return the purpose set by `probing_for`; COMMAND outside of it."""
    return _purpose.get()


class SlotQueue:
    """A number of slots with two queues: suspects wait behind all others, but get every _SUSPECT_SHARE-th slot."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: tuple[deque[asyncio.Future[None]], deque[asyncio.Future[None]]] = (deque(), deque())
        self._released = 0

    async def take(self, *, suspect: bool) -> None:
        """Wait for a slot and take it."""
        if self._free and not any(self._waiting):
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[suspect].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # The slot may have been handed over in the same turn of the event loop as the cancellation.
            if turn.done() and not turn.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Hand a slot over to the next waiter."""
        self._released += 1
        suspects_first = self._released % _SUSPECT_SHARE == 0
        for queue in (self._waiting[suspects_first], self._waiting[not suspects_first]):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


class LoginSlots:
    """`number` slots for each purpose, and MOST_SLOW more for logins that take long."""

    def __init__(self, clock: Clock, number: int) -> None:
        self._clock = clock
        self._queues = {purpose: SlotQueue(number) for purpose in Purpose}
        self._slow = 0
        self._tasks = Tasks()

    @asynccontextmanager
    async def slot(self, purpose: Purpose, *, suspect: bool) -> AsyncIterator[None]:
        """Hold a slot while the block runs, for PATIENCE_SECONDS at most if there is room among the slow ones."""
        queue = self._queues[purpose]
        await queue.take(suspect=suspect)
        held = _HeldSlot(queue)
        leaving = self._tasks.begin(self._release_in_time(held), "slot of a login")
        try:
            yield
        finally:
            leaving.cancel()
            if held.slow:
                self._slow -= 1
            held.release()

    async def _release_in_time(self, held: _HeldSlot) -> None:
        await self._clock.sleep(PATIENCE_SECONDS)
        if self._slow < MOST_SLOW:
            self._slow += 1
            held.slow = True
            held.release()

    async def close(self) -> None:
        """Cancel the timers of the slots that are held."""
        await self._tasks.close()


class _HeldSlot:
    """A slot that can be released any number of times, and is once."""

    def __init__(self, queue: SlotQueue) -> None:
        self._queue: SlotQueue | None = queue
        self.slow = False

    def release(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.release()
