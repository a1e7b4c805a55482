"""The garbage collector leaves out what a start has made."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from typing import Any

from imagestore_sim.cli.running import collect_no_more


def test_what_a_start_has_made_is_not_looked_at_again() -> None:
    made: list[list[int]] = [[] for _ in range(1000)]
    assert any(one is made for one in gc.get_objects())
    before = gc.get_freeze_count()
    collect_no_more()
    assert gc.get_freeze_count() >= before + len(made)
    assert not any(one is made for one in gc.get_objects())


def test_a_start_ends_without_a_look_at_all_that_it_has_made() -> None:
    generations: list[int] = []

    def note(phase: str, info: Mapping[str, Any]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    left = weakref.ref(Cycle())
    gc.callbacks.append(note)
    try:
        collect_no_more()
    finally:
        gc.callbacks.remove(note)
    assert generations
    assert max(generations) == 1
    assert left() is None
