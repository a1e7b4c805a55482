"""The consistent hash that says which node owns a resource: a ring with 500 points of each (management-nodes 1.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b

POINTS = 500
"""Points of each node."""
_SEED = 17 * 37  # of the commons-lang HashCodeBuilder, which ZStack uses
_BITS = 32
Hash = Callable[[str], int]


def zstack_hash(text: str) -> int:
    """Return ZStack's hash of ASCII text, a Java int: HashCodeBuilder's over String.hashCode (management-nodes 1.4).

    The points of one node differ in their last characters alone, so they lie in a few clusters: shares are uneven.
    """
    code = 0
    for character in text:
        code = (31 * code + ord(character)) & 0xFFFFFFFF
    code = (code + _SEED) & 0xFFFFFFFF
    return code - (1 << _BITS) if code >> (_BITS - 1) else code


def even_hash(text: str) -> int:
    """Return a hash that spreads the points of a node over the whole ring."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


class Ring:
    """The nodes, and which of them owns a resource. Nodes with the same members in any order agree."""

    def __init__(self, nodes: Iterable[str], *, even: bool) -> None:
        """Take the uuids of the nodes."""
        self.nodes = frozenset(nodes)
        self._hash = even_hash if even else zstack_hash
        points = {point: node for node in sorted(self.nodes) for point in _points(node, self._hash)}
        self._points = sorted(points)
        self._owners = [points[point] for point in self._points]

    def owner_of(self, uuid: str) -> str | None:
        """Return the uuid of the node that owns a resource; None without nodes."""
        if not self._points:
            return None
        at = bisect_left(self._points, self._hash(uuid))
        return self._owners[at % len(self._owners)]


@lru_cache(maxsize=256)
def _points(node: str, of: Hash) -> tuple[int, ...]:
    return tuple(of(f"{node}{number}") for number in range(POINTS))
