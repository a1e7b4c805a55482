"""Small changes: plans that wait for their turn share a transaction, and one that fails is undone alone."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from new_database import new_database
from sqlalchemy import Integer, bindparam, delete, func, insert, literal_column, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.changes import Changes, ChangesByCursor, Plan
from imagestore_sim.database.models import Event, Zone

MADE = datetime(2017, 11, 14, 22, 20, 57)
ADD, EVENT, RENAME = insert(Zone), insert(Event), update(Zone).where(Zone.uuid == bindparam("changed"))
ZONES = select(Zone.uuid, Zone.createDate).order_by(Zone.uuid).limit(bindparam("most", type_=Integer))
COUNT = select(func.count(Zone.uuid))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(str(new_database(tmp_path)))
    yield database
    await database.close()


def add(uuid: str, error: Exception | None = None) -> Plan[int]:
    def plan(changes: Changes) -> int:
        zone = {"uuid": uuid, "name": uuid, "state": "Enabled", "type": "zstack", "isDefault": False}
        changes.write(ADD, {**zone, "createDate": MADE, "lastOpDate": MADE})
        if error is not None:
            raise error
        count: int = changes.rows(COUNT, {})[0][0]
        return count

    return plan


async def zones(database: Database) -> list[str]:
    return [row[0] for row in await database.read(select(Zone.uuid).order_by(Zone.uuid))]


async def test_a_plan_reads_and_writes_as_any_transaction_does(database: Database) -> None:
    assert await database.change(add("a")) == 1
    assert await database.change(lambda changes: changes.rows(ZONES, {"most": 5})) == [["a", MADE]]
    event = {"time": 1, "path": "/p", "resourceUuid": "a", "content": "{}", "correlation": None}
    numbers = [(await database.change(lambda changes: changes.write(EVENT, event))).number for _ in range(2)]
    assert numbers[1] == numbers[0] + 1
    for uuid, rows in (("a", 1), ("b", 0)):
        named = {"changed": uuid, "name": "new", "lastOpDate": MADE}
        assert (await database.change(lambda changes, row=named: changes.write(RENAME, row))).rows == rows  # type: ignore[misc]
    async with database.atomic():
        assert await database.change(add("b")) == 2
        assert await database.change(lambda changes: changes.rows(ZONES, {"most": 1})) == [["a", MADE]]
        assert (await database.change(lambda changes: changes.write(delete(Zone), {}))).rows == 2
    assert await zones(database) == []


async def test_plans_that_wait_share_a_transaction_and_keep_their_order(database: Database) -> None:
    before = database.revision
    found = await asyncio.gather(*(database.change(add(f"{number:03}")) for number in range(200)))
    assert found == list(range(1, 201))
    assert len(await zones(database)) == 200
    assert database.revision - before < 20


async def test_a_plan_that_fails_is_undone_alone(database: Database) -> None:
    plans = [add("a"), add("b", KeyError("b")), add("c"), add("a"), add("d")]
    found = await asyncio.gather(*map(database.change, plans), return_exceptions=True)
    assert [type(one) for one in found] == [int, KeyError, int, sqlite3.IntegrityError, int]
    assert await zones(database) == ["a", "c", "d"]
    assert database.health.problem is None


async def test_a_plan_waits_for_the_lock_of_another_process(database: Database, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "node.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        changing = asyncio.create_task(database.change(add("a")))
        await asyncio.sleep(0.3)
        assert not changing.done()
        other.execute("COMMIT")
        assert await changing == 1
    other.close()


async def test_a_plan_goes_through_when_its_caller_is_cancelled_and_one_that_waits_does_not(database: Database) -> None:
    entered, go_on, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def slow(changes: Changes) -> None:
        loop.call_soon_threadsafe(entered.set)
        go_on.wait(60)
        add("slow")(changes)

    running = asyncio.create_task(database.change(slow))
    await entered.wait()
    waiting = asyncio.create_task(database.change(add("waits")))
    await asyncio.sleep(0)
    waiting.cancel()
    running.cancel()
    go_on.set()
    await asyncio.wait([running, waiting])
    assert (running.cancelled(), waiting.cancelled()) == (True, True)
    assert await database.change(add("next")) == 2
    assert await zones(database) == ["next", "slow"]


async def test_a_closed_database_changes_nothing(database: Database) -> None:
    await database.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await database.change(add("a"))


async def test_an_error_of_a_statement_in_a_larger_transaction_tells_no_values(database: Database) -> None:
    await database.change(add("a"))

    async def both() -> None:
        async with database.atomic():
            await database.change(add("b"))
            await database.change(add("a"))

    with pytest.raises(IntegrityError) as caught:
        await both()
    assert (caught.value.statement, caught.value.params) == (None, None)
    assert await zones(database) == ["a"]


async def test_a_store_that_fails_in_a_larger_transaction_is_unavailable(database: Database) -> None:
    def broken(changes: Changes) -> int:
        assert isinstance(changes, ChangesByCursor)
        changes.rows(select(literal_column("broken()")), {})
        return 0

    def fail() -> None:
        raise error

    error = sqlite3.OperationalError("disk I/O error")
    async with database.transaction() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.create_function("broken", 0, fail)
    with pytest.raises(DBAPIError):
        async with database.atomic():
            await database.change(broken)
    assert await database.change(add("a")) == 1
