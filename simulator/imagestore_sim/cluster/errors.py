"""The error of a node that writes what another node owns by now."""

from __future__ import annotations


class PastOwner(Exception):
    """This node does not own a storage any more: what it has found out about it must not be written."""

    def __init__(self, node: str, storage: str) -> None:
        super().__init__(f"management node[uuid:{node}] does not own backup storage[uuid:{storage}] any more")
        self.node = node
        self.storage = storage
