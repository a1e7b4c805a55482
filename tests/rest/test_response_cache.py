"""The response cache: it answers as long as the store is unchanged, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.lab import Lab
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.query import QueryEngine
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

    def cache(self, *, max_entries: int = 10, max_bytes: int = 1000) -> ResponseCache:
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


async def test_an_answer_is_cached() -> None:
    store = Store()
    cache = store.cache()
    assert cache.find(("account", "/path")) is None
    assert [await cache.get(("account", "/path"), store.make) for _ in range(3)] == [b"1"] * 3
    assert cache.find(("account", "/path")) == (b"1", "")


async def test_each_account_and_each_path_has_its_own_answer() -> None:
    store = Store()
    cache = store.cache()
    keys = [("one", "/a"), ("other", "/a"), ("one", "/b")]
    assert [await cache.get(key, store.make) for key in keys] == [b"1", b"2", b"3"]


async def test_a_change_of_the_store_drops_all_answers() -> None:
    store = Store()
    cache = store.cache()
    await cache.get(("account", "/path"), store.make)
    store.revision += 1
    assert cache.find(("account", "/path")) is None
    assert await cache.get(("account", "/path"), store.make) == b"2"


async def test_concurrent_requests_share_an_answer() -> None:
    store = Store()
    cache = store.cache()
    store.may_end.clear()
    asking = [asyncio.create_task(cache.get(("account", "/path"), store.make)) for _ in range(3)]
    await asyncio.sleep(0)
    store.may_end.set()
    assert await asyncio.gather(*asking) == [b"1"] * 3


async def test_an_answer_begun_before_a_change_is_only_for_earlier_requests() -> None:
    store = Store()
    cache = store.cache()
    store.may_end.clear()
    before = asyncio.create_task(cache.get(("account", "/path"), store.make))
    await asyncio.sleep(0.01)
    store.revision += 1
    after = asyncio.create_task(cache.get(("account", "/path"), store.make))
    await asyncio.sleep(0.01)
    store.may_end.set()
    assert (await before, await after) == (b"1", b"2")
    assert cache.find(("account", "/path")) == (b"2", "")


async def test_an_answer_begun_before_a_change_is_not_cached() -> None:
    store = Store()
    cache = store.cache()
    store.may_end.clear()
    asked = asyncio.create_task(cache.get(("account", "/path"), store.make))
    await asyncio.sleep(0.01)
    store.revision += 1
    store.may_end.set()
    assert await asked == b"1"
    assert cache.find(("account", "/path")) is None


async def test_a_failure_reaches_all_requests_and_is_not_cached() -> None:
    async def fail() -> bytes:
        await asyncio.sleep(0)
        raise ValueError("no")

    cache = Store().cache()
    asked = await asyncio.gather(*(cache.get(("a", "/"), fail) for _ in range(2)), return_exceptions=True)
    assert [str(one) for one in asked] == ["no", "no"]
    assert await cache.get(("a", "/"), of_size(1)) == b"x"


async def test_a_cancelled_request_does_not_cancel_the_answer_for_others() -> None:
    store = Store()
    cache = store.cache()
    store.may_end.clear()
    first, other = (asyncio.create_task(cache.get(("a", "/"), store.make)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    store.may_end.set()
    assert await other == b"2"


async def test_the_least_recently_used_answer_is_dropped_first() -> None:
    cache = Store().cache(max_entries=2)
    await cache.get(("a", "/1"), of_size(1))
    await cache.get(("a", "/2"), of_size(1))
    cache.find(("a", "/1"))
    await cache.get(("a", "/3"), of_size(1))
    assert [cache.find(("a", path)) is not None for path in ("/1", "/2", "/3")] == [True, False, True]


async def test_the_cached_bytes_are_bounded() -> None:
    cache = Store().cache(max_bytes=14)
    await cache.get(("a", "/1"), of_size(6))
    await cache.get(("a", "/2"), of_size(6))
    assert [cache.find(("a", path)) is not None for path in ("/1", "/2")] == [False, True]
    assert await cache.get(("a", "/3"), of_size(15)) == b"x" * 15
    assert [cache.find(("a", path)) is not None for path in ("/2", "/3")] == [False, False]


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_list_shows_every_acknowledged_change(imagestore_client: Client) -> None:
    [storage] = await imagestore_client.query(STORAGES)
    for number in range(20):
        name = f"name-{number}"
        update = {"updateBackupStorage": {"name": name}}
        await imagestore_client.call("PUT", f"/backup-storage/{storage['uuid']}/actions", update)
        assert [one["name"] for one in await imagestore_client.query(STORAGES)] == [name]
        assert await imagestore_client.query(STORAGES, f"name={name}") != []


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_question_in_other_words_gets_the_cached_answer(
    imagestore_lab: Lab, imagestore_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "?q=name~=%25&sort=%2Bname&limit=5"
    first = await imagestore_client.request("GET", f"{STORAGES}{query}")
    monkeypatch.setattr(QueryEngine, "run", None)
    for other in ("?limit=5&q=name~=%25&sort=%2Bname", f"{query}&n=1", "?q=name~%3D%25&sort=%2bname&limit=5"):
        answer = await imagestore_client.request("GET", f"{STORAGES}{other}")
        assert (answer.status, answer.text) == (200, first.text)
        again = await imagestore_client.request("GET", f"{STORAGES}{other}")
        assert (again.status, again.text) == (200, first.text)


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_cached_answer_needs_a_session(imagestore_lab: Lab, imagestore_client: Client) -> None:
    async with Client(imagestore_lab.url) as other:
        await other.log_in()
        assert await other.query(STORAGES) == await imagestore_client.query(STORAGES)
        await other.call("DELETE", f"/accounts/sessions/{other.session_uuid}")
        await imagestore_client.query(STORAGES)
        answer = await other.request("GET", STORAGES)
        assert (answer.status, answer.body["error"]["code"]) == (503, "ID.1001")
        answer = await other.request("GET", STORAGES, headers={"Authorization": "Basic x"})
        assert (answer.status, answer.text) == (400, "Authorization type must be 'OAuth'")


async def test_a_cached_answer_extends_the_session(tmp_path: Path) -> None:
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
