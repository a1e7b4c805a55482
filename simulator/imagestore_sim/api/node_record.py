"""The record of this management node in its own database, and its heartbeat."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import insert, select, update

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.models import ManagementNodeRecord
from imagestore_sim.ids import new_uuid

EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared only
LOOPBACK = "127.0.0.1"
HEARTBEAT_SECONDS = 5


class NodeRecord:
    """The node's record. Its uuid stays the same as long as the database exists."""

    def __init__(self, database: Database, clock: Clock, host: str, is_ready: Callable[[], bool]) -> None:
        self._database = database
        self._clock = clock
        self._host = LOOPBACK if host in EVERY_ADDRESS else host
        self._is_ready = is_ready
        self._last_beat = 0.0
        self.uuid = ""

    @property
    def ready(self) -> bool:
        """Return whether the node serves all APIs."""
        return self._is_ready()

    @staticmethod
    async def is_known(database: Database) -> bool:
        """Return whether a node has used that database before."""
        return bool(await database.read(select(ManagementNodeRecord.uuid)))

    async def open(self) -> None:
        """Write the record of a start, keeping the uuid of an earlier run."""
        rows = await self._database.read(select(ManagementNodeRecord.uuid))
        now = self._clock.local()
        values = {"hostName": self._host, "joinDate": now, "heartBeat": now}
        self.uuid = rows[0].uuid if rows else new_uuid("node")
        self._last_beat = self._clock.time()
        async with self._database.transaction() as connection:
            if rows:
                await connection.execute(update(ManagementNodeRecord).values(**values))
            else:
                await connection.execute(insert(ManagementNodeRecord).values(uuid=self.uuid, **values))

    async def beat(self) -> None:
        """Update the heartbeat, at most every HEARTBEAT_SECONDS. Only queries of the node call this."""
        if self._clock.time() - self._last_beat < HEARTBEAT_SECONDS:
            return
        self._last_beat = self._clock.time()
        try:
            async with self._database.transaction() as connection:
                await connection.execute(update(ManagementNodeRecord).values(heartBeat=self._clock.local()))
        except StoreUnavailable:
            return  # the record keeps the old heartbeat
