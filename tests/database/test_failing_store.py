"""A store that fails: what is reported of it, what is kept, and that it works again by itself."""

from __future__ import annotations

import asyncio
import logging
import resource
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from new_database import new_database
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database import Database, StoreUnavailable, connections, health
from imagestore_sim.database.health import Side
from imagestore_sim.database.models import Zone
from sqlite_store import connections_of

DATES = {"createDate": datetime(2017, 11, 14, 22, 20, 57), "lastOpDate": datetime(2017, 11, 14, 22, 20, 57)}
SECRET = "s3cr3t" * 6


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return new_database(tmp_path)


@pytest.fixture
async def database(file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.6)
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.05)
    database = await Database.open(str(file))
    yield database
    await database.close()


async def _add(connection: AsyncConnection, uuid: str, name: str = "z") -> None:
    await connection.execute(insert(Zone).values(uuid=uuid, name=name, state="Enabled", type="zstack", **DATES))


async def _commit(database: Database, uuid: str, name: str = "z") -> None:
    async with database.transaction() as connection:
        await _add(connection, uuid, name)


async def _zones(database: Database) -> list[str]:
    return [uuid for (uuid,) in await database.read(select(Zone.uuid).order_by(Zone.uuid))]


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def _recovered(database: Database) -> None:
    await asyncio.wait_for(database.health.until_it_works(), 60)
    assert database.health.problem is None
    assert await database.check() is None


async def test_waiting_for_a_lock_is_bounded_for_all_writers_and_the_error_has_no_sql_or_values(
    database: Database, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with _locked(file):
        began = time.monotonic()
        changes = [_commit(database, str(number), SECRET) for number in range(30)]
        results = await asyncio.gather(*changes, return_exceptions=True)
        assert 0.5 < time.monotonic() - began < 9.0, "not one after another, for 0.6 s each"
        assert {type(result) for result in results} == {StoreUnavailable}
        assert {str(result) for result in results} == {
            f"{file}: cannot be written: the database is locked by another process (SQLITE_BUSY)"
        }
        assert await _zones(database) == [], "reads wait for no lock"
        assert await database.check() is not None
    await _recovered(database)
    await _commit(database, "after")
    assert await _zones(database) == ["after"]
    assert "INSERT" not in caplog.text
    assert SECRET not in caplog.text
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1, "a streak of failures is logged once"
    assert "again, after" in caplog.text


async def test_a_change_that_comes_while_the_lock_is_let_go_is_made(database: Database, file: Path) -> None:
    connections_of(database).busy_seconds = 60.0
    with _locked(file):
        change = asyncio.create_task(_commit(database, "a"))
        await asyncio.sleep(0.2)
        assert not change.done()
    await change
    assert await _zones(database) == ["a"]
    assert database.health.failures == 0


async def test_a_cancelled_writer_stops_waiting_for_the_lock(database: Database, file: Path) -> None:
    connections_of(database).busy_seconds = 60.0
    with _locked(file):
        change = asyncio.create_task(_commit(database, "a"))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        change.cancel()
        with pytest.raises(asyncio.CancelledError):
            await change
        assert time.monotonic() - began < 30
    await _commit(database, "b")
    assert await _zones(database) == ["b"]


async def test_a_full_disk_loses_nothing_and_is_over_when_there_is_room(database: Database, file: Path) -> None:
    await _commit(database, "before")
    async with database.transaction() as connection:
        pages = await connection.scalar(text("PRAGMA page_count"))
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match=r"cannot be written: the disk is full \(SQLITE_FULL\)"):
        await _commit(database, "full", "x" * 100_000)
    assert database.health.problem is not None
    assert await _zones(database) == ["before"]
    await _commit(database, "small")  # it still fits in a page
    async with database.transaction() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    await _recovered(database)
    await _commit(database, "after", "x" * 100_000)
    assert await _zones(database) == ["after", "before", "small"]


@contextmanager
def _no_file_longer_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_log_that_has_filled_the_disk_gives_its_room_back(database: Database, file: Path) -> None:
    log = file.with_name(f"{file.name}-wal")
    number = 0
    while log.stat().st_size < file.stat().st_size + 100_000:
        await _commit(database, str(number := number + 1))
    with _no_file_longer_than(log.stat().st_size):
        with pytest.raises(StoreUnavailable):
            await _commit(database, "no room", "x" * 20_000)
        await _recovered(database)
        await _commit(database, "there is room", "x" * 20_000)
    zones = await _zones(database)
    assert "there is room" in zones
    assert "no room" not in zones
    assert len(zones) == number + 1, "nothing that was acknowledged is lost"


async def test_a_change_that_must_be_stored_is_retried_even_if_the_checks_fail(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise StoreUnavailable("still")

    monkeypatch.setattr(database.health, "_check", fail)
    monkeypatch.setattr(health, "RETRY_SECONDS", 0.1)
    database.health.failed(Side.READ, "the check alone fails")
    await asyncio.wait_for(database.health.until_next_try(), 60)
    assert database.health.problem is not None, "the streak continues"


async def test_nothing_is_tried_again_without_a_pause_for_others(database: Database) -> None:
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "had a turn")
    await database.health.until_next_try()  # nothing is known to be wrong
    assert others == ["had a turn"]


async def test_what_tries_again_is_cancelled_even_in_the_moment_in_which_the_store_works(database: Database) -> None:
    """The `wait_for` of Python 3.11 takes the end of what it waits for, and loses the cancellation."""
    for turns in range(5):
        database.health.failed(Side.READ, "for a moment")
        trying = asyncio.ensure_future(database.health.until_next_try())
        await _turns(5)
        database.health.worked(Side.READ)
        await _turns(turns)
        came_in_time = trying.cancel()
        await asyncio.wait([trying], timeout=60)
        assert trying.cancelled() == came_in_time


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_nothing_is_tried_again_once_the_database_is_closed(database: Database) -> None:
    await database.close()
    with pytest.raises(StoreUnavailable, match="the database is closed"):
        await asyncio.wait_for(_written_in_the_end(database), 60)


async def _written_in_the_end(database: Database) -> None:
    while True:
        try:
            async with database.transaction():
                return
        except StoreUnavailable:
            await database.health.until_next_try()


@pytest.mark.parametrize("when", ["deleted", "replaced"])
async def test_nothing_is_acknowledged_that_would_be_lost_with_a_file_that_is_gone(
    database: Database, file: Path, when: str
) -> None:
    await _commit(database, "before")
    aside = file.with_name("aside")
    file.rename(aside)
    if when == "replaced":
        new_database(file.parent)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="the file was deleted, moved or replaced"):
            await _commit(database, "lost")
    assert await database.check() is not None
    aside.rename(file)
    await _recovered(database)
    await _commit(database, "after")
    assert await _zones(database) == ["after", "before"]


@pytest.mark.parametrize("suffixes", [("-wal",), ("-shm",), ("-wal", "-shm")])
async def test_a_log_that_is_deleted_while_it_is_in_use_costs_nothing(
    database: Database, file: Path, suffixes: tuple[str, ...]
) -> None:
    await _commit(database, "before")
    for suffix in suffixes:
        file.with_name(file.name + suffix).unlink()
    await _commit(database, "after")
    assert await _zones(database) == ["after", "before"]
    assert await database.fetch_few("SELECT count(*) FROM ZoneVO", ()) == [(2,)]
    killed = file.with_name("killed.db")  # what the files hold now is what a killed process leaves
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{file}{suffix}", f"{killed}{suffix}")
    with closing(sqlite3.connect(killed)) as other:
        assert other.execute("SELECT uuid FROM ZoneVO ORDER BY uuid").fetchall() == [("after",), ("before",)]
    await _recovered(database)


async def test_a_log_that_is_deleted_while_it_is_read_is_an_error(database: Database, file: Path) -> None:
    async with database.read_snapshot() as connection:
        assert (await connection.scalars(select(Zone.uuid))).all() == []
        await _commit(database, "before")
        file.with_name(f"{file.name}-wal").unlink()
        with pytest.raises(StoreUnavailable, match="is still being read"):
            await _commit(database, "lost")
    await _recovered(database)
    await _commit(database, "after")
    assert await _zones(database) == ["after", "before"]


async def _break_writer(database: Database) -> None:
    lane = await connections_of(database).writer.get()
    await lane.driver.close()


async def _break_reader(database: Database) -> None:
    opened = connections_of(database)
    for kept in (opened.reader, opened.raw_reader):
        lane = await kept.get()
        await lane.driver.close()
    assert opened.quick_reader is not None
    opened.quick_reader.close()


async def test_a_connection_that_breaks_is_opened_again(database: Database) -> None:
    await _break_writer(database)
    with pytest.raises(StoreUnavailable):
        await _commit(database, "a")
    await _commit(database, "b")
    await _break_reader(database)
    for read in (_zones(database), database.fetch("SELECT 1", ())):
        with pytest.raises(StoreUnavailable):
            await read
    assert await database.fetch_few("SELECT uuid FROM ZoneVO", ()) == [("b",)]
    assert await _zones(database) == ["b"]
    await _recovered(database)
    assert await database.fetch_few("SELECT uuid FROM ZoneVO", ()) == [("b",)]


async def test_an_error_of_a_statement_has_neither_sql_nor_values(database: Database) -> None:
    await _commit(database, "a", SECRET)
    with pytest.raises(IntegrityError) as taken:
        await _commit(database, "a", SECRET)
    assert str(taken.value) == "(sqlite3.IntegrityError) UNIQUE constraint failed: ZoneVO.uuid"
    with pytest.raises(OperationalError) as unknown:
        await database.read(select(text("nosuch()")).where(Zone.name == SECRET))
    assert "SELECT" not in str(unknown.value)
    assert SECRET not in str(unknown.value)
    assert database.health.failures == 0, "a statement's own error is not a failure of the store"


async def test_tables_that_another_program_has_changed_are_named(database: Database, file: Path) -> None:
    await _commit(database, "a")
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA legacy_alter_table = ON")
        other.execute("ALTER TABLE ZoneVO RENAME TO elsewhere")
    gone = "its tables are not those of this version: no such table: ZoneVO"
    for use in (lambda: _zones(database), lambda: database.fetch_few("SELECT uuid FROM ZoneVO", ())):
        with pytest.raises(StoreUnavailable, match=f"cannot be read: {gone}"):
            await use()
    with pytest.raises(StoreUnavailable, match=f"cannot be written: {gone}"):
        await _commit(database, "b")
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA legacy_alter_table = ON")
        other.execute("ALTER TABLE elsewhere RENAME TO ZoneVO")
        other.execute("ALTER TABLE ZoneVO RENAME COLUMN state TO elsewhere")
    with pytest.raises(StoreUnavailable, match=r"cannot be written: .* no column named state"):
        await _commit(database, "b")
    assert await _zones(database) == ["a"]


async def test_writes_of_a_task_in_atomic_are_one_transaction(database: Database) -> None:
    followed: list[str] = []
    revision = database.revision
    async with database.atomic():
        await _commit(database, "a")
        async with database.atomic():
            await _commit(database, "b")
        database.defer(lambda: followed.append("committed"))
        assert await _zones(database) == ["a", "b"], "it sees what it has written itself"
        assert await database.fetch_few("SELECT count(*) FROM ZoneVO", ()) == [(2,)]
        assert await asyncio.create_task(_zones(database)) == [], "no other task sees it"
        assert followed == []
    assert (followed, database.revision) == (["committed"], revision + 1)
    assert await _zones(database) == ["a", "b"]


@pytest.mark.parametrize("caught", [False, True])
async def test_a_failed_atomic_change_leaves_nothing(database: Database, caught: bool) -> None:
    followed: list[str] = []

    async def change() -> None:
        async with database.atomic():
            await _commit(database, "a")
            database.defer(lambda: followed.append("committed"))
            try:
                await _commit(database, "a")
            except IntegrityError:
                if not caught:
                    raise

    with pytest.raises(RuntimeError if caught else IntegrityError):
        await change()
    assert await _zones(database) == []
    assert followed == []
    await _commit(database, "b")
    assert await _zones(database) == ["b"]


async def test_other_tasks_do_not_join_an_atomic_change(database: Database) -> None:
    async with database.atomic():
        await _commit(database, "a")
        other = asyncio.create_task(_commit(database, "b"))
        await asyncio.sleep(0.01)
        assert not other.done()
    await other
    assert await _zones(database) == ["a", "b"]


async def test_a_moment_stays_as_it_was_while_others_write(database: Database) -> None:
    async with database.read_snapshot() as connection:
        assert (await connection.scalars(select(Zone.uuid))).all() == []
        await _commit(database, "a")
        assert (await connection.scalars(select(Zone.uuid))).all() == []
    assert await _zones(database) == ["a"]
