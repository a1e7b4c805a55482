"""Messages of other nodes are taken once, in whatever order they come."""

from __future__ import annotations

from imagestore_sim.cluster.received import KEPT, Received


def test_a_message_is_taken_once() -> None:
    received = Received()
    taken = [received.is_new("a", "1", number) for number in (1, 3, 2, 3, 1, 4)]
    assert taken == [True, True, True, False, False, True]
    assert received.is_new("b", "1", 1)


def test_a_node_that_was_away_for_less_than_others_notice_begins_with_1() -> None:
    received = Received()
    assert [received.is_new("a", start, 1) for start in ("1", "2", "1", "2")] == [True, True, False, False]


def test_a_node_that_comes_back_begins_with_1() -> None:
    received = Received()
    assert received.is_new("a", "1", 1)
    received.forget("a")
    assert received.is_new("a", "1", 1)


def test_a_message_that_is_older_than_all_that_are_remembered_counts_as_taken() -> None:
    received = Received()
    for number in range(2, KEPT + 10, 1):
        received.is_new("a", "1", number * 2)
    assert not received.is_new("a", "1", 3)
    assert received.is_new("a", "1", (KEPT + 9) * 2 + 1)
