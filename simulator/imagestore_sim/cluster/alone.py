"""A node that shares its store with no other: it owns everything, and pays nothing for it."""

from __future__ import annotations

from collections.abc import Callable

NodeCallback = Callable[[str], None]
"""Called with the uuid of a node."""


class Alone:
    """Answers what a Membership does, for the only node of a store."""

    is_alone = True
    quick = False
    epoch = 0

    def __init__(self) -> None:
        self.uuid = ""
        """Of this node; empty until its record is open."""

    @property
    def members(self) -> tuple[str, ...]:
        """The uuids of the nodes in the ring: this one."""
        return (self.uuid,)

    def owner_of(self, uuid: str) -> str:
        """Return the uuid of the node that owns a resource: this one."""
        return self.uuid

    def is_ours(self, uuid: str) -> bool:
        """Return whether this node owns a resource now: always."""
        return True

    def address_of(self, node: str) -> str | None:
        """Return the address of another node: there is none."""
        return None

    def on_left(self, callback: NodeCallback) -> None:
        """Never call back."""

    async def settled(self) -> None:
        """Return at once: no other node may still act for what this one owns."""
