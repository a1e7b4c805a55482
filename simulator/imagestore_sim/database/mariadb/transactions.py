"""MariaDB's write transactions: one at a time in this node, committed or rolled back as a whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.changes import Plan, carry_out
from imagestore_sim.database.errors import (
    CLOSED,
    OutcomeUnknown,
    StoreConflict,
    StoreUnavailable,
    describe,
    is_conflict,
    original,
)
from imagestore_sim.database.health import Health, Side
from imagestore_sim.database.mariadb.connections import (
    MariaDbConnections,
    OpenConnection,
    begun,
    conflict_text,
    is_broken,
)
from imagestore_sim.database.mariadb.reasons import is_unsettled
from imagestore_sim.database.mariadb.revision import OwnRevision
from imagestore_sim.database.mariadb.session import LOCK_SECONDS

T = TypeVar("T")
_PAUSE_SECONDS = 0.25
"""Between two attempts to find out whether a transaction was committed."""
UNKNOWN = "the connection was lost during a commit, and whether it was stored is not known"


class MariaDbWriter:
    """Runs transactions on the one connection that writes."""

    def __init__(self, connections: MariaDbConnections, health: Health) -> None:
        self.revision = 0
        """Number of transactions that were committed here."""
        self.watchers: list[Callable[[], None]] = []
        """Called right after each commit, before whatever waits for it goes on."""
        self.lock = asyncio.Lock()
        """Held by the task whose transaction runs."""
        self.own = OwnRevision()
        self._connections = connections
        self._health = health

    @property
    def is_busy(self) -> bool:
        """Whether a transaction runs."""
        return self.lock.locked()

    @asynccontextmanager
    async def transaction(self, *, quiet: bool = False) -> AsyncIterator[AsyncConnection]:
        """Run the block in a transaction; commit at its end, roll back on any exception.

        A `quiet` one changes no revision, and calls no watcher. A statement waits LOCK_SECONDS for a lock of another
        connection. Raise StoreUnavailable, StoreConflict.
        """
        async with self.lock:
            writer = await self._begin()
            try:
                yield writer.connection
            except BaseException:
                await complete(self._roll_back(writer))
                raise
            await complete(self._commit_quietly(writer) if quiet else self._commit(writer))

    async def change(self, plan: Plan[T]) -> T:
        """Return the result of a plan, which is carried out in a transaction. Raise StoreUnavailable, StoreConflict."""
        async with self.transaction() as connection:
            return await connection.run_sync(carry_out(plan))

    async def check(self) -> None:
        """Write without changing what nodes read. Raise StoreUnavailable."""
        async with self.lock:
            writer = await self._begin()
            await complete(self._commit_quietly(writer))

    async def leave(self) -> None:
        """Give up the row of this node. Raise StoreUnavailable, the driver's errors."""
        async with self.lock:
            writer = await self._connections.writer.get()
            for statement in self.own.leave():
                await writer.run(statement)

    async def _begin(self) -> OpenConnection:
        """Begin a transaction, on another connection if the one that is kept was lost while it was idle."""
        if self._connections.closed:
            raise StoreUnavailable(CLOSED)
        try:
            writer, _ = await begun(self._connections.writer, _start)
        except Exception as error:
            raise (self._failed(error) if is_broken(error) else error) from error
        return writer

    async def _commit_quietly(self, writer: OpenConnection) -> None:
        await self._end(writer, self.own.number)

    async def _commit(self, writer: OpenConnection) -> None:
        await self._end(writer, self.own.number + 1)
        self.own.number += 1
        self.revision += 1
        for watcher in list(self.watchers):
            watcher()

    async def _end(self, writer: OpenConnection, number: int) -> None:
        """Commit, with `number` as the revision of this node.

        Raise StoreUnavailable if nothing was committed; OutcomeUnknown, one of those, if that cannot be found out.
        """
        sent = False
        try:
            await writer.run(self.own.set_to(number))
            sent = True
            await writer.run("COMMIT")
        except Exception as error:
            await self._roll_back(writer)
            if not is_broken(error):
                raise
            in_doubt = sent and is_unsettled(error) and number != self.own.number
            if not in_doubt or not await self._was_committed(number):
                raise self._failed(error) from error
        self._health.worked(Side.WRITE)

    async def _was_committed(self, number: int) -> bool:
        """Return whether a transaction was committed whose connection was lost meanwhile, once the server answers.

        Raise OutcomeUnknown if it does not answer for LOCK_SECONDS.
        """
        end = time.monotonic() + LOCK_SECONDS  # real: a server that starts again
        while time.monotonic() < end:  # real: see above
            try:
                return bool(await self._connections.value(self.own.stored()) == number)
            except Exception as error:
                if not is_broken(error):
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)  # real: see above
        # A later transaction of this number would leave the sum of all revisions as the lost one may have made it, and
        # be taken for committed if it is lost as well.
        self.own.number = number
        raise OutcomeUnknown(str(self._health.failed(Side.WRITE, UNKNOWN)))

    async def _roll_back(self, writer: OpenConnection) -> None:
        """Undo what was written; drop a connection that cannot, since closing it undoes that, too."""
        try:
            await writer.run("ROLLBACK")
        except Exception as error:
            if not is_broken(error):
                raise
            await self._connections.writer.drop(writer)

    def _failed(self, error: BaseException) -> StoreUnavailable:
        """Return the error to raise for one of the driver's. A conflict is no fault of the store."""
        cause = original(error)
        if is_conflict(cause):
            return StoreConflict(conflict_text(cause))
        return self._health.failed(Side.WRITE, describe(error))


async def _start(writer: OpenConnection) -> None:
    await writer.run("START TRANSACTION")
