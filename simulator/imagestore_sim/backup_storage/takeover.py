"""What a node of several does when members come and go: it lets go of storages, and takes others over (domain 3.5).

It lets go at once of what is not its own any more. What is its own now it takes in the store first, so that the past
owner cannot write, and pings it from then on. When a node has left, it reconnects all its own that are not Connected,
as ZStack does (management-nodes 1.5).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from imagestore_sim.backup_storage.lifecycle import try_to_reconnect
from imagestore_sim.backup_storage.ping_tracker import PingTracker
from imagestore_sim.backup_storage.records import Status, Storage, StorageRecords
from imagestore_sim.cluster import Fence, Membership
from imagestore_sim.database import Database
from imagestore_sim.pieces import in_pieces
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
TAKEN_AT_ONCE = 500
"""Storages that one transaction takes."""


class Takeover:
    """Keeps what a node pings equal to what it owns."""

    def __init__(
        self,
        membership: Membership,
        fence: Fence,
        database: Database,
        records: StorageRecords,
        tracker: PingTracker,
        supervisor: Supervisor,
    ) -> None:
        self.taken_over = 0
        """How many storages it has taken over from nodes that left."""
        self._membership = membership
        self._fence = fence
        self._database = database
        self._records = records
        self._tracker = tracker
        self._supervisor = supervisor
        self._tasks = Tasks()
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Event()
        self._held: set[str] = set()
        self._has_lost_node = False
        self._connects: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Take what this node owns, and follow the members from now on. Raise StoreUnavailable."""
        self._membership.on_left(self._node_left)
        self._membership.on_change(self._members_changed)
        self._tracker.on_refused = self._refused
        self._tracker.on_missed = self._missed
        self._has_lost_node = False
        await self._take_over()
        self._supervisor.keep(self._tasks, "takeover", self._changed.wait, lambda _: self._follow())

    async def close(self) -> None:
        """Follow nothing any more."""
        await self._tasks.close()

    async def rescan(self) -> None:
        """Take what this node owns and does not hold yet, and track it. Raise StoreUnavailable.

        Connect what of it is not Connected; after a node has left, all that this one owns.
        """
        async with self._one_at_a_time:
            ours, new = await self._take_over()
            if self._has_lost_node and self._membership.holds:
                self._has_lost_node = False
                self.taken_over += len(new)
                new = ours
            self._connect([one for one in new if one.status is not Status.CONNECTED])

    async def _follow(self) -> None:
        self._changed.clear()
        try:
            await self.rescan()
        except BaseException:
            self._changed.set()
            raise

    async def _take_over(self) -> tuple[Sequence[Storage], Sequence[Storage]]:
        """Take and track what this node owns; return that, and what of it is new."""
        self._let_go()
        if not self._membership.holds:
            return (), ()
        ours = [one for one in await self._records.tracked() if self._membership.is_ours(one.uuid)]
        new = [one for one in ours if one.uuid not in self._held]
        taken = {one.uuid for one in new}
        # Before the store is asked: what is lost meanwhile leaves again (`_let_go`), even if it comes back.
        self._held = {one.uuid for one in ours}
        try:
            for some in in_pieces(new, TAKEN_AT_ONCE):
                async with self._database.transaction() as connection:
                    await self._fence.take(connection, [one.uuid for one in some])
        except BaseException:
            self._held -= taken
            raise
        ours, new = ([one for one in some if one.uuid in self._held] for some in (ours, new))
        for one in ours:
            self._tracker.track(one.uuid)
        logger.info("management node %s owns %d storages, %d of them new", self._membership.uuid, len(ours), len(new))
        return ours, new

    def _let_go(self) -> None:
        """Stop whatever runs for what is not owned any more."""
        self._held = {uuid for uuid in self._held if self._membership.is_ours(uuid)}
        self._tracker.drop_others()
        for uuid in [uuid for uuid in self._connects if not self._membership.is_ours(uuid)]:
            self._connects[uuid].cancel()

    def _connect(self, lost: Sequence[Storage]) -> None:
        for one in lost:
            if one.uuid not in self._connects:
                connect = self._tasks.begin(try_to_reconnect(self._tracker, one.uuid), f"takeover of {one.uuid}")
                self._connects[one.uuid] = connect
                connect.add_done_callback(partial(self._connected, one.uuid))

    def _connected(self, uuid: str, task: asyncio.Task[None]) -> None:
        del self._connects[uuid]

    def _node_left(self, node: str) -> None:
        self._has_lost_node = True

    def _refused(self, uuid: str) -> None:
        """Take a storage again: another node has had it, whose coming and going this one may have missed."""
        self._held.discard(uuid)
        self._changed.set()

    def _missed(self, uuid: str) -> None:
        """Take a storage that another node has added, unless storages are being taken: then it may be among them."""
        if not self._one_at_a_time.locked():
            self._refused(uuid)

    def _members_changed(self) -> None:
        self._let_go()
        self._changed.set()
