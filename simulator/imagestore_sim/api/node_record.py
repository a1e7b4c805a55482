"""This management node, as it stands in its own database."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import insert, select, update

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.models import ManagementNodeRecord
from imagestore_sim.ids import new_uuid

EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - recognised here, not listened on
LOOPBACK = "127.0.0.1"
HEARTBEAT_SECONDS = 5


class NodeRecord:
    """The node's own record: its uuid stays the same for as long as its database does."""

    def __init__(self, database: Database, clock: Clock, host: str, is_ready: Callable[[], bool]) -> None:
        self._database = database
        self._clock = clock
        self._host = LOOPBACK if host in EVERY_ADDRESS else host
        self._is_ready = is_ready
        self._last_beat = 0.0
        self.uuid = ""

    @property
    def ready(self) -> bool:
        """Whether the node has begun to serve in full."""
        return self._is_ready()

    @staticmethod
    async def is_known(database: Database) -> bool:
        """Whether a node has run over that database before."""
        return bool(await database.read(select(ManagementNodeRecord.uuid)))

    async def open(self) -> None:
        """Write down that the node has started now, under the uuid that it had before if it had one."""
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
        """Bring the heartbeat up to date. It is written when somebody asks for it: nobody else needs it."""
        if self._clock.time() - self._last_beat < HEARTBEAT_SECONDS:
            return
        self._last_beat = self._clock.time()
        try:
            async with self._database.transaction() as connection:
                await connection.execute(update(ManagementNodeRecord).values(heartBeat=self._clock.local()))
        except StoreUnavailable:
            return  # the heart stands still, which is what the record then tells
