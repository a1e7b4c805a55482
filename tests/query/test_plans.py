"""SQLite's plans for the most frequent queries: they use an index to find rows or to sort."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from imagestore_sim.database import Database
from imagestore_sim.query import BACKUP_STORAGE, IMAGE_STORE_BACKUP_STORAGE, Inventory, register_functions
from imagestore_sim.query.compile import compile_shape
from imagestore_sim.query.conditions import parse_query
from imagestore_sim.query.prepared_query import prepare_query

OF_CONDITIONS = re.compile("not_ascii|json_each")
"""An index of the few rows that are more than ASCII, and the values of a list."""


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(str(tmp_path / "plans.db"), prepare=register_functions)
    yield database
    await database.close()


async def plan(database: Database, inventory: Inventory, *pairs: tuple[str, str]) -> list[str]:
    prepared = prepare_query(inventory, parse_query(pairs))
    statement = compile_shape(prepared.shape, database.dialect)
    parameters = [1 for _ in statement.parameters]
    return [str(step[3]) for step in await database.fetch(f"EXPLAIN QUERY PLAN {statement.sql}", parameters)]


@pytest.mark.parametrize("inventory", [BACKUP_STORAGE, IMAGE_STORE_BACKUP_STORAGE], ids=lambda one: one.name)
@pytest.mark.parametrize("condition", ["uuid=x", "uuid?=x,y", "name=x", "name?=x,y", "attachedZoneUuids=x"])
async def test_no_table_is_scanned(database: Database, inventory: Inventory, condition: str) -> None:
    steps = await plan(database, inventory, ("q", condition))
    assert not [step for step in steps if step.startswith("SCAN") and not OF_CONDITIONS.search(step)]


async def test_a_hostname_is_found_by_its_index(database: Database) -> None:
    steps = await plan(database, IMAGE_STORE_BACKUP_STORAGE, ("q", "hostname=x"))
    assert not [step for step in steps if step.startswith("SCAN") and "not_ascii" not in step]


@pytest.mark.parametrize("inventory", [BACKUP_STORAGE, IMAGE_STORE_BACKUP_STORAGE], ids=lambda one: one.name)
@pytest.mark.parametrize("sort", [[], [("sort", "-availableCapacity")], [("sort", "uuid")]], ids=str)
async def test_a_page_is_read_in_the_order_of_an_index(
    database: Database, inventory: Inventory, sort: list[tuple[str, str]]
) -> None:
    steps = await plan(database, inventory, ("q", "name~=%x%"), *sort)
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps
