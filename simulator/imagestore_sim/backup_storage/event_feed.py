"""The events of all nodes that share a store, for those who follow them at one node."""

from __future__ import annotations

import time
from collections.abc import Callable

from imagestore_sim.backup_storage.events import EventLog, Events
from imagestore_sim.backup_storage.missing_numbers import MissingNumbers
from imagestore_sim.database.mariadb.session import IDLE_SECONDS, LOCK_SECONDS
from imagestore_sim.pieces import in_pieces

BATCH = 500
NUMBERS = 5000
"""Numbers of events that are read at once."""
OPEN_SECONDS = 4.0 * (LOCK_SECONDS + IDLE_SECONDS)
"""How long the transaction of an event may be open: few statements come after it, each after IDLE_SECONDS at the most,
and waits LOCK_SECONDS at the most for a lock."""
FIRST_LOOK_BACK = 10_000
"""How many numbers below the newest one may be those of open transactions when a node starts."""


class EventFeed:
    """Reads events from the store, since other nodes record them there, and passes each on once.

    Transactions of several nodes may commit in another order than that of the numbers of their events. So each number
    that is not there when a higher one is, is looked for until its transaction cannot be open any more. That is counted
    from the moment in which this node has found it missing, by the machine's time: the server is another machine, and
    the lab's clock may stand still or jump.
    """

    def __init__(
        self,
        events: Events,
        log: EventLog,
        monotonic: Callable[[], float] = time.monotonic,  # real: see the class
    ) -> None:
        self._events = events
        self._log = log
        self._monotonic = monotonic
        self._last: int | None = None
        """The highest number that was found; None before the first read."""
        self._missing = MissingNumbers()
        """Those below it that were not."""
        self._restarts = 0

    async def read(self) -> None:
        """Pass on what is new. Raise StoreUnavailable."""
        now = self._monotonic()
        if self._restarts != self._events.restarts:  # numbers begin with 1 again
            self._restarts, self._last = self._events.restarts, 0
            self._missing.clear()
        if self._last is None:
            self._last = await self._begin(now)
            return
        await self._pass_on_late()
        self._missing.drop_until(now - OPEN_SECONDS)  # of which none was there after that time
        if self._events.has_followers:
            await self._pass_on_new(self._last, now)
        else:
            await self._skip_new(self._last, now)

    async def _begin(self, now: float) -> int:
        """Return the newest number; note which of those before it are missing."""
        newest = await self._log.newest()
        oldest = max(0, newest - FIRST_LOOK_BACK)
        last = oldest
        for number in await self._log.numbers(oldest, newest, FIRST_LOOK_BACK):
            self._missing.note(last + 1, number - 1, now)
            last = number
        return newest

    async def _pass_on_late(self) -> None:
        """Pass on the events whose numbers were missing, and are there now."""
        if (bounds := self._missing.bounds) is None:
            return
        after, highest = bounds[0] - 1, bounds[1]
        while numbers := await self._log.numbers(after, highest, NUMBERS):
            late = [number for number in numbers if number in self._missing]
            for piece in in_pieces(late, BATCH):
                for event in await self._log.of_numbers(piece) if self._events.has_followers else ():
                    self._events.pass_on(event)
                for number in piece:
                    self._missing.take(number)
            after = numbers[-1]

    async def _pass_on_new(self, last: int, now: float) -> None:
        while found := await self._log.since(last, BATCH):
            for event in found:
                self._found(event.id, now)
                self._events.pass_on(event)
            last = found[-1].id

    async def _skip_new(self, last: int, now: float) -> None:
        """Pass over new events while there are no followers, and note the missing numbers for the next follower."""
        while found := await self._log.numbers(last, None, NUMBERS):
            for number in found:
                self._found(number, now)
            last = found[-1]

    def _found(self, number: int, now: float) -> None:
        self._missing.note((self._last or 0) + 1, number - 1, now)
        self._last = number
