"""Which web hooks get an event: the same as all globs matched one by one, at the cost of what has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagestore_sim.backup_storage import hook_addresses
from imagestore_sim.backup_storage.hook_addresses import GLOBS_OF_A_TURN, HookAddresses, HookRow, matcher
from loop_turns import Turns, counting

PATHS = ("/a", "/a/b", "/b")
OPAQUES = ("/a", "/a*", "/a/*", "/?", "/{x}", ".a", "", "*")
changes = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("123"), st.sampled_from(OPAQUES)),
        st.tuples(st.just("remove"), st.sampled_from("123"), st.just("")),
        st.tuples(st.just("ask"), st.just(""), st.sampled_from(PATHS)),
    ),
    max_size=20,
)


@given(changes)
def test_an_event_goes_to_the_hooks_that_match_its_path_in_the_order_of_their_uuids(
    steps: list[tuple[str, str, str]],
) -> None:
    async def play() -> None:
        addresses, hooks = HookAddresses(), dict[str, str]()
        for kind, uuid, text in steps:
            if kind == "put":
                hooks[uuid] = text
                addresses.put(HookRow(uuid, f"{uuid}{text}", text))
            elif kind == "remove":
                hooks.pop(uuid, None)
                addresses.remove(uuid)
            else:
                expected = [f"{one}{hooks[one]}" for one in sorted(hooks) if matcher(hooks[one])(text)]
                assert await addresses.of(text) == expected

    asyncio.run(play())


async def test_a_change_compiles_and_matches_its_own_glob_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_on: list[str] = []

    def counted(opaque: str) -> Callable[[str], bool]:
        matches = matcher(opaque)
        worked_on.append(f"compile {opaque}")

        def match(path: str) -> bool:
            worked_on.append(f"match {opaque}")
            return matches(path)

        return match

    monkeypatch.setattr(hook_addresses, "matcher", counted)
    addresses = HookAddresses(HookRow(f"{number:04}", "http://old/", f"/a{number}/*") for number in range(1000))
    assert await addresses.of("/a7/x") == ["http://old/"]
    worked_on.clear()
    addresses.put(HookRow("new", "http://new/", "/a7/*x"))
    assert worked_on == ["compile /a7/*x", "match /a7/*x"]
    assert await addresses.of("/a7/x") == ["http://old/", "http://new/"]
    addresses.remove("0007")
    assert await addresses.of("/a7/x") == ["http://new/"]
    assert len(worked_on) == 2, "an event matches no glob again, and a hook that goes none at all"


async def test_others_have_their_turn_while_very_many_globs_are_matched() -> None:
    addresses = HookAddresses(HookRow(str(number), "u", f"/{number}") for number in range(3 * GLOBS_OF_A_TURN))
    turns = Turns()
    async with counting(turns):
        asking = asyncio.create_task(addresses.of("/1"))
        await asyncio.sleep(0)
        addresses.remove("1")
        addresses.put(HookRow("another", "v", "*1"))
        assert await asking == ["v"], "changes that come meanwhile count"
    assert turns.count >= 3


async def test_paths_that_were_asked_for_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_addresses, "MOST_PATHS", 3)
    addresses = HookAddresses([HookRow("1", "u", "/x*")])
    for number in range(10):
        assert await addresses.of(f"/x{number}") == ["u"]
    assert len(addresses._matching) == 3
