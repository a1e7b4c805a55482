"""SQLite's write transactions: one at a time, committed or rolled back whole, even when the caller is cancelled."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.changes import ChangesOfSqlite, Plan, carry_out
from imagestore_sim.database.connections import BROKEN, Connections, StoreConnection
from imagestore_sim.database.errors import CLOSED, StoreUnavailable, describe, is_locked, reason_of
from imagestore_sim.database.health import Health, Side
from imagestore_sim.database.open_file import OpenFile
from imagestore_sim.database.shared_file import SharedFile
from imagestore_sim.virtual_clock import VirtualEventLoop

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Sequence[Any]]
"""Is done in SQLite's thread."""
MOST_PLANS = 50
"""Plans in one transaction."""
_SLICE_SECONDS = 0.25
"""How long SQLite's thread waits for the lock at a time: a cancelled caller must not wait longer for the thread."""


class _NotBegun(Exception):
    """A transaction cannot begin now: another process holds the lock, or something is wrong with the file."""


class _Waiting:
    """A plan that waits for its turn, and its result."""

    def __init__(self, plan: Plan[Any], woken: asyncio.Future[None]) -> None:
        self.plan = plan
        self.woken = woken
        """Is set when the plan is done, or when its caller is to lead."""
        self.leads = False
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


class Writer:
    """Runs transactions on the one connection that writes."""

    def __init__(
        self, connections: Connections, file: OpenFile, health: Health, shared: SharedFile | None = None
    ) -> None:
        """Take what the other databases of this process share of the file, if any do."""
        self.revision = 0
        """Number of committed transactions."""
        self.watchers: list[Callable[[], None]] = []
        """Called right after each commit, before whatever waits for it goes on."""
        self.lock = asyncio.Lock() if shared is None else shared.write_lock
        """Held by the task whose transaction runs."""
        self._waiting: deque[_Waiting] = deque()
        self._is_led = False
        """Whether the caller of a plan carries out plans, or is about to."""
        self._shared = shared
        self._connections = connections
        self._file = file
        self._health = health

    @property
    def is_busy(self) -> bool:
        """Whether a transaction runs."""
        return self.lock.locked()

    @asynccontextmanager
    async def transaction(
        self, patience: float | None = None, *, quiet: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        """Run the block in a transaction; commit at its end, roll back on any exception.

        A `quiet` one changes no revision and calls no watcher. Wait `patience` seconds, or BUSY_SECONDS, in all for the
        transactions before it and for the lock of another process. Raise StoreUnavailable.
        """
        seconds = self._connections.busy_seconds if patience is None else patience
        deadline = time.monotonic() + seconds  # real: other processes hold locks, and live in real time
        async with self.lock:
            writer = await self._begin(deadline)
            try:
                yield writer.connection
            except BaseException:
                await complete(self._roll_back(writer))
                raise
            await complete(self._commit(writer, quiet=quiet))

    async def change(self, plan: Plan[T]) -> T:
        """Return the result of a plan, which is carried out in one transaction with others that wait.

        It is carried out to its end even if the caller is cancelled meanwhile. One that raises is undone, and no other
        one with it. In virtual time each has a transaction of its own: the order of all things there follows from the
        number of calls of the thread. Raise StoreUnavailable.
        """
        if isinstance(asyncio.get_running_loop(), VirtualEventLoop):
            async with self.transaction() as connection:
                return await connection.run_sync(carry_out(plan))
        mine = _Waiting(plan, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        try:
            if self._is_led:
                await mine.woken
            if not mine.done:
                await self._lead()
        finally:
            if not mine.done:
                self._give_up(mine)
        if mine.error is not None:
            raise mine.error
        result: T = mine.result
        return result

    async def _lead(self) -> None:
        """Carry out the first of the plans that wait, together, and have the next one lead then."""
        self._is_led = True
        deadline = time.monotonic() + self._connections.busy_seconds  # real: see transaction
        turn: list[_Waiting] = []
        try:
            async with self.lock:
                turn = [self._waiting.popleft() for _ in range(min(MOST_PLANS, len(self._waiting)))]
                await complete(self._carry_out(turn, deadline))
        finally:
            for one in turn:
                one.wake()
            self._is_led = False
            self._let_next_lead()

    def _give_up(self, one: _Waiting) -> None:
        """Take a plan back whose caller is cancelled; if it was to lead, the next one does."""
        if one in self._waiting:
            self._waiting.remove(one)
        if one.leads:
            self._is_led = False
            self._let_next_lead()

    def _let_next_lead(self) -> None:
        if self._waiting and not self._is_led:
            self._is_led = self._waiting[0].leads = True
            self._waiting[0].wake()

    async def _carry_out(self, plans: Sequence[_Waiting], deadline: float) -> None:
        """Carry out some plans together; where one of them fails, each by itself."""
        try:
            results = await self._carry_out_together(plans, deadline)
        except Exception as error:
            if len(plans) == 1:
                plans[0].error, plans[0].done = error, True
                return
        else:
            for one, result in zip(plans, results, strict=True):
                one.result, one.done = result, True
            return
        for one in plans:
            await self._carry_out([one], deadline)

    async def _carry_out_together(self, plans: Sequence[_Waiting], deadline: float) -> Sequence[Any]:
        """Return the results of plans that are carried out in one transaction. Raise what one of them raises."""
        work = partial(_carry_out, [one.plan for one in plans], self._connections.engine.dialect)
        results = await self._carry_out_at_once(work)
        if results is None:
            results = await self._call(await self._begin(deadline), work)
        self._committed()
        return results

    async def _carry_out_at_once(self, work: Work) -> Sequence[Any] | None:
        """Do what `_call` does, with the beginning of the transaction; return None if it cannot begin now."""
        writer = self._connections.writer.current
        if writer is None or self._connections.closed or not self._file.is_in_place():
            return None
        try:
            return await self._call(writer, partial(_begin_and, work))
        except _NotBegun:
            return None

    async def _call(self, writer: StoreConnection, work: Work) -> Sequence[Any]:
        """Run `work` in SQLite's thread, and undo it if it fails. Raise what it raises, StoreUnavailable."""
        try:
            return await writer.call(work)
        except _NotBegun:
            raise
        except BaseException as error:
            await self._roll_back(writer)
            if isinstance(error, BROKEN) and (reason := reason_of(error)) is not None:
                raise self._health.failed(Side.WRITE, reason) from error
            raise

    async def _begin(self, deadline: float) -> StoreConnection:
        if self._connections.closed:
            raise StoreUnavailable(CLOSED)
        writer = None
        try:
            self._file.check()
            if self._file.has_lost_log():
                await self._connections.replace_log()
            writer = await self._connections.writer.get()
            await self._take_lock(writer, deadline)
            self._file.remember_log()
        except (*BROKEN, StoreUnavailable) as error:
            if writer is not None and not is_locked(error):
                await self._connections.writer.drop(writer)
            raise self._health.failed(Side.WRITE, describe(error)) from error
        except BaseException:
            if writer is not None:
                await complete(self._roll_back(writer))
            raise
        return writer

    async def _take_lock(self, writer: StoreConnection, deadline: float) -> None:
        """Begin a transaction. SQLite's lock is taken now, so that no statement in the transaction waits for it."""
        if not await self._try_lock(writer, deadline):
            await writer.run(f"PRAGMA busy_timeout = {int(_SLICE_SECONDS * 1000)}")
            try:
                while not await self._try_lock(writer, deadline):
                    pass  # each attempt has waited in SQLite's thread for _SLICE_SECONDS
            finally:
                await complete(writer.run("PRAGMA busy_timeout = 0"))

    async def _try_lock(self, writer: StoreConnection, deadline: float) -> bool:
        """Return whether the transaction has begun. Raise sqlite3.Error when the lock is held after `deadline`."""
        try:
            await writer.run("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not is_locked(error) or time.monotonic() >= deadline:  # real: see transaction
                raise
            return False
        return True

    async def _commit(self, writer: StoreConnection, *, quiet: bool) -> None:
        try:
            await writer.run("COMMIT")
        except BROKEN as error:
            await self._roll_back(writer)
            raise self._health.failed(Side.WRITE, describe(error)) from error
        if quiet:
            self._health.worked(Side.WRITE)
            self._settle()
        else:
            self._committed()

    def _committed(self) -> None:
        self._health.worked(Side.WRITE)
        self._settle()
        self.revision += 1
        if self._shared is not None:
            self._shared.revision += 1
        for watcher in list(self.watchers):
            watcher()

    async def _roll_back(self, writer: StoreConnection) -> None:
        """Undo what was written; drop a connection that cannot, since closing it undoes that, too."""
        try:
            await writer.run("ROLLBACK")
        except BROKEN as error:
            # SQLITE_ERROR: after an error of the disk SQLite has rolled back already, and there is nothing to undo.
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
                await self._connections.writer.drop(writer)
        self._settle()

    def _settle(self) -> None:
        if self._connections.texts is not None:
            self._connections.texts.settle()


def _begin_and(work: Work, connection: sqlite3.Connection) -> Sequence[Any]:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise _NotBegun from error
    return work(connection)


def _carry_out(plans: Sequence[Plan[Any]], dialect: Dialect, connection: sqlite3.Connection) -> Sequence[Any]:
    changes = ChangesOfSqlite(connection, dialect)
    results = [plan(changes) for plan in plans]
    connection.execute("COMMIT")
    return results
