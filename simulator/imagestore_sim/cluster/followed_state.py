"""What a node keeps in memory of a store that other nodes write, too: as new as the store at each request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks, until_ended

LOOK_EVERY_SECONDS = 1.0
"""How often a node looks for changes that other nodes have made, beside each request."""
Reload = Callable[[], Awaitable[None]]


class FollowedState:
    """Reloads what is kept in memory when the store has changed, before a request is answered and once a second.

    Over a store that no other node writes, it does nothing: memory changes with each commit.
    """

    def __init__(self, database: Database, clock: Clock, supervisor: Supervisor) -> None:
        self._database = database
        self._clock = clock
        self._supervisor = supervisor
        self._reloads: list[Reload] = []
        self._tasks = Tasks()
        self._seen: int | None = None
        self._changes = 0
        """How often the store had changed, or could not be read."""
        self._hint = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may write the store."""
        return self._database.is_shared

    @property
    def revision(self) -> int:
        """A number that grows with each change of the store, as of the last `catch_up`."""
        return self._changes if self._database.is_shared else self._database.revision

    def follow(self, reload: Reload) -> None:
        """Call `reload` when the store has changed. It reads what it keeps, and may raise StoreUnavailable."""
        self._reloads.append(reload)

    def start(self) -> None:
        """Look for changes once a second, for what works in the background."""
        self._supervisor.keep(self._tasks, "changes of other nodes", self._pause, lambda _: self.catch_up())

    async def close(self) -> None:
        """Look no more."""
        await self._tasks.close()

    async def catch_up(self) -> None:
        """Return when everything that was committed before the call has been taken over.

        If the store cannot be read, what is kept counts as old: each reader then finds the error itself.
        """
        if not self._database.is_shared:
            return
        if self._next is None:  # one that runs already may have read the revision before this call
            self._next = self._tasks.begin(self._take_over(self._running), "changes of other nodes")
        await asyncio.shield(self._next)

    def hint(self) -> None:
        """Look now, in the background: this node itself has changed something."""
        self._hint.set()

    async def _pause(self) -> None:
        await self._clock.sleep_unless(self._hint.wait(), LOOK_EVERY_SECONDS)
        self._hint.clear()

    async def _take_over(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await until_ended(before)
        self._running, self._next = self._next, None
        try:
            revision = await self._database.current_revision()
            if revision != self._seen:
                self._seen = revision
                self._changes += 1
                for reload in self._reloads:
                    await reload()
        except StoreUnavailable:
            self._seen = None
            self._changes += 1
