"""The ring: every node gives the same answer, and a change moves only what it must."""

from __future__ import annotations

from collections import Counter

import pytest

from imagestore_sim.bootstrap import stable_uuid
from imagestore_sim.cluster import Ring
from imagestore_sim.cluster.ring import zstack_hash

NODES = [stable_uuid("node", str(number)) for number in range(3)]
STORAGES = [stable_uuid("backup-storage", str(number)) for number in range(3000)]


def test_zstacks_hash_is_javas() -> None:
    """HashCodeBuilder's of a text is 17 * 37 + its String.hashCode() (management-nodes 1.4)."""
    assert zstack_hash("hello") == 99162322 + 629
    assert zstack_hash("polygenelubricants") == -(2**31) + 629
    assert zstack_hash("") == 629


def test_the_points_of_a_node_are_the_hashes_of_its_uuid_with_a_number() -> None:
    """ZStack puts a node on the ring at each of these; a resource belongs to the next point (management-nodes 1.4)."""
    points = sorted((zstack_hash(f"{node}{number}"), node) for node in NODES for number in range(500))
    ring = Ring(NODES, even=False)
    for uuid in STORAGES[:100]:
        following = [node for point, node in points if point >= zstack_hash(uuid)]
        assert ring.owner_of(uuid) == (following or [points[0][1]])[0]


@pytest.mark.parametrize("even", [True, False])
def test_a_node_that_joins_or_leaves_moves_only_its_own_share(even: bool) -> None:
    two, three = Ring(NODES[:2], even=even), Ring(reversed(NODES), even=even)
    moved = [uuid for uuid in STORAGES if two.owner_of(uuid) != three.owner_of(uuid)]
    assert moved
    assert {three.owner_of(uuid) for uuid in moved} == {NODES[2]}


def test_an_even_ring_gives_each_node_about_a_third() -> None:
    ring = Ring(NODES, even=True)
    shares = Counter(ring.owner_of(uuid) for uuid in STORAGES)
    assert all(900 < shares[node] < 1100 for node in NODES)


def test_a_ring_without_nodes_has_no_owner() -> None:
    assert Ring((), even=True).owner_of(STORAGES[0]) is None
