"""A node with the records of fixed_data that tests of a module share: one that changes them has it reset."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Coroutine, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from fixed_data import DATA
from imagestore_sim.database.models import Job, ManagementNodeRecord, Model, Session
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import new_event_loop
from imagestore_sim.testing import Client

T = TypeVar("T")
Rows = Mapping[str, list[tuple[object, ...]]]
STOP_SECONDS = 60.0
LOOKED_AT = {
    table.name: [column.name for column in table.columns if column is not Session.__table__.c.expiredDate]
    for table in Model.metadata.sorted_tables
    if table not in (Job.__table__, ManagementNodeRecord.__table__)
}
"""The columns of each table in which a change counts. Results of jobs that have ended are never looked at again."""
RUNNING = f"SELECT 'running', uuid FROM {Job.__tablename__} WHERE state = 'Processing'"


class KeptNode:
    """Keeps at most one node, on an event loop in a thread of its own: tests have a loop each, and may block it."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kept node", daemon=True)
        self._node: _Node | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._drop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        self._loop.close()

    def client(self, *, renewed: bool = False) -> Client:
        """Return a client, on the running loop, of a node with the fixed data and nothing else.

        Counters and the journal of a `renewed` one begin with the client's login.
        """
        self._reset_if_changed(always=renewed)
        if self._node is None:
            self._node = _Node(self._folders.mktemp("kept"))
            self._wait(self._node.start())
        client = Client(self._node.node.url)
        client.session_uuid = self._node.session_uuid
        return client

    def _reset_if_changed(self, *, always: bool) -> None:
        """Reset the node if a record is not as it was at its start, a job runs, or a fault of the node is set."""
        if self._node is not None and (always or self._node.has_changed()):
            try:
                self._wait(self._node.reset())
            except BaseException:
                self._drop()
                raise

    def _drop(self) -> None:
        node, self._node = self._node, None
        if node is not None:
            self._wait(node.stop())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _Node:
    """A node, a session of admin, and what its tables held at the start."""

    def __init__(self, folder: Path) -> None:
        bootstrap, self._database = folder / "bootstrap.yaml", folder / "node.db"
        bootstrap.write_text(DATA)
        self.node = ManagementNode(Settings(port=0, database=str(self._database), bootstrap=bootstrap))
        self.session_uuid: str | None = None
        self._first: Rows = {}
        self._watch: sqlite3.Connection | None = None
        self._version = 0

    async def start(self) -> None:
        await self.node.start()
        await self._begin()

    async def reset(self) -> None:
        """Bring the node back to its start, which takes a third of the time of a start."""
        await self.node.changes.reset(wait=True)
        await self._begin()

    async def _begin(self) -> None:
        async with Client(self.node.url) as client:
            self.session_uuid = await client.log_in()
        if self._watch is None:
            self._watch = sqlite3.connect(self._database, check_same_thread=False)
        self._version = self._data_version()
        self._first = rows_of(self._database)

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.close()
        await self.node.stop()

    def has_changed(self) -> bool:
        return any(self.node.foundation.node_faults) or self._has_other_rows()

    def _has_other_rows(self) -> bool:
        """Return whether a row has changed; read them all only if the database was written to."""
        version = self._data_version()
        if version == self._version:
            return False
        self._version = version
        return rows_of(self._database) != self._first

    def _data_version(self) -> int:
        """Return the number that SQLite changes when another connection commits."""
        assert self._watch is not None, "the node has started"
        return int(self._watch.execute("PRAGMA data_version").fetchone()[0])


def rows_of(database: Path) -> Rows:
    """Return all rows in which a change counts, by table, and the jobs that run."""
    with closing(sqlite3.connect(database)) as connection:
        rows = {
            table: connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
            for table, columns in LOOKED_AT.items()
        }
        return {**rows, "running": connection.execute(RUNNING).fetchall()}
