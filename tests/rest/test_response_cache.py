"""The response cache: it answers as long as the store is unchanged, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.lab import Lab
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.rest.response_cache import ResponseCache
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client

STORAGES = "/backup-storage/image-store"
SESSION_SECONDS = 7200


class Store:
    """A store's revision, and how often an answer was made."""

    def __init__(self) -> None:
        self.revision = 0
        self.made = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    def answers(self, *, max_entries: int = 10, max_bytes: int = 1000) -> ResponseCache:
        return ResponseCache(lambda: self.revision, max_entries=max_entries, max_bytes=max_bytes)

    async def make(self) -> bytes:
        self.made += 1
        made = b"%d" % self.made
        await self.may_end.wait()
        return made


def of_size(size: int) -> Callable[[], Awaitable[bytes]]:
    async def make() -> bytes:
        return b"x" * size

    return make


async def test_an_answer_is_given_again() -> None:
    store = Store()
    answers = store.answers()
    assert answers.find(("account", "/path")) is None
    assert [await answers.get(("account", "/path"), store.make) for _ in range(3)] == [b"1"] * 3
    assert answers.find(("account", "/path")) == b"1"


async def test_each_account_and_each_path_has_its_own() -> None:
    store = Store()
    answers = store.answers()
    questions = [("one", "/a"), ("other", "/a"), ("one", "/b")]
    assert [await answers.get(question, store.make) for question in questions] == [b"1", b"2", b"3"]


async def test_a_change_of_the_store_ends_them_all() -> None:
    store = Store()
    answers = store.answers()
    await answers.get(("account", "/path"), store.make)
    store.revision += 1
    assert answers.find(("account", "/path")) is None
    assert await answers.get(("account", "/path"), store.make) == b"2"


async def test_those_who_ask_at_the_same_time_share_an_answer() -> None:
    store = Store()
    answers = store.answers()
    store.may_end.clear()
    asking = [asyncio.create_task(answers.get(("account", "/path"), store.make)) for _ in range(3)]
    await asyncio.sleep(0)
    store.may_end.set()
    assert await asyncio.gather(*asking) == [b"1"] * 3


async def test_an_answer_begun_before_a_change_is_for_those_who_asked_before_it() -> None:
    store = Store()
    answers = store.answers()
    store.may_end.clear()
    before = asyncio.create_task(answers.get(("account", "/path"), store.make))
    await asyncio.sleep(0.01)
    store.revision += 1
    after = asyncio.create_task(answers.get(("account", "/path"), store.make))
    await asyncio.sleep(0.01)
    store.may_end.set()
    assert (await before, await after) == (b"1", b"2")
    assert answers.find(("account", "/path")) == b"2"


async def test_an_answer_that_the_store_outran_is_not_kept() -> None:
    store = Store()
    answers = store.answers()
    store.may_end.clear()
    asked = asyncio.create_task(answers.get(("account", "/path"), store.make))
    await asyncio.sleep(0.01)
    store.revision += 1
    store.may_end.set()
    assert await asked == b"1"
    assert answers.find(("account", "/path")) is None


async def test_a_failure_reaches_everybody_and_is_not_kept() -> None:
    async def fail() -> bytes:
        await asyncio.sleep(0)
        raise ValueError("no")

    answers = Store().answers()
    asked = await asyncio.gather(*(answers.get(("a", "/"), fail) for _ in range(2)), return_exceptions=True)
    assert [str(one) for one in asked] == ["no", "no"]
    assert await answers.get(("a", "/"), of_size(1)) == b"x"


async def test_who_gives_up_does_not_take_the_answer_from_others() -> None:
    store = Store()
    answers = store.answers()
    store.may_end.clear()
    first, other = (asyncio.create_task(answers.get(("a", "/"), store.make)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    store.may_end.set()
    assert await other == b"2"


async def test_what_was_asked_for_longest_ago_goes_first() -> None:
    answers = Store().answers(max_entries=2)
    await answers.get(("a", "/1"), of_size(1))
    await answers.get(("a", "/2"), of_size(1))
    answers.find(("a", "/1"))
    await answers.get(("a", "/3"), of_size(1))
    assert [answers.find(("a", path)) is not None for path in ("/1", "/2", "/3")] == [True, False, True]


async def test_the_bytes_kept_are_bounded() -> None:
    answers = Store().answers(max_bytes=14)
    await answers.get(("a", "/1"), of_size(6))
    await answers.get(("a", "/2"), of_size(6))
    assert [answers.find(("a", path)) is not None for path in ("/1", "/2")] == [False, True]
    assert await answers.get(("a", "/3"), of_size(15)) == b"x" * 15
    assert [answers.find(("a", path)) is not None for path in ("/2", "/3")] == [False, False]


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_list_shows_every_change_that_was_acknowledged(imagestore_client: Client) -> None:
    [storage] = await imagestore_client.query(STORAGES)
    for number in range(20):
        name = f"name-{number}"
        update = {"updateBackupStorage": {"name": name}}
        await imagestore_client.call("PUT", f"/backup-storage/{storage['uuid']}/actions", update)
        assert [one["name"] for one in await imagestore_client.query(STORAGES)] == [name]
        assert await imagestore_client.query(STORAGES, f"name={name}") != []


@pytest.mark.imagestore_lab(hosts=1)
async def test_an_answer_that_is_kept_still_needs_a_session(imagestore_lab: Lab, imagestore_client: Client) -> None:
    async with Client(imagestore_lab.url) as other:
        await other.log_in()
        assert await other.query(STORAGES) == await imagestore_client.query(STORAGES)
        await other.call("DELETE", f"/accounts/sessions/{other.session_uuid}")
        await imagestore_client.query(STORAGES)
        answer = await other.request("GET", STORAGES)
        assert (answer.status, answer.body["error"]["code"]) == (503, "ID.1001")
        answer = await other.request("GET", STORAGES, headers={"Authorization": "Basic x"})
        assert (answer.status, answer.text) == (400, "Authorization type must be 'OAuth'")


async def test_an_answer_that_is_kept_makes_the_session_last_longer(tmp_path: Path) -> None:
    clock = Watch()
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")), clock=clock)
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        for _ in range(3):
            assert await client.query("/zones") == []
            clock.seconds += SESSION_SECONDS - 60
        assert await client.query("/zones") == []
        clock.seconds += SESSION_SECONDS + 1
        assert (await client.request("GET", "/zones")).body["error"]["code"] == "ID.1001"
    await node.stop()


class Watch(RealClock):
    """The machine's time plus seconds that the test adds."""

    seconds = 0.0

    def time(self) -> float:
        return super().time() + self.seconds
