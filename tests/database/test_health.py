"""The checks of a store that has failed: one task, which ends with the store."""

from __future__ import annotations

import asyncio

import pytest

from imagestore_sim.database import health as health_module
from imagestore_sim.database.errors import StoreUnavailable
from imagestore_sim.database.health import Health, Side


class _Store:
    """A store whose check answers what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health_module, "CHECK_SECONDS", 0.01)
        self.checks = 0
        self.at_once = 0
        self.works = False
        self.health = Health("a store", self._check)
        self.health.begin()

    async def _check(self) -> None:
        self.checks += 1
        self.at_once += 1
        assert self.at_once == 1, "two checks at once"
        await asyncio.sleep(0)
        self.at_once -= 1
        if not self.works:
            raise self.health.failed(Side.WRITE, "it is broken")
        self.health.worked(Side.WRITE)


async def test_a_problem_that_ends_and_comes_back_is_checked_by_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    store = _Store(monkeypatch)
    before = len(asyncio.all_tasks())
    for _ in range(10):
        store.health.failed(Side.WRITE, "it is broken")
        store.health.worked(Side.WRITE)
    store.health.failed(Side.WRITE, "it is broken")
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before + 1
    while store.checks < 3:
        await asyncio.sleep(0.01)
    store.works = True
    async with asyncio.timeout(60):
        await store.health.until_it_works()
    store.works = False
    store.health.failed(Side.WRITE, "it is broken again")
    seen = store.checks
    async with asyncio.timeout(60):
        while store.checks == seen:
            await asyncio.sleep(0.01)
        await store.health.close()


async def test_a_store_that_fails_while_it_is_closed_is_checked_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    store = _Store(monkeypatch)
    before = len(asyncio.all_tasks())
    store.health.failed(Side.WRITE, "it is broken")
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await store.health.close()
    assert isinstance(store.health.failed(Side.READ, "closed"), StoreUnavailable)
    assert len(asyncio.all_tasks()) == before


async def test_problems_that_take_turns_are_logged_once_until_the_store_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = _Store(monkeypatch)
    for _ in range(2):
        for _ in range(3):
            store.health.failed(Side.READ, "one table is gone")
            store.health.failed(Side.READ, "another table is gone")
        assert [one.levelname for one in caplog.records] == ["ERROR", "ERROR"]
        caplog.clear()
        store.health.worked(Side.READ)
        assert [one.levelname for one in caplog.records] == ["WARNING"]
        caplog.clear()
    await store.health.close()
