"""What stat -f prints, read."""

from __future__ import annotations

import pytest

from imagestore_sim.probe.capacity import Inodes, Space
from imagestore_sim.probe.failures import Failed
from imagestore_sim.probe.stat import parse
from imagestore_sim.reasons import Reason
from rows import rows


@rows("output", ["4096 1000 300 500 400\n", "noise\n4096 1000 300 500 400\r\n", "4096 1000 300 500 400"])
def test_blocks_and_inodes_are_read(output: str) -> None:
    assert parse(output) == Space(4096 * 1000, 4096 * 300, Inodes(500, 400))


def test_a_file_system_that_does_not_count_inodes_has_none() -> None:
    assert parse("4096 1000 300 0 0\n") == Space(4096 * 1000, 4096 * 300)


@rows("output", ["", "4096 1000 300\n", "stat: cannot read file system information\n"])
def test_an_answer_without_numbers_is_no_capacity(output: str) -> None:
    with pytest.raises(Failed) as failed:
        parse(output)
    assert failed.value.reason is Reason.NO_CAPACITY
