"""The connections to a MariaDB: one that writes, one of the heartbeat, pools that read, and snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, ExceptionContext, event
from sqlalchemy.exc import SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.errors import StoreConflict, StoreUnavailable, describe, is_conflict, reason_of
from imagestore_sim.database.health import Health, Side
from imagestore_sim.database.lazy_connection import LazyConnection
from imagestore_sim.database.mariadb.raw_reader import MOST, RawReaders
from imagestore_sim.database.mariadb.reasons import CHANGED_TABLES, code_of, is_lost, is_mariadb, mariadb_text
from imagestore_sim.database.mariadb.session import BEGIN_SNAPSHOT, LOCK_SECONDS, Session

T = TypeVar("T")
READS = "imagestore_sim_reads"
"""The SQLAlchemy execution option of connections that only read."""


class Lost(Exception):
    """A read whose connection was lost, and which may be repeated."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenConnection:
    """A connection of SQLAlchemy's, and the driver's own below it."""

    connection: AsyncConnection
    driver: Any

    async def run(self, sql: str) -> None:
        """Run a statement without rows, past SQLAlchemy. Raise the driver's errors."""
        await self.driver.query(sql)

    async def close(self) -> None:
        """Close the connection, discarding what it has not committed."""
        await self.connection.invalidate()
        await self.connection.close()


class MariaDbConnections:
    """Opens connections when they are needed, and closes them."""

    def __init__(self, url: URL, health: Health) -> None:
        self.session = Session(url)
        self.closed = False
        self.writer = LazyConnection(self._open_writer, OpenConnection.close)
        self.heart = LazyConnection(self._open_writer, OpenConnection.close)
        """Used by the heartbeat alone."""
        self._health = health
        self._make_engines()

    def _make_engines(self) -> None:
        self.engine = self.session.engine()
        """Makes a connection each time: for writes, migrations and snapshots."""
        self.readers = self.session.engine(
            reads=True,
            pool=AsyncAdaptedQueuePool,
            pool_size=MOST,
            max_overflow=0,
            pool_timeout=LOCK_SECONDS,
            execution_options={READS: True},
        )
        """Keeps some connections: for reads."""
        self.raw_readers = RawReaders(lambda: self.session.connect_raw(self.readers.dialect))
        for engine in (self.engine, self.readers):
            _watch_errors(engine, self._health)

    async def use_galera(self) -> None:
        """Let each read wait for what the cluster has committed before, from the next connection on."""
        await self._dispose()
        self.session.is_galera = True
        self._make_engines()

    async def open_snapshot(self) -> OpenConnection:
        """Return a connection in a transaction that sees one state only."""
        opened = await self._open(**{READS: True})
        try:
            for statement in BEGIN_SNAPSHOT:
                await opened.run(statement)
        except BaseException:
            await complete(opened.close())
            raise
        return opened

    async def value(self, sql: str) -> Any:
        """Return the first value of a statement on a connection of its own; None without rows."""
        async with self.engine.connect() as connection:
            return (await connection.exec_driver_sql(sql)).scalar()

    async def close(self) -> None:
        """Close every connection; what runs on one of them fails."""
        self.closed = True
        await self.writer.drop()
        await self.heart.drop()
        await self._dispose()

    async def _dispose(self) -> None:
        self.raw_readers.close()
        await self.readers.dispose()
        await self.engine.dispose()

    async def _open_writer(self) -> OpenConnection:
        return await self._open()

    async def _open(self, **options: bool) -> OpenConnection:
        connection = await self.engine.connect()
        try:
            await connection.execution_options(**options)
            driver = (await connection.get_raw_connection()).driver_connection
        except BaseException:
            await complete(connection.close())
            raise
        return OpenConnection(connection, driver)


def _watch_errors(engine: AsyncEngine, health: Health) -> None:
    """Report each failure of the store on `engine` to `health`, and take SQL and values out of every other error."""

    def handle(context: ExceptionContext) -> None:
        original = context.original_exception
        if isinstance(original, asyncio.CancelledError) or context.connection is None:
            return
        reads = _only_reads(context.connection)
        if is_lost(original) and reads:
            raise Lost from original
        if is_conflict(original):
            raise StoreConflict(conflict_text(original)) from None
        looks_for_tables = not health.has_begun and code_of(original) in CHANGED_TABLES  # as migrations do
        if not looks_for_tables and (reason := reason_of(original)) is not None:
            raise health.failed(Side.READ if reads else Side.WRITE, reason)
        if isinstance(failed := context.sqlalchemy_exception, StatementError):
            failed.statement = failed.params = failed.code = None
            failed.args = (mariadb_text(original),)
            original.args = (code_of(original), mariadb_text(original))

    event.listen(engine.sync_engine, "handle_error", handle)


def conflict_text(error: BaseException) -> str:
    """Return why a transaction was undone, in one line."""
    return f"nothing was written: {describe(error)}"


def _only_reads(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get(READS))


async def begun(
    kept: LazyConnection[OpenConnection], begin: Callable[[OpenConnection], Awaitable[T]]
) -> tuple[OpenConnection, T]:
    """Return the kept connection, another one if it was lost while it was idle, and what `begin` returns for it.

    Drop a connection that `begin` fails on. Raise what it raises, and the errors of opening one.
    """
    was_open = kept.current is not None
    try:
        return await _begun(kept, begin)
    except Exception as error:
        if not was_open or not is_lost(error):
            raise
    return await _begun(kept, begin)


async def _begun(
    kept: LazyConnection[OpenConnection], begin: Callable[[OpenConnection], Awaitable[T]]
) -> tuple[OpenConnection, T]:
    opened = await kept.get()
    try:
        return opened, await begin(opened)
    except BaseException:
        await complete(kept.drop(opened))
        raise


def is_broken(error: BaseException) -> bool:
    """Return whether an error is one of the store, rather than of the program."""
    return isinstance(error, StoreUnavailable | Lost | SQLAlchemyError | OSError) or is_mariadb(error)
