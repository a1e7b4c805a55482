"""The events of all nodes that share a store, in the order of their numbers, for those who follow them at one node."""

from __future__ import annotations

from imagestore_sim.backup_storage.events import EventLog, Events
from imagestore_sim.clock import Clock

BATCH = 500
SETTLED_SECONDS = 5.0
"""After which an event with a lower number that is not there yet never comes: its transaction was rolled back."""


class EventFeed:
    """Reads events from the store, since other nodes record them there, and passes each on once.

    Transactions of several nodes may commit in another order than that of the numbers of their events.
    """

    def __init__(self, events: Events, log: EventLog, clock: Clock) -> None:
        self._events = events
        self._log = log
        self._clock = clock
        self._settled = 0
        """The number up to which all events have been passed on."""
        self._passed: set[int] = set()
        """The numbers above it of those that have."""
        self._restarts = 0

    async def read(self) -> None:
        """Pass on what is new. Raise StoreUnavailable."""
        if self._restarts != self._events.restarts:  # numbers begin with 1 again
            self._restarts, self._settled = self._events.restarts, 0
            self._passed.clear()
        elif not self._events.has_followers:
            self._settled = await self._log.newest()
            self._passed.clear()
            return
        last = self._settled
        while found := await self._log.since(last, BATCH):
            for event in found:
                if event.id not in self._passed:
                    self._passed.add(event.id)
                    self._events.pass_on(event)
                if self._clock.time() - event.time >= SETTLED_SECONDS:
                    self._settled = event.id
            last = found[-1].id
        self._passed = {number for number in self._passed if number > self._settled}
