"""The engine: one writer, and a short way for the reads that many ask for.

Whatever fails, a lock, a full disk, an I/O error, a file that is gone, is rolled back, told as StoreUnavailable without
SQL or values, and the next caller tries again: a connection that is broken is opened again.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVarTuple, cast

import aiosqlite
from sqlalchemy import (
    URL,
    ColumnClause,
    Connection,
    Dialect,
    ExceptionContext,
    Row,
    Select,
    column,
    event,
    select,
    table,
    text,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from imagestore_sim.database.errors import DatabaseError, StoreUnavailable, is_locked, reason_of
from imagestore_sim.database.health import Health, Side
from imagestore_sim.database.lazy_connection import LazyConnection
from imagestore_sim.database.location import (
    WRITTEN_BESIDE,
    FileLock,
    InodeLock,
    check_file,
    file_of,
    identity_of,
    url_of,
    version_of,
)
from imagestore_sim.database.migrations import HEAD, VERSIONS, newest_tables, upgrade
from imagestore_sim.database.models import Model
from imagestore_sim.database.statement_timeout import READ_SECONDS, ReadTooLong, StatementTimeout
from imagestore_sim.database.vault import Vault
from imagestore_sim.in_flight import counted, under_way

logger = logging.getLogger(__name__)
Ts = TypeVarTuple("Ts")
Prepare = Callable[[sqlite3.Connection], None]
BUSY_SECONDS = 10.0
"""How long a change may wait for a lock of another process, and for the changes that wait before it, in all."""
SLICE_SECONDS = 0.25
"""How long a thread waits for that lock at a time: a caller that is cancelled waits no longer."""
CHECK_PATIENCE = 1.0
READ_ONLY = "PRAGMA query_only = ON"
READS = "imagestore_sim_reads"
"""The execution option of connections that only read."""
BROKEN = (sqlite3.Error, SQLAlchemyError, OSError, ValueError)
"""What is raised of a connection that fails; ValueError: its thread has ended."""
CLOSED = "the database is closed"
PRAGMAS = ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")
_VERSION: ColumnClause[str] = column("version_num")
CHECK_READING = select(_VERSION).select_from(table("alembic_version", _VERSION))
CHECK_WRITING = text("UPDATE alembic_version SET version_num = version_num")
GONE = "the file was deleted, moved or replaced while it was in use; put it back, or start the node again"
LOST_LOG = "its write-ahead log was deleted or replaced while it was in use"
UNFOLDED = f"{LOST_LOG}, and is still being read"
COLUMNS = "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'"


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    """A connection, and the driver's own below it where that is SQLite's."""

    connection: AsyncConnection
    driver: aiosqlite.Connection | None

    async def run(self, sql: str) -> None:
        """Run a statement that has no rows, the short way if there is one."""
        if self.driver is not None:
            await self.driver.execute_fetchall(sql)
        else:
            await self.connection.exec_driver_sql(sql)

    async def close(self) -> None:
        """Give the connection up, and what it has not committed."""
        await self.connection.close()


class _Unit:
    """What one task writes as one transaction, and what is to follow once that is committed."""

    def __init__(self) -> None:
        self.writing: AsyncConnection | None = None
        self.to_end = AsyncExitStack()
        self.then: list[Callable[[], Awaitable[None] | None]] = []
        self.spoilt = False


class Database:
    """An open database. It goes on until `close`; made by `open`.

    SQLite has a connection for the writer, one for each way of reading, and one for the quick reads, which is used on
    the spot; another database has its engine's pool for reads.
    """

    def __init__(self, engine: AsyncEngine, prepare: Prepare | None, file: Path | None) -> None:
        self.revision = 0
        """Goes up by one with each committed transaction: an answer may be kept for as long as it stays."""
        self._engine = engine
        self._prepare = prepare
        self._file = file
        self._identity = None if file is None else identity_of(file)
        self._beside: tuple[tuple[int, int] | None, ...] = ()
        self._one_opener = asyncio.Lock()
        self._open_snapshots = 0
        self._is_sqlite = engine.dialect.name == "sqlite"
        self.health = Health(str(file or engine.url.render_as_string()), self._try_everything)
        """What is wrong with the store, if anything is."""
        self._one_writer = asyncio.Lock()
        self._one_reader = asyncio.Lock()
        self._writer = LazyConnection(self._connect_to_write, _Lane.close)
        self._reader = LazyConnection(self._connect_to_read, _Lane.close)
        self._raw_reader = LazyConnection(self._connect_to_read_for_a_while, _Lane.close)
        self._limit = StatementTimeout(READ_SECONDS)
        self._limited = _engine(engine.url, prepare, self._limit.connector())
        self._quick_reader: sqlite3.Connection | None = None
        self._units: dict[asyncio.Task[Any] | None, _Unit] = {}
        self._checked = 0.0
        self._closed = False
        self._to_close = AsyncExitStack()
        for one in (engine, self._limited):
            event.listen(one.sync_engine, "handle_error", self._explain)

    @classmethod
    async def open(cls, location: str, *, prepare: Prepare | None = None) -> Self:
        """Open a file or a SQLAlchemy URL, migrated to the newest version; `prepare` is called on every raw SQLite
        connection, to register functions and collations. Raises DatabaseError."""
        url, file = url_of(location), file_of(location)
        async with AsyncExitStack() as to_close:
            version = None
            if file is not None:
                await asyncio.to_thread(check_file, file)
                version = await asyncio.to_thread(version_of, file, VERSIONS)
                # Not in a thread: a caller that is cancelled meanwhile would leave it locked.
                to_close.callback(FileLock(file).release)
                to_close.callback(InodeLock(file).release)
            try:
                database = cls(_engine(url, prepare), prepare, file)
                to_close.push_async_callback(database._close_connections)
                await database._open(version, partial(Vault.beside, location))
            except (SQLAlchemyError, ImportError, OSError, sqlite3.Error, StoreUnavailable) as error:
                raise DatabaseError(f"{file or url.render_as_string()}: cannot be opened: {_why(error)}") from None
            database._to_close = to_close.pop_all()
        return database

    async def _open(self, version: str | None, vault: Callable[[], Vault]) -> None:
        """Migrate, and try every connection once."""
        if self._is_sqlite and version is None:
            async with self._engine.connect() as connection:
                await (await _driver(connection)).executescript(newest_tables())
        elif version != HEAD:
            async with self._engine.connect() as connection:
                async with connection.begin():
                    await connection.run_sync(partial(upgrade, vault=vault))
                await _forget_what_was_overwritten(connection)
        await self._writer.get()
        if self._is_sqlite:
            await self._reader.get()
            await self._raw_reader.get()
            await self._check_columns()
            self._open_quick_reader()
        async with self._writing() as connection:  # a lock, or a full disk, ends a start
            await connection.execute(CHECK_WRITING)
        self.revision = 0
        self.health.begin()

    async def _check_columns(self) -> None:
        """Raises DatabaseError where a table is not there, or a column of it."""
        found = {(table, column) for table, column in await self.fetch(COLUMNS, ())}
        for name, declared in Model.metadata.tables.items():
            for one in declared.columns:
                if (name, one.name) not in found:
                    raise DatabaseError(f"{self._file}: is damaged, it has no column {one.name} in a table {name}")

    @property
    def dialect(self) -> Dialect:
        """The dialect to compile statements for `fetch` with."""
        return self._engine.dialect

    # Writing

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """The one writer's connection, in a transaction: committed in the end, rolled back on any exception. Within
        `undivided` it is part of that transaction, which the same task has begun.

        A commit that has begun goes through: who is cancelled meanwhile hears of it after that. Raises
        StoreUnavailable.
        """
        with under_way():
            async with self._joined_or_begun() as connection:
                yield connection

    @asynccontextmanager
    async def _joined_or_begun(self) -> AsyncIterator[AsyncConnection]:
        unit = self._unit()
        if unit is None:
            async with self._writing() as connection:
                yield connection
            return
        if unit.writing is None:
            unit.writing = await unit.to_end.enter_async_context(self._writing())
        try:
            yield unit.writing
        except BaseException:
            unit.spoilt = True  # part of it has been written
            raise

    @asynccontextmanager
    async def atomic(self) -> AsyncIterator[None]:
        """All transactions that this task begins in the block are one, and what it reads in between sees what it has
        written. No other task writes from the first of them on, so nothing slow may be waited for."""
        task = asyncio.current_task()
        if task in self._units:
            yield
            return
        unit = _Unit()
        async with unit.to_end:
            self._units[task] = unit
            try:
                yield
            finally:
                del self._units[task]
            if unit.spoilt:
                raise RuntimeError("a part of an undivided change has failed")
        for follow in unit.then:
            await _follow(follow)

    async def after_commit(self, follow: Callable[[], Awaitable[None] | None]) -> None:
        """Call `follow` as soon as what this task is writing is committed: now, unless it is within `undivided`. It is
        not called if that is rolled back."""
        if not self.defer(follow) and (awaitable := follow()) is not None:
            await awaitable

    def defer(self, follow: Callable[[], Awaitable[None] | None]) -> bool:
        """Have `follow` called once what this task is writing is committed; False if it is writing nothing."""
        if (unit := self._unit()) is None:
            return False
        unit.then.append(follow)
        return True

    def _unit(self) -> _Unit | None:
        return self._units.get(asyncio.current_task()) if self._units else None

    @asynccontextmanager
    async def _writing(self, patience: float | None = None) -> AsyncIterator[AsyncConnection]:
        seconds = BUSY_SECONDS if patience is None else patience
        deadline = time.monotonic() + seconds  # real: other processes hold locks, and live in real time
        async with self._one_writer:
            lane = await self._begin(deadline)
            try:
                yield lane.connection
            except BaseException:
                await _to_its_end(self._roll_back(lane))
                raise
            await _to_its_end(self._commit(lane))

    async def _begin(self, deadline: float) -> _Lane:
        if self._closed:
            raise StoreUnavailable(CLOSED)
        lane = None
        try:
            self._check_identity()
            if self._has_lost_its_log():
                await self._open_log_again()
            lane = await self._writer.get()
            await self._take_lock(lane, deadline)
            self._beside = self._beside or self._identities_beside()  # SQLite has opened them by now
        except (*BROKEN, StoreUnavailable) as error:
            if lane is not None and not is_locked(error):
                await self._writer.drop(lane)
            raise self.health.failed(Side.WRITE, _why(error)) from error
        except BaseException:
            if lane is not None:
                await _to_its_end(self._roll_back(lane))
            raise
        return lane

    async def _take_lock(self, lane: _Lane, deadline: float) -> None:
        """Begin a transaction. SQLite's lock is taken at once, so that no statement after this waits for it."""
        if lane.driver is None:
            await lane.run("START TRANSACTION")
        elif not await self._took_lock(lane, deadline):
            await lane.run(f"PRAGMA busy_timeout = {int(SLICE_SECONDS * 1000)}")
            try:
                while not await self._took_lock(lane, deadline):
                    pass  # each time a thread has waited a while for it
            finally:
                await _to_its_end(lane.run("PRAGMA busy_timeout = 0"))

    async def _took_lock(self, lane: _Lane, deadline: float) -> bool:
        """Whether the lock is ours now. Raises sqlite3.Error once there is no time left to wait for it."""
        try:
            await lane.run("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not is_locked(error) or time.monotonic() >= deadline:  # real: see _writing
                raise
            return False
        return True

    async def _commit(self, lane: _Lane) -> None:
        try:
            await lane.run("COMMIT")
        except BROKEN as error:
            await self._roll_back(lane)
            raise self.health.failed(Side.WRITE, _why(error)) from error
        self.revision += 1
        self.health.worked(Side.WRITE)

    async def _roll_back(self, lane: _Lane) -> None:
        """Undo what was written; a connection that cannot do that goes, and with it what it has not committed."""
        try:
            await lane.run("ROLLBACK")
        except BROKEN as error:
            # Where the disk failed SQLite has rolled back by itself, and says that there is nothing to undo.
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
                await self._writer.drop(lane)

    def _check_identity(self) -> None:
        """Raises StoreUnavailable where what is written would be lost with a file that has no name any more."""
        if self._file is not None and identity_of(self._file) != self._identity:
            raise StoreUnavailable(GONE)

    def _identities_beside(self) -> tuple[tuple[int, int] | None, ...]:
        """Which files SQLite's write-ahead log and its index are now."""
        if self._file is None:
            return ()
        return tuple(identity_of(self._file.with_name(self._file.name + suffix)) for suffix in WRITTEN_BESIDE)

    def _has_lost_its_log(self) -> bool:
        """Whether what is written would be lost with this process, since a file it is written to has no name."""
        return bool(self._beside) and self._beside != self._identities_beside()

    async def _open_log_again(self) -> None:
        """Save what a write-ahead log holds that has no name any more, so that another is begun. Raises
        StoreUnavailable while somebody reads what it holds."""
        # SQLite's connections of one process share the log's index: none may be opened before the last is closed.
        async with self._one_reader, self._one_opener:
            if self._open_snapshots:
                raise StoreUnavailable(UNFOLDED)
            for kept in (self._writer, self._reader):
                if (lane := kept.made) is not None and lane.driver is not None:
                    ((busy, _, _),) = await lane.driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                    if busy:
                        raise StoreUnavailable(UNFOLDED)
                    break
            self._close_quick_reader()
            for kept in (self._raw_reader, self._reader, self._writer):
                await kept.drop()
            self._beside = ()
        logger.warning("%s: its write-ahead log was deleted or replaced; all it held is in the database", self._file)

    # Reading

    @counted
    async def read(self, statement: Select[*Ts]) -> Sequence[Row[*Ts]]:
        """All rows of a statement, the comfortable way. It sees everything committed before the call. Raises
        StoreUnavailable."""
        if (unit := self._unit()) is not None and unit.writing is not None:
            return (await unit.writing.execute(statement)).all()
        if not self._is_sqlite:
            async with self._engine.connect() as connection:
                return (await connection.execute(statement)).all()
        async with self._one_reader, self._reading(self._reader) as lane:
            return (await lane.connection.execute(statement)).all()

    @counted
    async def fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """All rows of compiled SQL with positional parameters, the short way: no SQLAlchemy on it.

        It sees everything committed before the call. Raises StoreUnavailable, ReadTooLong.
        """
        if (unit := self._unit()) is not None and unit.writing is not None:
            return [tuple(row) for row in await unit.writing.exec_driver_sql(sql, tuple(parameters))]
        if not self._is_sqlite:
            async with self._engine.connect() as connection:
                return [tuple(row) for row in await connection.exec_driver_sql(sql, tuple(parameters))]
        async with self._reading(self._raw_reader) as lane:
            assert lane.driver is not None, "it is SQLite's"
            try:
                rows = await lane.driver.execute_fetchall(sql, parameters)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                    raise ReadTooLong(f"not read within {READ_SECONDS:g} s") from None
                raise
        return cast("list[tuple[Any, ...]]", rows)  # without a row factory they are plain tuples

    async def fetch_few(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """The same for SQL that finds a row or a few by an index.

        SQLite does that in less time than handing it to a thread takes, so it is done here and now.
        """
        if self._quick_reader is not None and self._unit() is None:
            try:
                return self._quick_reader.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                if reason_of(error) is None:
                    raise
                self._quick_reader.close()
                self._quick_reader = None
        rows = await self.fetch(sql, parameters)  # it waits where that helps, and says what is wrong
        self._open_quick_reader()
        return rows

    @asynccontextmanager
    async def read_snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which everything that is read is of one moment, whatever is written meanwhile. Raises
        StoreUnavailable."""
        one = LazyConnection(self._connect_to_read, _Lane.close)
        self._open_snapshots += 1
        try:
            async with self._reading(one) as lane:
                await lane.run("BEGIN")
                yield lane.connection
        finally:
            await one.drop()
            self._open_snapshots -= 1

    @asynccontextmanager
    async def _reading(self, kept: LazyConnection[_Lane]) -> AsyncIterator[_Lane]:
        """A connection that reads; one that the store failed is given up."""
        if self._closed:
            raise StoreUnavailable(CLOSED)
        lane = None
        try:
            lane = await kept.get()
            yield lane
        except StoreUnavailable:  # Health knows
            await kept.drop(lane)
            raise
        except BROKEN as error:
            if lane is not None and _reason(error) is None:
                raise
            await kept.drop(lane)
            raise self.health.failed(Side.READ, _why(error)) from error
        self.health.worked(Side.READ)

    # Whether it works

    async def check(self) -> str | None:
        """Why the store cannot be used now, None if it can. At most once a second it is tried for that."""
        now = time.monotonic()  # real: as Health has it
        if self.health.problem is None and now >= self._checked + CHECK_PATIENCE:
            self._checked = now
            try:
                await self._try_everything()
            except StoreUnavailable as error:
                return str(error)
        return self.health.problem

    async def _try_everything(self) -> None:
        """Write and read a little on every connection. Raises StoreUnavailable."""
        if not self._one_writer.locked():  # else what is being written tells
            if self.health.problem is not None:
                await self._fold_log()
            async with self._writing(CHECK_PATIENCE) as connection:
                await connection.execute(CHECK_WRITING)
        await self.read(CHECK_READING)
        await self.fetch(str(CHECK_READING), ())

    async def _fold_log(self) -> None:
        """Have SQLite move what its write-ahead log holds into the database, and cut the log short.

        Of itself it does so at 4 MB only: on a disk that is full the log would keep its room, and each check of the
        store would take some of what others have freed.
        """
        async with self._one_writer:
            lane = self._writer.made
            if lane is None or lane.driver is None or self._has_lost_its_log():
                return
            try:
                await lane.driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            except BROKEN as error:
                logger.debug("the write-ahead log stays as it is: %s", _why(error))

    def _explain(self, context: ExceptionContext) -> None:
        """Have SQLAlchemy raise what says why the store failed; what else fails tells neither SQL nor values.

        A call that is cancelled goes on to its end in the connection's thread, and whatever comes next, a rollback
        say, waits for it there: the connection is not given up.
        """
        original = context.original_exception
        if isinstance(original, asyncio.CancelledError):
            context.is_disconnect = False
        elif context.connection is not None and (why := reason_of(original)) is not None:
            raise self.health.failed(Side.READ if self._reads(context.connection) else Side.WRITE, why)
        elif isinstance(failed := context.sqlalchemy_exception, StatementError):
            failed.statement = failed.params = failed.code = None

    def _reads(self, connection: Connection) -> bool:
        return bool(connection.get_execution_options().get(READS))

    # Connections

    async def _connect_to_write(self) -> _Lane:
        return await self._connect(self._engine, "PRAGMA busy_timeout = 0")

    async def _connect_to_read(self) -> _Lane:
        """A connection that only reads, each statement for itself."""
        return await self._connect(self._engine, READ_ONLY, **{READS: True})

    async def _connect_to_read_for_a_while(self) -> _Lane:
        """A connection that only reads, and ends what takes too long."""
        return await self._connect(self._limited, READ_ONLY, **{READS: True})

    async def _connect(self, engine: AsyncEngine, pragma: str, **options: bool) -> _Lane:
        async with self._one_opener:
            if self._has_lost_its_log():
                raise FileNotFoundError(errno.ENOENT, LOST_LOG)
            connection = await engine.connect()
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT", **options)  # see _take_lock
            lane = _Lane(connection, await _driver(connection) if self._is_sqlite else None)
            if self._is_sqlite:
                await lane.run(pragma)
        except BaseException:
            await _to_its_end(connection.close())
            raise
        return lane

    def _open_quick_reader(self) -> None:
        """Open the connection for quick reads unless it is open, or cannot be now."""
        if self._quick_reader is not None or not self._is_sqlite or self._closed:
            return
        if self._one_opener.locked() or self._has_lost_its_log():
            return
        try:
            # Without a time to wait: it runs on the event loop, and `fetch` can wait in its place.
            connection = _factory(self._prepare)(self._engine.url.database, isolation_level=None, timeout=0.0)
            connection.execute(READ_ONLY)
        except sqlite3.Error as error:
            logger.debug("quick reads go by a thread: %s", _why(error))
        else:
            self._quick_reader = connection

    def _close_quick_reader(self) -> None:
        if self._quick_reader is not None:
            self._quick_reader.close()
            self._quick_reader = None

    async def close(self) -> None:
        """Close every connection, once what runs on it has ended; may be called again."""
        self._limit.end()  # a read that takes long would be waited for
        async with self._one_reader, self._one_writer:
            await self._to_close.aclose()

    async def _close_connections(self) -> None:
        self._closed = True
        await self.health.close()
        self._close_quick_reader()
        for kept in (self._raw_reader, self._reader, self._writer):
            await kept.drop()
        await self._engine.dispose()
        await self._limited.dispose()


async def _follow(follow: Callable[[], Awaitable[None] | None]) -> None:
    """Call what follows a commit. What has been committed stays so, whatever goes wrong here."""
    try:
        if (awaitable := follow()) is not None:
            await awaitable
    except Exception:
        logger.exception("what follows a change went wrong")


def _why(error: BaseException) -> str:
    """What went wrong, without SQL and without values."""
    original = _original(error)
    if isinstance(original, OSError):
        return original.strerror or type(original).__name__
    return reason_of(original) or str(original)


def _reason(error: BaseException) -> str | None:
    """Why the store does not work; None for an error of the statement's own."""
    return reason_of(_original(error))


def _original(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


async def _forget_what_was_overwritten(connection: AsyncConnection) -> None:
    """Leave nothing in SQLite's files of what a migration has replaced, which may have been a secret."""
    if connection.dialect.name == "sqlite":
        driver = await _driver(connection)
        await driver.execute("VACUUM")
        await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _driver(connection: AsyncConnection) -> aiosqlite.Connection:
    """The driver's own connection below SQLAlchemy's."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, aiosqlite.Connection)
    return driver


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, however often the caller is cancelled meanwhile; then raise CancelledError if it was."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    try:
        task.result()
    finally:
        if cancelled is not None:
            raise cancelled


def _engine(
    url: URL, prepare: Prepare | None, make: Callable[..., sqlite3.Connection] = sqlite3.Connection
) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_async_engine(url, hide_parameters=True)
    arguments = {"timeout": BUSY_SECONDS, "factory": _factory(prepare, make)}
    return create_async_engine(url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)


def _factory(
    prepare: Prepare | None, make: Callable[..., sqlite3.Connection] = sqlite3.Connection
) -> Callable[..., sqlite3.Connection]:
    """Makes a raw connection, ready for use, in the thread that it belongs to."""

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = make(*arguments, **options)
        try:
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            if prepare is not None:
                prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    return connect
