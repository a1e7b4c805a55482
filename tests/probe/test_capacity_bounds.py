"""Space from blocks."""

from __future__ import annotations

from imagestore_sim.probe.capacity import Inodes, Space
from rows import rows


def test_space_is_blocks_times_their_size() -> None:
    assert Space.of_blocks(4096, 1000, 300, Inodes(50, 40), True) == Space(4096000, 1228800, Inodes(50, 40), True)


@rows("available", [-5, 2**64 - 5])
def test_a_file_system_fuller_than_full_has_nothing_available(available: int) -> None:
    assert Space.of_blocks(512, 1000, available).available == 0


def test_no_inodes_in_all_means_that_they_are_not_counted() -> None:
    assert Space.of_blocks(4096, 1000, 300, Inodes(0, 0)).inodes is None


def test_zero_available_inodes_are_reported() -> None:
    assert Space.of_blocks(4096, 1000, 300, Inodes(16, 0)).inodes == Inodes(16, 0)
