"""A store in a SQLite file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, CursorResult, Dialect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.connections import Connections, Prepare
from imagestore_sim.database.file_locks import FileLock, InodeLock
from imagestore_sim.database.health import Health
from imagestore_sim.database.location import check_file, version_of
from imagestore_sim.database.migrations import VERSIONS
from imagestore_sim.database.open_file import OpenFile
from imagestore_sim.database.reader import Reader
from imagestore_sim.database.schema import ALL_COLUMNS, OptionRow, check_columns, create_or_migrate
from imagestore_sim.database.shared_file import SharedFile
from imagestore_sim.database.text_watch import TextWatch
from imagestore_sim.database.transactions import Writer
from imagestore_sim.database.vault import Vault

CHECK_WRITING = text("UPDATE alembic_version SET version_num = version_num")
"""A statement that writes without changing anything."""


class SqliteBackend:
    """The transactions and reads of one open file."""

    def __init__(
        self,
        url: URL,
        file: Path,
        prepare: Prepare | None,
        clock: Clock | None,
        shared: SharedFile | None,
        health: Health,
    ) -> None:
        open_file = OpenFile(file, shared=shared is not None)
        self.connections = Connections(url, prepare, open_file, health)
        self.writer = Writer(self.connections, open_file, health, shared)
        self.reader = Reader(self.connections, health)
        self._health = health
        self._file = file
        self._clock = clock
        self._shared = shared

    @property
    def dialect(self) -> Dialect:
        """The dialect in which to compile statements."""
        return self.connections.engine.dialect

    async def start(self, version: str | None, vault: Callable[[], Vault], options: tuple[OptionRow, ...]) -> None:
        """Migrate the tables of `version`, and use every connection once."""
        await create_or_migrate(self.connections.engine, self._file, version, vault, options)
        await self.connections.writer.get()
        await self.connections.reader.get()
        await self.connections.raw_reader.get()
        check_columns(await self.reader.fetch(ALL_COLUMNS, ()), self._file)
        self.connections.open_quick_reader()

    @property
    def is_shared(self) -> bool:
        """Whether other nodes of this process may write to the file."""
        return self._shared is not None

    @property
    def texts(self) -> TextWatch | None:
        """What notices changes of texts; None where other nodes may make them."""
        return self.connections.texts

    async def current_revision(self) -> int:
        """Return the number of transactions that this process has committed; no other one writes to the file."""
        return self.writer.revision if self._shared is None else self._shared.revision

    async def now(self) -> float:
        """Return the time of the node's clock."""
        return time.time() if self._clock is None else self._clock.time()  # real: only where there is no clock

    @asynccontextmanager
    async def beat(self) -> AsyncIterator[tuple[AsyncConnection, float]]:
        """Provide a connection for a heartbeat, in a transaction, and the time. Raise StoreUnavailable.

        It queues as all writes do: a file has one writer at a time.
        """
        now = await self.now()
        async with self.writer.transaction(quiet=True) as connection:
            yield connection, now

    async def check_writing(self, seconds: float) -> None:
        """Write without changing anything; free the space of the write-ahead log before, if the store fails."""
        if self._health.problem is not None:
            async with self.writer.lock:
                await self.connections.checkpoint()
        async with self.writer.transaction(seconds) as connection:
            await connection.execute(CHECK_WRITING)

    def rows_of(self, result: CursorResult[Any]) -> list[tuple[Any, ...]]:
        """Return rows that were read on a connection of SQLAlchemy's as `fetch` returns them."""
        return [tuple(row) for row in result]

    async def close(self) -> None:
        """Close every connection after its running statement has ended."""
        self.connections.timeout.stop_all()  # a long read would be waited for
        async with self.connections.reader_lock, self.writer.lock:
            await self.connections.close()


async def open_file(
    url: URL,
    file: Path,
    *,
    prepare: Prepare | None,
    vault: Callable[[], Vault],
    options: tuple[OptionRow, ...],
    clock: Clock | None,
    shared: bool,
    health: Health,
    to_close: AsyncExitStack,
) -> SqliteBackend:
    """Lock the file, open and migrate it. What `to_close` closes undoes that. Raise DatabaseError."""
    await complete(asyncio.to_thread(check_file, file))
    sharing = SharedFile.join(file) if shared else None
    async with AsyncExitStack() as opening:
        if sharing is not None:
            to_close.callback(sharing.leave)
            await opening.enter_async_context(sharing.opening)
        version = await complete(asyncio.to_thread(version_of, file, VERSIONS))
        if sharing is None:
            # Not in a thread: if the caller were cancelled meanwhile, the file would stay locked.
            to_close.callback(FileLock(file).release)
            to_close.callback(InodeLock(file).release)
        backend = SqliteBackend(url, file, prepare, clock, sharing, health)
        to_close.push_async_callback(backend.close)
        await backend.start(version, vault, options)
    return backend
