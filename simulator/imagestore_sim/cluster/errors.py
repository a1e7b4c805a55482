"""The error of a node that writes what another node owns by now."""

from __future__ import annotations


class PastOwner(Exception):
    """This node does not own a storage any more: what it has found out about it must not be written."""

    def __init__(self, node: str, storage: str) -> None:
        super().__init__(f"management node[uuid:{node}] does not own backup storage[uuid:{storage}] any more")
        self.node = node
        self.storage = storage


class NodeGone(Exception):
    """A management node has left, or does not answer; the text is ZStack's."""

    def __init__(self, node: str) -> None:
        super().__init__(f"management node[uuid:{node}] is unavailable")
        self.node = node


class NodeLeft(NodeGone):
    """A management node has left, or is about to: it begins with nothing any more that it has not taken."""


class OtherMode(Exception):
    """Another node of the store runs in another cluster mode: the two would take each other for dead."""

    def __init__(self, address: str, mode: str, ours: str) -> None:
        super().__init__(
            f"the management node at {address} runs in cluster mode {mode}, this one is to run in {ours}; "
            "all nodes of a store need the same --cluster-mode"
        )


class CallBroken(Exception):
    """A call went wrong on the node that it was sent to; the text names the exception."""


class TooManyCalls(Exception):
    """Too many calls wait for other nodes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} calls wait for other management nodes already")
