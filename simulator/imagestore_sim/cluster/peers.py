"""What the rest of a node asks of its cluster, which it is alone in or shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from imagestore_sim.cluster.alone import NodeCallback


class Peers(Protocol):
    """The nodes that share a store, and which of them owns a resource."""

    @property
    def uuid(self) -> str:
        """The uuid of this node."""

    @property
    def is_alone(self) -> bool:
        """Whether no other node is a member."""

    @property
    def quick(self) -> bool:
        """Whether the mode is quick, or ZStack's."""

    @property
    def epoch(self) -> int:
        """The epoch of the members as this node knows them; 0 for a store that is not shared."""

    @property
    def members(self) -> Sequence[str]:
        """The uuids of the nodes in the ring."""

    def owner_of(self, uuid: str) -> str:
        """Return the uuid of the node that owns a resource."""

    def is_ours(self, uuid: str) -> bool:
        """Return whether this node owns a resource now, and may act for it."""

    def address_of(self, node: str) -> str | None:
        """Return the URL of another node, None if it is no member any more."""

    def on_left(self, callback: NodeCallback) -> None:
        """Call back with the uuid of each node that leaves, once the ring is without it."""

    async def settled(self) -> None:
        """Wait until no other node can still act for what this one owns by the ring."""
