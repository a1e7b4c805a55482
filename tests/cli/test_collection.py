"""The garbage collector leaves out what a start has made."""

from __future__ import annotations

import gc

from imagestore_sim.cli.running import collect_no_more


def test_what_a_start_has_made_is_not_looked_at_again() -> None:
    made: list[list[int]] = [[] for _ in range(1000)]
    assert any(one is made for one in gc.get_objects())
    before = gc.get_freeze_count()
    collect_no_more()
    assert gc.get_freeze_count() >= before + len(made)
    assert not any(one is made for one in gc.get_objects())
