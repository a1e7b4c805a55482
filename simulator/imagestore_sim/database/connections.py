"""The connections of one SQLite file: a writer, three kinds of readers, and snapshots."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite
from sqlalchemy import URL, Connection, ExceptionContext, event
from sqlalchemy.exc import SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.errors import StoreUnavailable, describe, reason_of
from imagestore_sim.database.health import Health, Side
from imagestore_sim.database.lazy_connection import LazyConnection
from imagestore_sim.database.open_file import LOG_IS_LOST, OpenFile
from imagestore_sim.database.statement_cache import SHARED_STATEMENTS, with_shared_dialect
from imagestore_sim.database.statement_timeout import READ_SECONDS, StatementTimeout
from imagestore_sim.database.text_watch import TextWatch

T = TypeVar("T")
logger = logging.getLogger(__name__)
Prepare = Callable[[sqlite3.Connection], None]
"""Called with each raw SQLite connection, to register functions and collations."""
BUSY_SECONDS = 10.0
"""How long a change waits in all for the lock of another process and for the changes that are queued before it."""
BROKEN = (sqlite3.Error, SQLAlchemyError, OSError, ValueError)
"""What a failing connection raises; ValueError: the thread of an aiosqlite connection has ended."""
READ_ONLY = "PRAGMA query_only = ON"
_READS = "imagestore_sim_reads"
"""The SQLAlchemy execution option of connections that only read."""
_PRAGMAS = ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")
_LOG_IS_READ = f"{LOG_IS_LOST}, and is still being read"


@dataclass(frozen=True, slots=True, eq=False)
class StoreConnection:
    """A connection of SQLAlchemy's, and the driver's own below it."""

    connection: AsyncConnection
    driver: aiosqlite.Connection

    async def run(self, sql: str) -> None:
        """Run a statement without rows, past SQLAlchemy."""
        await self.driver.execute_fetchall(sql)

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of `work`, which is done on the raw connection in its thread."""
        # aiosqlite has no public function for it. That its own futures are seen by virtual time is needed, too.
        result: T = await cast("Any", self.driver)._execute(partial(work, self.driver._conn))
        return result

    async def close(self) -> None:
        """Close the connection, discarding what it has not committed; to the end, even if the caller is cancelled."""
        await complete(self.connection.close())


class Connections:
    """Opens the connections of a file when they are needed, and closes them.

    There is one for `writer`, `reader` (through SQLAlchemy) and `raw_reader` (past it, with a time limit), each with a
    thread of its own, and `quick_reader`, which runs on the event loop.
    """

    def __init__(self, url: URL, prepare: Prepare | None, file: OpenFile, health: Health) -> None:
        self.timeout = StatementTimeout(READ_SECONDS)
        """Limits the statements of `raw_reader`."""
        self.engine = _engine(url, prepare)
        self._limited_engine = _engine(url, prepare, self.timeout.connect_function())
        for engine in (self.engine, self._limited_engine):
            watch_errors(engine, health)
        self.texts = None if file.is_shared else TextWatch()
        """Notices changes of texts; None where other databases write to the file, too."""
        self.busy_seconds = BUSY_SECONDS
        self.closed = False
        self.writer = LazyConnection(self._open_writer, StoreConnection.close)
        self.reader = LazyConnection(self._open_reader, StoreConnection.close)
        self.raw_reader = LazyConnection(self._open_raw_reader, StoreConnection.close)
        self.reader_lock = asyncio.Lock()
        """Held while `reader` runs a statement."""
        self.quick_reader: sqlite3.Connection | None = None
        self._prepare = prepare
        self._file = file
        self._health = health
        self._open_snapshots = 0
        self._opening = asyncio.Lock()

    def open_quick_reader(self) -> None:
        """Open the connection for quick reads, unless it is open or cannot be opened now."""
        if self.quick_reader is not None or self.closed:
            return
        if self._opening.locked() or self._file.has_lost_log():
            return
        try:
            # No busy timeout: it runs on the event loop, and `Database.fetch` can wait in its place.
            connection = _connect_function(self._prepare)(self.engine.url.database, isolation_level=None, timeout=0.0)
            connection.execute(READ_ONLY)
        except sqlite3.Error as error:
            logger.debug("quick reads go by a thread: %s", describe(error))
        else:
            self.quick_reader = connection

    def close_quick_reader(self) -> None:
        """Close the connection for quick reads, if it is open."""
        if self.quick_reader is not None:
            self.quick_reader.close()
            self.quick_reader = None

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[LazyConnection[StoreConnection]]:
        """Provide a connection for a read transaction of its own, and close it at the end of the block."""
        connection = LazyConnection(self._open_reader, StoreConnection.close)
        self._open_snapshots += 1
        try:
            yield connection
        finally:
            try:
                await connection.drop()
            finally:  # it raises CancelledError if the caller was cancelled meanwhile
                self._open_snapshots -= 1

    async def checkpoint(self) -> None:
        """Have SQLite move its write-ahead log into the database file, and truncate the log.

        By itself SQLite checkpoints at 4 MB only: on a full disk the log would keep its size, and each check of the
        store would consume some of the space that others have freed.
        """
        writer = self.writer.current
        if writer is None or self._file.has_lost_log():
            return
        try:
            await writer.driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        except BROKEN as error:
            logger.debug("the write-ahead log stays as it is: %s", describe(error))

    async def replace_log(self) -> None:
        """Save what a write-ahead log without a name holds, and close every connection so that a new one is begun.

        The caller holds the lock of the writer. Raise StoreUnavailable while a reader still uses the log.
        """
        # All connections of a process share the log's index, so none may be opened before the last one is closed.
        async with self.reader_lock, self._opening:
            if self._file.is_shared:
                raise StoreUnavailable(LOG_IS_LOST)  # connections of other databases keep it open
            if self._open_snapshots:
                raise StoreUnavailable(_LOG_IS_READ)
            for lazy in (self.writer, self.reader):
                if (connection := lazy.current) is not None:
                    ((busy, _, _),) = await connection.driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                    if busy:
                        raise StoreUnavailable(_LOG_IS_READ)
                    break
            await self._close_all()
            self._file.forget_log()
        logger.warning(
            "%s: its write-ahead log was deleted or replaced; all it held is in the database", self._file.path
        )

    async def close(self) -> None:
        """End the checks of the health, close every connection, and dispose of the engines."""
        self.closed = True
        await self._health.close()
        await self._close_all()
        await self.engine.dispose()
        await self._limited_engine.dispose()

    async def _close_all(self) -> None:
        self.close_quick_reader()
        for lazy in (self.raw_reader, self.reader, self.writer):
            await lazy.drop()

    async def _open_writer(self) -> StoreConnection:
        return await self._open(self.engine, self._prepare_writer)

    def _prepare_writer(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA busy_timeout = 0")
        if self.texts is not None:
            self.texts.install(connection)

    async def _open_reader(self) -> StoreConnection:
        return await self._open(self.engine, _prepare_reader, **{_READS: True})

    async def _open_raw_reader(self) -> StoreConnection:
        return await self._open(self._limited_engine, _prepare_reader, **{_READS: True})

    async def _open(self, engine: AsyncEngine, prepare: Prepare, **options: bool) -> StoreConnection:
        async with self._opening:
            if self._file.has_lost_log():
                raise FileNotFoundError(errno.ENOENT, LOG_IS_LOST)
            connection = await _connect(engine)
        try:
            # AUTOCOMMIT: transactions begin and end by statements of our own, see Writer.
            await connection.execution_options(isolation_level="AUTOCOMMIT", **options)
            opened = StoreConnection(connection, await driver_of(connection))
            await opened.call(prepare)
        except BaseException:
            await complete(connection.close())
            raise
        return opened


async def _connect(engine: AsyncEngine) -> AsyncConnection:
    """Return a connection. Its thread may make SQLite's files: a caller who is cancelled waits until it is closed."""
    opened: list[AsyncConnection] = []

    async def connect() -> None:
        opened.append(await engine.connect())

    try:
        await complete(connect())
    except BaseException:
        for one in opened:
            await complete(one.close())
        raise
    return opened[0]


def watch_errors(engine: AsyncEngine, health: Health) -> None:
    """Report each failure of the store on `engine` to `health`, and take SQL and values out of every other error."""
    # The dialect keeps the function, and statements that are compiled once in a process keep the dialect.
    reports = weakref.ref(health)

    def handle(context: ExceptionContext) -> None:
        original = context.original_exception
        if isinstance(original, asyncio.CancelledError):
            # The cancelled call runs on in the connection's thread, and whatever comes next on the connection, such as
            # a rollback, is queued behind it there: so the connection need not be discarded.
            context.is_disconnect = False
        elif context.connection is not None and (reason := reason_of(original)) is not None:
            there = reports()
            assert there is not None, "its database has the connection"
            raise there.failed(Side.READ if _only_reads(context.connection) else Side.WRITE, reason)
        elif isinstance(failed := context.sqlalchemy_exception, StatementError):
            failed.statement = failed.params = failed.code = None

    event.listen(engine.sync_engine, "handle_error", handle)


def _prepare_reader(connection: sqlite3.Connection) -> None:
    connection.execute(READ_ONLY)


def _only_reads(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get(_READS))


async def driver_of(connection: AsyncConnection) -> aiosqlite.Connection:
    """Return the driver's own connection below SQLAlchemy's; it must be SQLite's."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, aiosqlite.Connection)
    return driver


def connect(file: Path) -> sqlite3.Connection:
    """Connect to a file with our pragmas, past SQLAlchemy. Raise sqlite3.Error."""
    return _connect_function(None)(file, timeout=BUSY_SECONDS)


def _engine(
    url: URL, prepare: Prepare | None, connect: Callable[..., sqlite3.Connection] = sqlite3.Connection
) -> AsyncEngine:
    arguments = {"timeout": BUSY_SECONDS, "factory": _connect_function(prepare, connect)}
    return create_async_engine(
        with_shared_dialect(url),
        connect_args=arguments,
        poolclass=NullPool,
        hide_parameters=True,
        execution_options={"compiled_cache": SHARED_STATEMENTS},
    )


def _connect_function(
    prepare: Prepare | None, connect: Callable[..., sqlite3.Connection] = sqlite3.Connection
) -> Callable[..., sqlite3.Connection]:
    """Return a function that opens a raw connection with our pragmas, in the thread that will use it."""

    def connect_with_pragmas(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            if prepare is not None:
                prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    return connect_with_pragmas
