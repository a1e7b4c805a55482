"""The database: opening it, transactions, reads and checks.

Whatever fails (a lock, a full disk, an I/O error, a file that is gone) is rolled back and raised as StoreUnavailable,
without SQL or values. The next caller tries again, on a new connection if the old one is broken.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Self, TypedDict, TypeVar, TypeVarTuple

from sqlalchemy import Dialect, Row, Select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.at_once import check_may_wait
from imagestore_sim.clock import Clock
from imagestore_sim.database.backend import Backend, Reads, Transactions
from imagestore_sim.database.changes import Plan, carry_out
from imagestore_sim.database.conflicts import made_again
from imagestore_sim.database.connections import BUSY_SECONDS, Prepare
from imagestore_sim.database.errors import DatabaseError, StoreUnavailable, describe
from imagestore_sim.database.health import Health
from imagestore_sim.database.location import file_of, url_of
from imagestore_sim.database.mariadb.address import shown
from imagestore_sim.database.mariadb.backend import open_mariadb
from imagestore_sim.database.schema import OptionRow
from imagestore_sim.database.sqlite_backend import open_file
from imagestore_sim.database.store_check import StoreCheck
from imagestore_sim.database.text_watch import TextWatch
from imagestore_sim.database.unit_of_work import UnitsOfWork
from imagestore_sim.database.vault import Vault
from imagestore_sim.in_flight import counted, under_way

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
MOST_TRIES = 5
"""How often a change is tried that meets changes of other nodes."""


Gate = Callable[[], Awaitable[None]]
"""Passed before each use of the store: it may wait, and raise StoreUnavailable."""


class _Common(TypedDict):
    """What every kind of store is opened with."""

    vault: Callable[[], Vault]
    options: tuple[OptionRow, ...]
    health: Health
    to_close: AsyncExitStack


class Database:
    """An open database, made by `open`, with one writer and concurrent readers."""

    _backend: Backend
    _writer: Transactions
    _reader: Reads
    _units: UnitsOfWork
    _check: StoreCheck

    def __init__(self, name: str, gate: Gate | None) -> None:
        """Take the name of the store for messages, and what each use of it passes first."""
        self._gate = gate
        self.health = Health(name, lambda: self._check.run())
        """What is wrong with the store, if anything is."""
        self._to_close = AsyncExitStack()
        self._closing = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        location: str,
        *,
        prepare: Prepare | None = None,
        options: tuple[OptionRow, ...] = (),
        vault: Callable[[], Vault] | None = None,
        clock: Clock | None = None,
        shared: bool = False,
        gate: Gate | None = None,
    ) -> Self:
        """Open a file or the URL of a MariaDB, and migrate it to the newest version. Raise DatabaseError.

        `prepare` is called with every raw SQLite connection, to register functions and collations. A store without
        tables gets the rows of `options` with them. `vault` opens the vault for a migration that finds secrets; a
        file's key is beside it. `clock` tells the time of a file, see `now`. Several databases of this process may open
        a `shared` file, all of them on the same event loop. Each use passes `gate` first.
        """
        url, file = url_of(location), file_of(location)
        name = shown(url) if file is None else str(file)
        database = cls(name, gate)
        async with AsyncExitStack() as to_close:
            common: _Common = {
                "vault": vault or partial(Vault.beside, location),
                "options": options,
                "health": database.health,
                "to_close": to_close,
            }
            try:
                backend: Backend = (
                    await open_mariadb(url, **common)
                    if file is None
                    else await open_file(url, file, prepare=prepare, clock=clock, shared=shared, **common)
                )
                await database._begin(backend)
            except StoreUnavailable as error:  # it names the store
                raise DatabaseError(str(error)) from None
            except (SQLAlchemyError, ImportError, OSError, sqlite3.Error) as error:
                raise DatabaseError(f"{name}: cannot be opened: {describe(error)}") from None
            database._to_close = to_close.pop_all()
        return database

    async def _begin(self, backend: Backend) -> None:
        """Read and write through an open backend from now on."""
        self._backend = backend
        self._writer, self._reader = backend.writer, backend.reader
        self._units = UnitsOfWork(backend.writer.transaction)
        self._check = StoreCheck(backend, self.health)
        await backend.check_writing(BUSY_SECONDS)  # a lock or a full disk ends the start
        self._writer.revision = 0
        self.health.begin()

    @property
    def revision(self) -> int:
        """The number of transactions that were committed here. Where no other node writes, see `current_revision`."""
        return self._writer.revision

    async def current_revision(self) -> int:
        """Return a number that grows with each committed transaction, whichever node has committed it.

        While it is unchanged, what was read from the store stays valid. Raise StoreUnavailable.
        """
        await self._pass_gate()
        return await self._backend.current_revision()

    async def now(self) -> float:
        """Return the store's time in seconds since the epoch, which is the same for all nodes that share it.

        A MariaDB has a clock of its own; a file has the clock that it was opened with. Raise StoreUnavailable.
        """
        await self._pass_gate()
        return await self._backend.now()

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may write to the store."""
        return self._backend.is_shared

    @property
    def dialect(self) -> Dialect:
        """The dialect in which to compile statements for `fetch`."""
        return self._backend.dialect

    # Writing

    @asynccontextmanager
    async def transaction(self, *, quiet: bool = False) -> AsyncIterator[AsyncConnection]:
        """Run the block in a transaction; commit at its end, roll back on any exception. Raise StoreUnavailable.

        Only one task at a time is in a transaction. Inside `atomic` it is part of that transaction. A commit that has
        begun is completed even if the task is cancelled meanwhile. A `quiet` one changes no revision, for what no
        answer holds; it may not be inside `atomic`.
        """
        check_may_wait()
        if self._units.connection is None:
            await self._pass_gate()
        with under_way():
            async with self._writer.transaction(quiet=True) if quiet else self._units.transaction() as connection:
                yield connection

    @asynccontextmanager
    async def beat(self) -> AsyncIterator[tuple[AsyncConnection, float]]:
        """Provide a connection for a heartbeat, and the store's time, as `now` returns it.

        A MariaDB has a connection of its own for it, ahead of all that waits to be read or written. What is written is
        committed at the end of the block at the latest, and changes no revision. Raise StoreUnavailable.
        """
        await self._pass_gate()
        with under_way():
            async with self._backend.beat() as beat:
                yield beat

    async def change(self, plan: Plan[T]) -> T:
        """Return the result of a plan, which is carried out in one transaction; see `changes`.

        Inside `atomic` it is part of that transaction. It is carried out even if the task is cancelled once it has
        begun. The plan may run in a thread, and more than once. Raise StoreUnavailable, and what the plan raises.
        """
        if self._units.is_active:
            async with self.transaction() as connection:
                return await connection.run_sync(carry_out(plan))
        await self._pass_gate()
        with under_way():
            return await self._backend.writer.change(plan)

    @asynccontextmanager
    async def atomic(self) -> AsyncIterator[None]:
        """Join all transactions that the current task begins in the block into one.

        Reads of the same task see what it has written. From its first write on no other task can write, so the block
        must not wait for anything slow.
        """
        async with self._units.atomic():
            yield

    async def atomically(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`, which is run in one `atomic` block.

        Where MariaDB undoes it for the sake of another node's transaction, it is run again, MOST_TRIES times in all:
        so it must change nothing but the store. Raise StoreConflict after the last time. Inside `atomic` it is a part
        of that block, and run once: MariaDB undoes the whole.
        """
        if self._units.is_active:
            return await work()

        async def attempt() -> T:
            async with self.atomic():
                return await work()

        return await made_again(attempt, most=MOST_TRIES)

    async def after_commit(self, callback: Callable[[], Awaitable[None] | None]) -> None:
        """Call `callback` after the commit of the current task's `atomic` block, or at once outside of one.

        It is not called if the block is rolled back.
        """
        if not self.defer(callback) and (awaitable := callback()) is not None:
            await awaitable

    def defer(self, callback: Callable[[], Awaitable[None] | None]) -> bool:
        """Call `callback` after the commit of the current task's `atomic` block. Return False outside of one."""
        return self._units.defer(callback)

    @contextmanager
    def watching_commits(self, watcher: Callable[[], None]) -> Iterator[None]:
        """While the block runs, call `watcher` right after each commit, before whatever waits for it goes on."""
        self._writer.watchers.append(watcher)
        try:
            yield
        finally:
            self._writer.watchers.remove(watcher)

    # Reading

    @counted
    async def read(self, statement: Select[*Ts], parameters: Mapping[str, object] | None = None) -> Sequence[Row[*Ts]]:
        """Return all rows of `statement`, as of everything committed before. Raise StoreUnavailable.

        To build a statement takes as long as to execute it: one that is read often is made once, with `parameters`.
        """
        check_may_wait()
        if (writing := self._units.connection) is not None:
            return (await writing.execute(statement, parameters)).all()
        await self._pass_gate()
        return await self._reader.read(statement, parameters)

    @counted
    async def fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return all rows of compiled SQL with positional parameters, past SQLAlchemy.

        It sees everything committed before. Raise StoreUnavailable, ReadTooLong.
        """
        check_may_wait()
        if (writing := self._units.connection) is not None:
            return self._backend.rows_of(await writing.exec_driver_sql(sql, tuple(parameters)))
        await self._pass_gate()
        return await self._reader.fetch(sql, parameters)

    async def fetch_few(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return what `fetch` does, for SQL that finds a few rows by an index.

        SQLite finds them in less time than it takes to hand the call to a thread, so it is run on the event loop.
        """
        may_be_quick = self._gate is None and not self._units.is_active
        if may_be_quick and (rows := self._reader.fetch_at_once(sql, parameters)) is not None:
            return rows
        rows = await self.fetch(sql, parameters)  # waits where that helps, and reports what is wrong
        self._reader.make_quick()
        return rows

    async def fetch_soon(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return what `fetch` does, for SQL that may find its rows in about a millisecond, or take long.

        It is run on the event loop, and where that takes long begun again in a thread. Raise as `fetch` does.
        """
        may_be_short = self._gate is None and not self._units.is_active
        if may_be_short and (rows := self._reader.fetch_if_short(sql, parameters)) is not None:
            return rows
        return await self.fetch(sql, parameters)

    @asynccontextmanager
    async def read_snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Provide a connection on which every read sees the same state, whatever is committed meanwhile.

        Raise StoreUnavailable.
        """
        await self._pass_gate()
        async with self._reader.snapshot() as connection:
            yield connection

    @property
    def texts(self) -> TextWatch | None:
        """What notices changes of texts, for copies of them in memory; None where a read may not see what is committed.

        That is so where other nodes write to the store, and while the current task reads what it has written itself, or
        a snapshot.
        """
        return None if self._gate is not None or self._units.is_active else self._backend.texts

    async def _pass_gate(self) -> None:
        if self._gate is not None:
            await self._gate()

    @contextmanager
    def reading_from(self, connection: AsyncConnection) -> Iterator[None]:
        """Let the reads of the current task go to a connection of `read_snapshot`. The task must not write."""
        with self._units.reading_from(connection):
            yield

    # Checking and closing

    async def check(self) -> str | None:
        """Return why the store cannot be used now, None if it can. Try it at most once a second."""
        try:
            await self._pass_gate()
        except StoreUnavailable as error:
            return str(error)
        return await self._check.problem()

    async def close(self) -> None:
        """Close every connection after its running statement has ended. Safe to call again."""
        async with self._closing:
            await self._to_close.aclose()
