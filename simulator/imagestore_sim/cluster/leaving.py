"""A node that leaves tells the others, so that they follow at once rather than at their next heartbeat."""

from __future__ import annotations

from imagestore_sim.cluster.bus import Bus, Content
from imagestore_sim.cluster.membership import Membership

SERVICE = "members have changed"
LONGEST_SECONDS = 1.0
"""How long a node that stops waits for the others to hear it."""


class Leaving:
    """Has the other nodes look at the members once this one has deleted its row."""

    def __init__(self, membership: Membership, bus: Bus) -> None:
        self._membership = membership
        self._bus = bus
        bus.serve(SERVICE, self._look)

    async def prepare(self) -> None:
        """Begin nothing for other nodes any more: no call of theirs, and nothing for one that leaves.

        What would do it is closed next, one after the other.
        """
        self._membership.ignore_who_leaves()
        await self._bus.stop_serving()

    async def leave(self) -> None:
        """Delete the row of this node and tell the others, so that they take over at once. May be called again."""
        await self._membership.leave(self._tell)

    async def _tell(self) -> None:
        await self._bus.announce(SERVICE, seconds=LONGEST_SECONDS)

    async def _look(self, _: Content) -> Content:
        self._membership.look()
        return {}
