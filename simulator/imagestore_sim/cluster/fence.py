"""The fence: a transaction that writes about a storage takes the storage for this node, or is refused.

Each storage has an owner, and the epoch at which that node took it. A node takes a storage that a later ring gives it
from an owner of an earlier epoch: of two nodes that believe to own it, only the one with the later ring can write.
Taking changes the storage's row, so that two such transactions collide in any database, Galera included.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from sqlalchemy import and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.cluster.errors import PastOwner
from imagestore_sim.cluster.membership import Membership
from imagestore_sim.database.models import BackupStorage, ManagementNodeRecord

logger = logging.getLogger(__name__)
STATUS, CAPACITY, JOB = WRITES = ("status", "capacity", "job")
"""What may be refused."""


class Fence:
    """Checks what this node writes about storages."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self.refused: Counter[str] = Counter(dict.fromkeys(WRITES, 0))
        """How many writes of each kind were refused, since another node owns what they are about."""

    async def check(self, connection: AsyncConnection, uuid: str, write: str) -> None:
        """Take a storage in the caller's transaction. Raise PastOwner if another node owns it, by this ring or a later.

        A storage that does not exist passes: what the caller writes finds that. `write` says what for, as in WRITES.
        """
        if self._membership.owner_of(uuid) == self._membership.uuid:
            if await self._take(connection, [uuid], mine_too=True):
                return
            if await connection.scalar(select(BackupStorage.uuid).where(BackupStorage.uuid == uuid)) is None:
                return
        error = PastOwner(self._membership.uuid, uuid)
        self.refuse(write, str(error))
        raise error

    async def take(self, connection: AsyncConnection, uuids: Sequence[str]) -> None:
        """Take storages that the ring has just given to this node, as far as it still does."""
        await self._take(connection, uuids, mine_too=False)

    def refuse(self, write: str, why: str) -> None:
        """Count and log a write that was refused."""
        self.refused[write] += 1
        logger.warning("a write of a %s is refused: %s", write, why)

    async def _take(self, connection: AsyncConnection, uuids: Sequence[str], *, mine_too: bool) -> int:
        """Write this node and its epoch as the owner of storages, and return of how many it is now.

        With `mine_too`, write those as well that it took at this epoch already.
        """
        me, epoch, row, node = self._membership.uuid, self._membership.epoch, BackupStorage, ManagementNodeRecord
        older = row.ownerEpoch < epoch
        may = or_(row.ownerUuid == me, older) if mine_too else older
        start = self._membership.start_epoch
        is_member = exists(select(node.uuid).where(and_(node.uuid == me, node.epoch == start)))
        taken = update(row).where(row.uuid.in_(uuids), may, is_member).values(ownerUuid=me, ownerEpoch=epoch)
        return (await connection.execute(taken)).rowcount
