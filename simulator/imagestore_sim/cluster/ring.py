"""The consistent hash that says which node owns a resource: a ring with 500 points of each (management-nodes 1.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

POINTS = 500
"""Points of each node."""
_SEED = 17 * 37  # of the commons-lang HashCodeBuilder, which ZStack uses
_BITS = 32


def zstack_hash(text: str) -> int:
    """Return ZStack's hash of ASCII text, a Java int: HashCodeBuilder's over String.hashCode (management-nodes 1.4).

    The points of one node differ in their last characters alone, so they lie in a few clusters: shares are uneven.
    """
    return _seeded(_string_hash(text))


def _string_hash(text: str, code: int = 0) -> int:
    """Return String.hashCode of a text, as 32 bits; `code`: that of what stands before it."""
    for character in text:
        code = (31 * code + ord(character)) & 0xFFFFFFFF
    return code


def _seeded(code: int) -> int:
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
        self._hash: Callable[[str], int] = even_hash if even else zstack_hash
        points_of = _even_points if even else _zstack_points
        points = {point: node for node in sorted(self.nodes) for point in points_of(node)}
        self._points = sorted(points)
        self._owners = [points[point] for point in self._points]

    def owner_of(self, uuid: str) -> str | None:
        """Return the uuid of the node that owns a resource; None without nodes."""
        if not self._points:
            return None
        at = bisect_left(self._points, self._hash(uuid))
        return self._owners[at % len(self._owners)]


@lru_cache(maxsize=256)
def _even_points(node: str) -> Sequence[int]:
    return [even_hash(f"{node}{number}") for number in range(POINTS)]


@lru_cache(maxsize=256)
def _zstack_points(node: str) -> Sequence[int]:
    """Return `zstack_hash` of the node's uuid with each number behind it; that of the uuid is computed once."""
    code = _string_hash(node)
    return [_seeded(_string_hash(str(number), code)) for number in range(POINTS)]
