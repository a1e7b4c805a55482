"""Copies of texts in memory: what they leave out, and that no answer is older than the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import bindparam, delete, insert, update

from imagestore_sim.at_once import run_at_once
from imagestore_sim.database import Database
from imagestore_sim.database.models import BackupStorage, ImageStoreBackupStorage
from imagestore_sim.query import BACKUP_STORAGE, IMAGE_STORE_BACKUP_STORAGE, Inventory, QueryEngine, register_functions
from imagestore_sim.query.collation import fold
from imagestore_sim.query.conditions import parse_query
from imagestore_sim.query.text_index import ASKED_BEFORE, FEWEST_ROWS, MOST_CANDIDATES, longest_part
from rows import rows

STORAGES = FEWEST_ROWS + 200
DATES = {"createDate": datetime(2017, 11, 14, 22, 20, 57), "lastOpDate": datetime(2017, 11, 14, 22, 20, 57)}
FIXED = {"url": "/zs", "type": "ImageStoreBackupStorage", "state": "Enabled", "status": "Connected", **DATES}


def name_of(number: int) -> str:
    return f"Archive-{number}-é" if number % 100 == 7 else f"archive-{number}"


class Lab:
    """Storages in a database file, an engine over them, and what the database was asked."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.engine = QueryEngine(database, write_date=str)
        self.asked: list[str] = []
        fetch_soon = database.fetch_soon

        async def noting(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
            self.asked.append(sql)
            return await fetch_soon(sql, parameters)

        monkeypatch.setattr(database, "fetch_soon", noting)

    async def add(self, number: int, name: str) -> None:
        await self._add([{"uuid": f"{number:032x}", "name": name, **FIXED}])

    async def _add(self, storages: list[dict[str, Any]]) -> None:
        hosts = [
            {"uuid": one["uuid"], "hostname": f"host-{int(one['uuid'], 16)}", "username": "", "password": ""}
            for one in storages
        ]
        async with self.database.transaction() as connection:
            await connection.execute(insert(BackupStorage), storages)
            await connection.execute(insert(ImageStoreBackupStorage), hosts)

    async def fill(self) -> None:
        await self._add([{"uuid": f"{one:032x}", "name": name_of(one), **FIXED} for one in range(STORAGES)])

    async def find(
        self, condition: str, *others: tuple[str, str], inventory: Inventory = IMAGE_STORE_BACKUP_STORAGE
    ) -> list[int]:
        found = await self.engine.run(inventory, parse_query([("q", condition), *others]))
        return [int(str(row["uuid"]), 16) for row in found.rows or ()]

    async def find_until_copied(self, condition: str, **options: Any) -> list[int]:
        """Ask until the texts are copied; return the last answer, which is the same as those before."""
        answers = [await self.find(condition, **options) for _ in range(ASKED_BEFORE + 2)]
        assert answers == [answers[0]] * len(answers)
        assert self.uses_copy
        return answers[0]

    @property
    def uses_copy(self) -> bool:
        """Whether the last read tested only some rows."""
        return "json_each" in self.asked[-1]


@pytest_asyncio.fixture
async def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    database = await Database.open(str(tmp_path / "texts.db"), prepare=register_functions)
    lab = Lab(database, monkeypatch)
    await lab.fill()
    yield lab
    await database.close()


@rows(
    ("pattern", "part"),
    [
        ("%-1234%", "-1234"),
        ("%ab_cde%", "CDE"),
        (r"a\%b%", "A%B"),
        (r"\\\_x%", r"\_X"),
        ("%_%", ""),
        ("%\n.%", "\n."),
    ],
)
def test_the_longest_part_without_wildcards(pattern: str, part: str) -> None:
    assert longest_part(fold(pattern)) == part


@pytest.mark.parametrize("inventory", [BACKUP_STORAGE, IMAGE_STORE_BACKUP_STORAGE], ids=lambda one: one.name)
async def test_a_copy_finds_what_sql_finds(lab: Lab, inventory: Inventory) -> None:
    expected = {"%-110%": [110, *range(1100, 1110)], "%E-77": [77], "%-_07-É": list(range(107, 1000, 100))}
    expected |= {r"%\_%": [], "archive-77": [77], "%nothing%": []}
    await lab.find_until_copied("name~=%-1100", inventory=inventory)
    for pattern, numbers in expected.items():
        assert await lab.find(f"name~={pattern}", inventory=inventory) == numbers
        assert lab.uses_copy


async def test_a_copy_finds_a_nul(lab: Lab) -> None:
    await lab.add(STORAGES, "archive-\0-1")
    assert await lab.find_until_copied("name~=%-\0-%") == [STORAGES]
    assert await lab.find("name~=%\\\0-2") == []
    assert lab.uses_copy


async def test_questions_that_are_asked_at_once_have_the_texts_copied_as_others_do(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagestore_sim.database.reader.SHORT_SECONDS", 60.0)  # on a busy machine
    query = parse_query([("q", "name~=%-1100")])
    await lab.database.fetch_few("SELECT 1", ())  # opens the connection of the event loop
    at_once = [run_at_once(lab.engine.run(IMAGE_STORE_BACKUP_STORAGE, query)) for _ in range(2 * ASKED_BEFORE)]
    assert [one is not None for one in at_once] == [True] * ASKED_BEFORE + [False] * ASKED_BEFORE
    assert await lab.find("name~=%-1100") == [1100]
    assert lab.uses_copy
    copied, before = run_at_once(lab.engine.run(IMAGE_STORE_BACKUP_STORAGE, query)), at_once[0]
    assert copied is not None
    assert before is not None
    assert copied.rows == before.rows


async def test_a_page_of_a_copy_is_sorted_and_counted(lab: Lab) -> None:
    await lab.find_until_copied("name~=%-110%")
    page = await lab.find("name~=%-110%", ("sort", "-name"), ("limit", "3"), ("start", "1"))
    assert page == [1108, 1107, 1106]
    query = parse_query([("q", "name~=%-110%"), ("replyWithCount", "true"), ("limit", "2")])
    assert (await lab.engine.run(IMAGE_STORE_BACKUP_STORAGE, query)).total == 11


async def test_hostnames_are_copied_as_well(lab: Lab) -> None:
    assert await lab.find_until_copied("hostname~=%-110") == [110]


async def test_what_matches_many_rows_is_left_to_sql(lab: Lab) -> None:
    await lab.find_until_copied("name~=%-1100")
    assert len(await lab.find("name~=%archive%")) == 1000 > MOST_CANDIDATES
    assert not lab.uses_copy


async def test_a_change_of_a_name_is_in_the_next_answer(lab: Lab) -> None:
    assert await lab.find_until_copied("name~=%-1100") == [1100]
    async with lab.database.transaction() as connection:
        await connection.execute(update(BackupStorage).where(BackupStorage.uuid == f"{5:032x}").values(name="x-1100"))
    assert await lab.find_until_copied("name~=%-1100") == [5, 1100]
    await lab.add(5000, "new-1100")
    assert await lab.find_until_copied("name~=%-1100") == [5, 1100, 5000]
    async with lab.database.transaction() as connection:
        await connection.execute(delete(BackupStorage).where(BackupStorage.uuid == f"{1100:032x}"))
    assert await lab.find_until_copied("name~=%-1100") == [5, 5000]
    await lab.database.change(lambda changes: changes.write(RENAME, {"number": f"{6:032x}", "name": "y-1100"}))
    assert await lab.find_until_copied("name~=%-1100") == [5, 6, 5000]


RENAME = update(BackupStorage).where(BackupStorage.uuid == bindparam("number"))


async def test_a_change_that_is_no_name_keeps_the_copy(lab: Lab) -> None:
    await lab.find_until_copied("name~=%-1100")
    async with lab.database.transaction() as connection:
        await connection.execute(update(BackupStorage).values(availableCapacity=5, status="Disconnected"))
    assert await lab.find("name~=%-1100") == [1100]
    assert lab.uses_copy
    assert await lab.find("name~=%-1100", ("q", "status=Connected")) == []


async def test_a_change_that_is_undone_changes_no_answer(lab: Lab) -> None:
    await lab.find_until_copied("name~=%-1100")

    async def rename_and_fail() -> None:
        async with lab.database.transaction() as connection:
            await connection.execute(update(BackupStorage).values(name="x"))
            assert await lab.find("name~=%-1100") == [1100]  # of what is committed
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        await rename_and_fail()
    assert await lab.find_until_copied("name~=%-1100") == [1100]


async def test_a_task_finds_what_it_has_written_itself(lab: Lab) -> None:
    await lab.find_until_copied("name~=%-1100")
    async with lab.database.atomic():
        async with lab.database.transaction() as connection:
            row = update(BackupStorage).where(BackupStorage.uuid == f"{5:032x}")
            await connection.execute(row.values(name="x-1100"))
        assert await lab.find("name~=%-1100") == [5, 1100]
        assert await asyncio.create_task(lab.find("name~=%-1100")) == [1100]
    assert await lab.find("name~=%-1100") == [5, 1100]


async def test_an_older_state_is_read_without_a_copy(lab: Lab) -> None:
    async with lab.database.read_snapshot() as snapshot:
        await snapshot.exec_driver_sql("SELECT 1 FROM BackupStorageVO LIMIT 1")
        async with lab.database.transaction() as connection:
            await connection.execute(update(BackupStorage).values(name="gone"))
        await lab.find_until_copied("name~=%-1100")
        with lab.database.reading_from(snapshot):
            assert await lab.find("name~=%-1100") == [1100]


async def test_a_commit_during_the_read_is_not_half_seen(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two storages swap their names between the look into the copy and the read of their rows."""
    await lab.find_until_copied("name~=%-1100")
    fetch_soon = lab.database.fetch_soon

    async def after_a_swap(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        monkeypatch.setattr(lab.database, "fetch_soon", fetch_soon)
        async with lab.database.transaction() as connection:
            for number, name in ((1100, "other"), (5, "archive-1100")):
                row = update(BackupStorage).where(BackupStorage.uuid == f"{number:032x}")
                await connection.execute(row.values(name=name))
        return await fetch_soon(sql, parameters)

    monkeypatch.setattr(lab.database, "fetch_soon", after_a_swap)
    assert await lab.find("name~=%-1100") == [5]
