"""The record of this management node in its database: of one that has the database for itself, with its heartbeat."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import insert, select, update

from imagestore_sim.clock import Clock
from imagestore_sim.cluster import RUNNING, Alone, Peers
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.models import Cluster, ManagementNodeRecord
from imagestore_sim.ids import new_uuid

EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared only
LOOPBACK = "127.0.0.1"
HEARTBEAT_SECONDS = 5


class NodeRecord:
    """The node's record. Its uuid stays the same as long as the database exists.

    A node that shares its store with others has a record while it is a member, which its membership keeps.
    """

    def __init__(
        self, database: Database, clock: Clock, host: str, is_ready: Callable[[], bool], cluster: Peers
    ) -> None:
        self._cluster = cluster
        self._database = database
        self._clock = clock
        self._host = LOOPBACK if host in EVERY_ADDRESS else host
        self._is_ready = is_ready
        self._last_beat = 0.0

    @property
    def uuid(self) -> str:
        """Return the uuid of this node; empty until `open`."""
        return self._cluster.uuid

    @property
    def ready(self) -> bool:
        """Return whether the node serves all APIs."""
        return self._is_ready()

    @staticmethod
    async def is_known(database: Database) -> bool:
        """Return whether a node has used that database before."""
        return bool(await database.read(select(ManagementNodeRecord.uuid)) or await database.read(select(Cluster.id)))

    async def is_running(self, uuid: str) -> bool | None:
        """Return whether a node serves all APIs; None for one that is no member."""
        if uuid == self.uuid:
            return self.ready
        rows = await self._database.read(select(ManagementNodeRecord.state).where(ManagementNodeRecord.uuid == uuid))
        return rows[0].state == RUNNING if rows else None

    async def open(self) -> None:
        """Write the record of a start, keeping the uuid of an earlier run."""
        if not isinstance(self._cluster, Alone):
            return
        rows = await self._database.read(select(ManagementNodeRecord.uuid))
        now = self._clock.local()
        values = {"hostName": self._host, "joinDate": now, "heartBeat": now}
        uuid = self._cluster.uuid = rows[0].uuid if rows else new_uuid("node")
        self._last_beat = self._clock.time()
        async with self._database.transaction() as connection:
            if rows:
                await connection.execute(update(ManagementNodeRecord).values(**values))
            else:
                await connection.execute(insert(ManagementNodeRecord).values(uuid=uuid, **values))

    async def beat(self) -> None:
        """Update the heartbeat, at most every HEARTBEAT_SECONDS. Only queries of the node call this."""
        if not isinstance(self._cluster, Alone) or self._clock.time() - self._last_beat < HEARTBEAT_SECONDS:
            return
        self._last_beat = self._clock.time()
        try:
            async with self._database.transaction() as connection:
                await connection.execute(update(ManagementNodeRecord).values(heartBeat=self._clock.local()))
        except StoreUnavailable:
            return  # the record keeps the old heartbeat
