"""SQLite's write transactions: one at a time, committed or rolled back whole, even when the caller is cancelled."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.connections import BROKEN, Connections, StoreConnection
from imagestore_sim.database.errors import CLOSED, StoreUnavailable, describe, is_locked
from imagestore_sim.database.health import Health, Side
from imagestore_sim.database.open_file import OpenFile
from imagestore_sim.database.shared_file import SharedFile

_SLICE_SECONDS = 0.25
"""How long SQLite's thread waits for the lock at a time: a cancelled caller must not wait longer for the thread."""


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
        self._health.worked(Side.WRITE)
        if quiet:
            return
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
