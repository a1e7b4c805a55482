"""A store in a MariaDB."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime
from importlib.util import find_spec
from typing import Any

from sqlalchemy import URL, CursorResult, Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.errors import DatabaseError, describe
from imagestore_sim.database.health import Health
from imagestore_sim.database.mariadb.address import shown
from imagestore_sim.database.mariadb.connections import MariaDbConnections, is_broken
from imagestore_sim.database.mariadb.heartbeat import NOW, Heartbeats
from imagestore_sim.database.mariadb.reader import MariaDbReader
from imagestore_sim.database.mariadb.reasons import DRIVER
from imagestore_sim.database.mariadb.revision import SUM, add_silent
from imagestore_sim.database.mariadb.schema import check_server, create_or_migrate, is_galera
from imagestore_sim.database.mariadb.tls import check_tls
from imagestore_sim.database.mariadb.transactions import MariaDbWriter
from imagestore_sim.database.schema import OptionRow
from imagestore_sim.database.vault import Vault
from imagestore_sim.in_flight import activity

logger = logging.getLogger(__name__)
LEAVE_SECONDS = 1.0
"""How long the end of a node waits for the server. A row that stays is removed after a day."""


class MariaDbBackend:
    """The transactions and reads of one open database."""

    def __init__(self, url: URL, health: Health) -> None:
        self.connections = MariaDbConnections(url, health)
        self.writer = MariaDbWriter(self.connections, health)
        self.reader = MariaDbReader(self.connections, health)
        self._heartbeats = Heartbeats(self.connections, health)
        self._health = health
        self._name = shown(url)

    @property
    def dialect(self) -> Dialect:
        """The dialect in which to compile statements."""
        return self.connections.readers.dialect

    async def start(self, vault: Callable[[], Vault], options: tuple[OptionRow, ...]) -> None:
        """Check the server, and migrate the tables. Raise DatabaseError."""
        await check_server(self.connections.engine)
        if await is_galera(self.connections.engine):
            await self.connections.use_galera()
        await create_or_migrate(self.connections.engine, vault, options, self._name)
        await self._forget_silent_nodes()
        await self.reader.open()

    async def _forget_silent_nodes(self) -> None:
        try:
            writer = await self.connections.writer.get()
            for statement in add_silent():
                await writer.run(statement)
        except Exception as error:
            if not is_broken(error):
                raise
            logger.debug("%s: the rows of silent nodes stay: %s", self._name, describe(error))
            await self.connections.writer.drop()

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may write to it."""
        return True

    @property
    def texts(self) -> None:
        """Return None: other nodes may change any text."""

    async def current_revision(self) -> int:
        """Return the sum of the revisions of all nodes."""
        ((revision,),) = await self.reader.fetch(SUM, ())
        return int(revision or 0)

    async def now(self) -> float:
        """Return the server's time."""
        ((seconds,),) = await self.reader.fetch(NOW, ())
        return float(seconds)

    def beat(self) -> AbstractAsyncContextManager[tuple[AsyncConnection, float]]:
        """Provide a connection for a heartbeat, and the server's time. Raise StoreUnavailable."""
        return self._heartbeats.beat()

    async def check_writing(self, seconds: float) -> None:
        """Write a little, and try the way of the heartbeat. Raise StoreUnavailable."""
        await self.writer.check()
        await self._heartbeats.check()

    @staticmethod
    def rows_of(result: CursorResult[Any]) -> list[tuple[Any, ...]]:
        """Return rows read through SQLAlchemy as `fetch` does: dates as texts."""
        return [tuple(str(one) if isinstance(one, datetime) else one for one in row) for row in result]

    async def close(self) -> None:
        """End the checks, give up this node's row, and close every connection."""
        await self._health.close()
        if self.connections.writer.current is not None:
            await self._leave()
        await self.connections.close()

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_SECONDS):  # real: a server that does not answer
                await self.writer.leave()
        except Exception as error:
            if not is_broken(error):
                raise
            logger.debug("%s: the row of this node stays: %s", self._name, describe(error))


async def open_mariadb(
    url: URL,
    *,
    vault: Callable[[], Vault],
    options: tuple[OptionRow, ...],
    health: Health,
    to_close: AsyncExitStack,
) -> MariaDbBackend:
    """Connect to a MariaDB, and migrate it. What `to_close` closes undoes that. Raise DatabaseError."""
    check_driver(url)
    check_tls(url)
    backend = MariaDbBackend(url, health)
    to_close.push_async_callback(backend.close)
    to_close.enter_context(activity().has_remote_store())
    await backend.start(vault, options)
    return backend


def check_driver(url: URL) -> None:
    """Raise DatabaseError where the extra is not installed; let the driver's warnings pass unseen."""
    if find_spec(DRIVER) is None:
        raise DatabaseError(f"{shown(url)}: needs the driver; run pip install 'imagestore-sim[mariadb]'")
    logging.getLogger(DRIVER).setLevel(logging.ERROR)  # MariaDB warns of each text that it reads as a number
