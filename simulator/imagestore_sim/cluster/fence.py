"""The fence: a transaction that writes about a storage takes the storage for this node, or is refused.

Each storage has an owner, and the epoch at which that node took it. A node takes a storage that a later ring gives it
from an owner of an earlier epoch: of two nodes that believe to own it, only the one with the later ring can write.
Taking changes the storage's row, so that two such transactions collide in any database, Galera included.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Update, and_, bindparam, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.cluster.errors import PastOwner
from imagestore_sim.cluster.membership import Membership, View
from imagestore_sim.database.changes import Changes
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

    def check(self, changes: Changes, uuid: str) -> None:
        """Take a storage in the caller's transaction. Raise PastOwner if another node owns it, by this ring or a later.

        A storage that does not exist passes: what the caller writes finds that. The caller reports it to `refuse`.
        """
        me, view = self._membership.uuid, self._membership.view
        if view.ring.owner_of(uuid) in (me, None):
            if changes.write(_TAKE_ONE, {"taken": uuid, **_place(me, view)}).rows:
                return
            if not changes.rows(_EXISTS, {"uuid": uuid}):
                return
        raise PastOwner(self._membership.uuid, uuid)

    async def take(self, connection: AsyncConnection, uuids: Sequence[str]) -> None:
        """Take storages that the ring has just given to this node, as far as it still does.

        One that the ring has given to another node meanwhile is not written: its row would have the epoch at which that
        node is the owner, and that node would be refused.
        """
        me, view, row = self._membership.uuid, self._membership.view, BackupStorage
        ours = [uuid for uuid in uuids if view.ring.owner_of(uuid) == me]
        taken = _taking(row.uuid.in_(ours), row.ownerEpoch < bindparam("epoch"))
        await connection.execute(taken, _place(me, view))

    def refuse(self, write: str, why: str) -> None:
        """Count and log a write that was refused; `write` says what for, as in WRITES."""
        self.refused[write] += 1
        logger.warning("a write of a %s is refused: %s", write, why)


def _place(me: str, view: View) -> dict[str, object]:
    """Return this node, the epoch of its view, and that at which it joined."""
    return {"me": me, "epoch": view.epoch, "start": view.start}


def _taking(*which: ColumnElement[bool]) -> Update:
    """Return the statement that writes a node and its epoch as the owner of storages, if it is a member."""
    row, node = BackupStorage, ManagementNodeRecord
    joined = and_(node.uuid == bindparam("me"), node.epoch == bindparam("start"))
    taken = update(row).where(*which, exists(select(node.uuid).where(joined)))
    return taken.values(ownerUuid=bindparam("me"), ownerEpoch=bindparam("epoch"))


_TAKE_ONE = _taking(
    BackupStorage.uuid == bindparam("taken"),
    or_(BackupStorage.ownerUuid == bindparam("me"), BackupStorage.ownerEpoch < bindparam("epoch")),
)
_EXISTS = select(BackupStorage.uuid).where(BackupStorage.uuid == bindparam("uuid"))
