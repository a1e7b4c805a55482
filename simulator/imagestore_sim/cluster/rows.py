"""The rows of the nodes, and the epoch that each change of the members raises by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.changes import Changes, carry_out
from imagestore_sim.database.models import BackupStorage, Cluster, ManagementNodeRecord

JOINING, RUNNING = "JOINING", "RUNNING"
_ONLY = 1
"""The id of the row of Cluster."""
_EPOCH = select(Cluster.epoch).where(Cluster.id == _ONLY)
_MEMBERS = select(
    ManagementNodeRecord.uuid,
    ManagementNodeRecord.hostName,
    ManagementNodeRecord.port,
    ManagementNodeRecord.state,
    ManagementNodeRecord.epoch,
    ManagementNodeRecord.beatAt,
    ManagementNodeRecord.joinDate,
    ManagementNodeRecord.heartBeat,
    ManagementNodeRecord.mode,
    _EPOCH.scalar_subquery().label("clusterEpoch"),
).order_by(ManagementNodeRecord.epoch)
_RAISE = update(Cluster).where(Cluster.id == _ONLY).values(epoch=Cluster.epoch + 1)
_WRITTEN = (select(func.max(ManagementNodeRecord.epoch)), select(func.max(BackupStorage.ownerEpoch)))
"""The latest epochs of nodes and of owners."""
_OF_UUID, _OF_EPOCH = "of_uuid", "of_epoch"
_CHANGED = update(ManagementNodeRecord).where(
    ManagementNodeRecord.uuid == bindparam(_OF_UUID), ManagementNodeRecord.epoch == bindparam(_OF_EPOCH)
)
"""The columns that it sets are the other parameters: made once, for a heart beats each second."""


class Member(NamedTuple):
    """A node's row. `beat_at` is when its heart beat last, in epoch milliseconds of the store's clock."""

    uuid: str
    host: str
    port: int
    state: str
    epoch: int
    """The cluster's when it began to join: no two starts have the same."""
    beat_at: int
    join_date: datetime
    heart_beat: datetime
    mode: str | None
    """The name of its cluster mode; None for a node of a version that does not write it."""

    @property
    def running(self) -> bool:
        """Whether it is in the ring."""
        return self.state == RUNNING


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of nodes at one moment, in the order in which they began to join, and the epoch of the cluster."""

    epoch: int
    members: Sequence[Member]

    def find(self, uuid: str, epoch: int) -> Member | None:
        """Return the row of one start of a node, None if it is not there."""
        return next((one for one in self.members if (one.uuid, one.epoch) == (uuid, epoch)), None)


class MemberRows:
    """Reads and writes the rows, in the caller's transaction."""

    async def read(self, connection: AsyncConnection) -> Table:
        """Return all rows, and the epoch that they are of: one statement, so one moment."""
        return await connection.run_sync(carry_out(_read))

    async def beat(self, connection: AsyncConnection, uuid: str, epoch: int, at: float, local: datetime) -> Table:
        """Write when the heart of one start has beaten, and return all rows after that; `at` by the store's clock."""
        parameters = {"beatAt": int(at * 1000), "heartBeat": local, _OF_UUID: uuid, _OF_EPOCH: epoch}

        def write_and_read(changes: Changes) -> Table:
            changes.write(_CHANGED, parameters)
            return _read(changes)

        return await connection.run_sync(carry_out(write_and_read))

    async def raise_epoch(self, connection: AsyncConnection) -> int:
        """Raise the epoch of the cluster, and return it. Until the commit, no other node can."""
        if not (await connection.execute(_RAISE)).rowcount:  # the first node, or another program has deleted the row
            latest = max([int(await connection.scalar(one) or 0) for one in _WRITTEN])
            try:
                await connection.execute(insert(Cluster).values(id=_ONLY, epoch=latest + 1))
            except IntegrityError:  # another first node has committed the row meanwhile
                if not (await connection.execute(_RAISE)).rowcount:
                    raise
        return int(await connection.scalar(_EPOCH) or 0)

    async def insert(self, connection: AsyncConnection, member: Member) -> None:
        """Insert the row of a node; one of an earlier start is deleted, as in ZStack (management-nodes 1.1)."""
        await connection.execute(delete(ManagementNodeRecord).where(ManagementNodeRecord.uuid == member.uuid))
        await connection.execute(
            insert(ManagementNodeRecord).values(
                uuid=member.uuid,
                hostName=member.host,
                port=member.port,
                state=member.state,
                epoch=member.epoch,
                beatAt=member.beat_at,
                joinDate=member.join_date,
                heartBeat=member.heart_beat,
                mode=member.mode,
            )
        )

    async def change(self, connection: AsyncConnection, uuid: str, epoch: int, **values: object) -> bool:
        """Change columns of the row of one start. Return False if it is not there any more."""
        parameters = {**values, _OF_UUID: uuid, _OF_EPOCH: epoch}
        written = await connection.run_sync(carry_out(lambda changes: changes.write(_CHANGED, parameters)))
        return bool(written.rows)

    async def remove(self, connection: AsyncConnection, uuid: str, epoch: int, beat_at: int | None = None) -> bool:
        """Delete the row of one start, unless its heart has beaten after `beat_at`. Return whether it was deleted."""
        row = ManagementNodeRecord
        gone = delete(row).where(row.uuid == uuid, row.epoch == epoch)
        if beat_at is not None:
            gone = gone.where(row.beatAt == beat_at)
        return bool((await connection.execute(gone)).rowcount)


def _read(changes: Changes) -> Table:
    rows = changes.rows(_MEMBERS, {})
    return Table((rows[0][-1] or 0) if rows else 0, [Member(*row[:-1]) for row in rows])
