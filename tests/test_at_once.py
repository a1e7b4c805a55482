"""Reads that are done at once or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from imagestore_sim.at_once import run_at_once, runs_at_once
from imagestore_sim.database import Database
from imagestore_sim.database.models import Zone
from imagestore_sim.tasks import LARGE, by_size

NUMBERS = "WITH RECURSIVE some(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM some WHERE n < ?) SELECT count(*) FROM some"


async def test_what_does_not_wait_returns_its_result() -> None:
    async def work() -> bool:
        return runs_at_once()

    assert run_at_once(work()) is True
    assert not runs_at_once()


async def test_what_fails_raises_its_error() -> None:
    async def work() -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_at_once(work())
    assert not runs_at_once()


async def test_what_waits_is_ended_where_it_waits() -> None:
    steps = []

    async def work() -> bytes:
        try:
            await asyncio.sleep(0)
        finally:
            steps.append("ended")
        return b"never"

    assert run_at_once(work()) is None
    assert steps == ["ended"]


async def test_nothing_is_begun_in_a_thread(tmp_path: Path) -> None:
    database = await Database.open(str(tmp_path / "node.db"))
    called: list[str] = []

    async def change() -> None:
        async with database.transaction():
            called.append("transaction")

    try:
        reads: list[Coroutine[Any, Any, object]] = [
            database.read(select(Zone.uuid)),
            database.fetch("SELECT 1", ()),
            database.fetch_soon(NUMBERS, (10**7,)),
            change(),
            by_size(LARGE, called.append, "thread"),
        ]
        assert [run_at_once(one) for one in reads] == [None] * len(reads)
        assert run_at_once(database.fetch_few("SELECT 1", ())) == [(1,)]
        assert run_at_once(database.fetch_soon("SELECT 1", ())) == [(1,)]
        assert called == []
    finally:
        await database.close()
