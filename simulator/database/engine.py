"""The engine: one writer, and a short way for the reads that many ask for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Self, TypeVarTuple, cast

import aiosqlite
from sqlalchemy import URL, Dialect, ExceptionContext, Row, Select, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction, create_async_engine
from sqlalchemy.pool import NullPool

from simulator.database.errors import DatabaseError
from simulator.database.location import FileLock, check_file, file_of, keep_private, url_of, version_of
from simulator.database.migrations import HEAD, VERSIONS, newest_tables, upgrade
from simulator.database.read_limit import READ_SECONDS, ReadLimit, ReadTooLong
from simulator.database.vault import Vault
from simulator.in_flight import counted, under_way

Ts = TypeVarTuple("Ts")
Prepare = Callable[[sqlite3.Connection], None]
BUSY_SECONDS = 10.0
PRAGMAS = ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")


class Database:
    """An open database. It goes on until `close`; made by `open`.

    SQLite has a connection for the writer, one for each way of reading, and one for the quick reads, which is used on
    the spot; another database has its engine's pool for reads.
    """

    def __init__(self, engine: AsyncEngine, writer: AsyncConnection, reader: AsyncConnection | None) -> None:
        self.revision = 0
        """Goes up by one with each committed transaction: an answer may be kept for as long as it stays."""
        self._engine = engine
        self._writer = writer
        self._one_writer = asyncio.Lock()
        self._reader = reader
        self._raw_reader: aiosqlite.Connection | None = None
        self._quick_reader: sqlite3.Connection | None = None
        self._one_reader = asyncio.Lock()
        self._limit = ReadLimit(READ_SECONDS)
        self._to_close = AsyncExitStack()

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
                keep_private(file)
            try:
                database = await cls._open(
                    _engine(url, prepare), version, prepare, partial(Vault.beside, location), to_close
                )
            except (SQLAlchemyError, ImportError, OSError, sqlite3.Error) as error:
                reason = error.orig if isinstance(error, DBAPIError) else error
                raise DatabaseError(f"{file or url.render_as_string()}: cannot be opened: {reason}") from None
            database._to_close = to_close.pop_all()
        return database

    @classmethod
    async def _open(
        cls,
        engine: AsyncEngine,
        version: str | None,
        prepare: Prepare | None,
        vault: Callable[[], Vault],
        to_close: AsyncExitStack,
    ) -> Self:
        to_close.push_async_callback(engine.dispose)
        writer = await engine.connect()
        to_close.push_async_callback(writer.close)
        if engine.dialect.name == "sqlite" and version is None:
            await (await _driver(writer)).executescript(newest_tables())
        elif version != HEAD:
            async with writer.begin():
                await writer.run_sync(partial(upgrade, vault=vault))
            await _forget_what_was_overwritten(writer)
        if engine.dialect.name != "sqlite":
            return cls(engine, writer, None)
        database = cls(engine, writer, await _reader(engine, to_close))
        # One of its own: a read that is under way holds its connection to what there was when it began.
        limited = _engine(engine.url, prepare, database._limit.connector())
        to_close.push_async_callback(limited.dispose)
        database._raw_reader = await _driver(await _reader(limited, to_close))
        database._quick_reader = _factory(prepare)(engine.url.database, isolation_level=None)
        to_close.callback(database._quick_reader.close)
        database._quick_reader.execute("PRAGMA query_only = ON")
        return database

    @property
    def dialect(self) -> Dialect:
        """The dialect to compile statements for `fetch` with."""
        return self._engine.dialect

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """The one writer's connection, in a transaction: committed in the end, rolled back on any exception.

        A commit that has begun goes through: who is cancelled meanwhile hears of it after that.
        """
        with under_way():
            async with self._turn_to_write() as connection:
                yield connection

    @asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[AsyncConnection]:
        async with self._one_writer:
            transaction = await self._writer.begin()
            try:
                yield self._writer
            except BaseException:
                await transaction.rollback()
                raise
            await _to_its_end(self._commit(transaction))

    async def _commit(self, transaction: AsyncTransaction) -> None:
        await transaction.commit()
        self.revision += 1

    @counted
    async def read(self, statement: Select[*Ts]) -> Sequence[Row[*Ts]]:
        """All rows of a statement, the comfortable way. It sees everything committed before the call."""
        if self._reader is None:
            async with self._engine.connect() as connection:
                return (await connection.execute(statement)).all()
        async with self._one_reader:
            return (await self._reader.execute(statement)).all()

    @counted
    async def fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """All rows of compiled SQL with positional parameters, the short way: no SQLAlchemy on it.

        It sees everything committed before the call. Raises ReadTooLong.
        """
        if self._raw_reader is None:
            async with self._engine.connect() as connection:
                return [tuple(row) for row in await connection.exec_driver_sql(sql, tuple(parameters))]
        try:
            rows = await self._raw_reader.execute_fetchall(sql, parameters)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise ReadTooLong(f"not read within {READ_SECONDS:g} s") from None
            raise
        return cast("list[tuple[Any, ...]]", rows)  # without a row factory they are plain tuples

    async def fetch_few(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """The same for SQL that finds a row or a few by an index.

        SQLite does that in less time than handing it to a thread takes, so it is done here and now.
        """
        if self._quick_reader is None:
            return await self.fetch(sql, parameters)
        return self._quick_reader.execute(sql, parameters).fetchall()

    async def close(self) -> None:
        """Close every connection, once what runs on it has ended; may be called again."""
        self._limit.end()  # a read that takes long would be waited for
        async with self._one_reader, self._one_writer:
            await self._to_close.aclose()


async def _reader(engine: AsyncEngine, to_close: AsyncExitStack) -> AsyncConnection:
    """A connection that only reads, each statement for itself."""
    reader = await engine.connect()
    to_close.push_async_callback(reader.close)
    await reader.execution_options(isolation_level="AUTOCOMMIT")
    await reader.exec_driver_sql("PRAGMA query_only = ON")
    return reader


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
        return create_async_engine(url)
    arguments = {"timeout": BUSY_SECONDS, "factory": _factory(prepare, make)}
    engine = create_async_engine(url, connect_args=arguments, poolclass=NullPool)
    event.listen(engine.sync_engine, "handle_error", _keep_connection)
    return engine


def _keep_connection(context: ExceptionContext) -> None:
    """Keep SQLAlchemy from giving up a connection in the middle of a call that is cancelled.

    The call goes on to its end in the connection's thread, and whatever comes next, a rollback say, waits for it there.
    """
    if isinstance(context.original_exception, asyncio.CancelledError):
        context.is_disconnect = False


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
