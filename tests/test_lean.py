"""Objects that share what they have alike, and events that are small while no task waits."""

from __future__ import annotations

import asyncio

from imagestore_sim.lean import LeanEvent, share_attributes


class Thing:
    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.flag = True
        self.parts: list[str] = []

    def size(self) -> int:
        return self.count


def test_attributes_that_all_have_alike_are_on_the_class_until_they_are_set() -> None:
    one, other = Thing("same"), Thing("other")
    for thing in (one, other):
        share_attributes(thing)
    assert vars(one) == {"parts": []}
    assert vars(other) == {"name": "other", "parts": []}
    other.count, one.flag = 3, False
    one.parts.append("x")
    assert (one.size(), other.size(), one.flag, other.flag) == (0, 3, False, True)
    assert (one.parts, other.parts) == (["x"], [])


def test_an_equal_value_of_another_type_stays_with_its_object() -> None:
    one, other = Thing("a"), Thing("a")
    share_attributes(one)
    other.count = False
    share_attributes(other)
    assert other.count is False


async def test_an_event_wakes_all_that_wait_and_can_be_used_again() -> None:
    event = LeanEvent()
    waiting = [asyncio.ensure_future(event.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not event.is_set()
    event.set()
    assert await asyncio.gather(*waiting) == [True, True]
    assert await event.wait()
    event.clear()
    assert not event.is_set()
