"""The engine: what a transaction keeps, what a read sees, and what cancelling either leaves behind."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime
from pathlib import Path

import pytest
from new_database import new_database
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.models import (
    Account,
    BackupStorage,
    BackupStorageZoneRef,
    CapacityHistory,
    Event,
    Image,
    ImageBackupStorageRef,
    ImageStoreBackupStorage,
    Model,
    Session,
    SftpBackupStorage,
    SshHost,
    Zone,
)
from processes import child

DATES = {"createDate": datetime(2017, 11, 14, 22, 20, 57), "lastOpDate": datetime(2017, 11, 14, 22, 20, 57)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return new_database(tmp_path)


class Gate:
    """An SQL function, `hold()`, that keeps its statement in the connection's thread until it is released."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self._go_on = threading.Event()
        self._loop = asyncio.get_running_loop()

    def hold(self) -> int:
        self._loop.call_soon_threadsafe(self.entered.set)
        self._go_on.wait(60)
        return 1

    def open(self) -> None:
        self._go_on.set()


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.fixture
async def database(file: Path, gate: Gate) -> AsyncIterator[Database]:
    database = await Database.open(str(file), prepare=lambda raw: raw.create_function("hold", 0, gate.hold))
    yield database
    await database.close()


async def _add_zone(connection: AsyncConnection, uuid: str) -> None:
    await connection.execute(insert(Zone).values(uuid=uuid, name=uuid, state="Enabled", type="zstack", **DATES))


async def _add_storage(connection: AsyncConnection, uuid: str) -> None:
    await connection.execute(
        insert(BackupStorage).values(
            uuid=uuid, name=uuid, url="/zs", type="t", state="Enabled", status="Connected", **DATES
        )
    )


async def _add_host(connection: AsyncConnection, table: type[SshHost], uuid: str, hostname: str, port: int) -> None:
    await _add_storage(connection, uuid)
    host = {"uuid": uuid, "hostname": hostname, "username": "root", "password": "token", "sshPort": port}
    await connection.execute(insert(table).values(**host))


async def _zones(database: Database) -> list[str]:
    return [uuid for (uuid,) in await database.read(select(Zone.uuid).order_by(Zone.uuid))]


async def _commit_zone(database: Database, uuid: str) -> None:
    async with database.transaction() as connection:
        await _add_zone(connection, uuid)


async def _pragma_of_writer(database: Database, name: str) -> object:
    async with database.transaction() as connection:
        return (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()


async def _pragma_of_reader(database: Database, name: str) -> object:
    [(value,)] = await database.fetch(f"PRAGMA {name}", ())
    return value


@pytest.mark.parametrize(
    ("pragma", "writer", "reader"),
    [
        ("journal_mode", "wal", "wal"),
        ("synchronous", 1, 1),
        ("foreign_keys", 1, 1),
        ("busy_timeout", 0, 10_000),  # the writer waits in slices, so that who is cancelled waits no longer
        ("query_only", 0, 1),
    ],
)
async def test_both_connections_are_set_up(database: Database, pragma: str, writer: object, reader: object) -> None:
    assert await _pragma_of_writer(database, pragma) == writer
    assert await _pragma_of_reader(database, pragma) == reader


async def test_the_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StoreUnavailable, match="read-only"):
        await database.fetch("DELETE FROM ZoneVO", ())


async def test_read_and_fetch_see_what_was_committed_and_nothing_before(database: Database) -> None:
    async with database.transaction() as connection:
        await _add_zone(connection, "a")
        assert await database.read(select(Zone.uuid)) == []
        assert await database.fetch("SELECT uuid FROM ZoneVO", ()) == []
    assert await database.read(select(Zone.uuid)) == [("a",)]
    assert await database.fetch("SELECT uuid FROM ZoneVO WHERE name = ?", ("a",)) == [("a",)]


async def test_a_quick_read_sees_what_was_committed_and_waits_for_nothing(database: Database) -> None:
    async with database.transaction() as connection:
        await _add_zone(connection, "a")
        assert await database.fetch_few("SELECT uuid FROM ZoneVO", ()) == []
    reading = database.fetch_few("SELECT uuid FROM ZoneVO WHERE name = ?", ("a",))
    with pytest.raises(StopIteration) as ended:
        reading.send(None)
    assert ended.value.value == [("a",)]


async def test_a_quick_read_writes_nothing(database: Database) -> None:
    with pytest.raises(StoreUnavailable, match="read-only"):
        await database.fetch_few("DELETE FROM ZoneVO", ())


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT max(i) FROM n"


async def test_a_short_read_waits_for_nothing_and_a_long_one_goes_to_a_thread(database: Database) -> None:
    with pytest.raises(StopIteration) as ended:
        database.fetch_soon(NUMBERS, (10,)).send(None)
    assert ended.value.value == [(10,)]
    many = 200_000
    assert await database.fetch_soon(NUMBERS, (many,)) == [(many,)]
    assert await database.fetch_soon(NUMBERS, (10,)) == [(10,)]
    assert await database.fetch_few(NUMBERS, (many,)) == [(many,)]  # of the same connection, without a limit


async def test_a_short_read_of_the_task_that_writes_sees_what_it_has_written(database: Database) -> None:
    async with database.atomic():
        async with database.transaction() as connection:
            await _add_zone(connection, "a")
        assert await database.fetch_soon("SELECT uuid FROM ZoneVO", ()) == [("a",)]


async def test_a_date_is_stored_as_text_that_sorts(database: Database) -> None:
    await _commit_zone(database, "a")
    assert await database.fetch("SELECT createDate FROM ZoneVO", ()) == [("2017-11-14 22:20:57",)]
    assert await database.read(select(Zone.createDate)) == [(DATES["createDate"],)]


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError(), KeyboardInterrupt()])
async def test_an_exception_rolls_back_and_the_next_transaction_works(database: Database, error: BaseException) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await _add_zone(connection, "a")
            raise error

    with pytest.raises(type(error)):
        await fail()
    await _commit_zone(database, "b")
    assert await _zones(database) == ["b"]


async def test_a_refused_statement_that_is_caught_does_not_spoil_its_transaction(database: Database) -> None:
    async with database.transaction() as connection:
        await _add_zone(connection, "a")
        with pytest.raises(IntegrityError):
            await _add_zone(connection, "a")
        await _add_zone(connection, "b")
    assert await _zones(database) == ["a", "b"]


async def test_concurrent_transactions_come_one_after_another(database: Database) -> None:
    async def add_next() -> None:
        async with database.transaction() as connection:
            count = (await connection.execute(select(func.count()).select_from(Zone))).scalar_one()
            await asyncio.sleep(0)
            await _add_zone(connection, f"{count:02}")

    await asyncio.gather(*(add_next() for _ in range(20)))
    assert await _zones(database) == [f"{number:02}" for number in range(20)]


async def test_reads_may_be_concurrent_with_each_other_and_with_a_transaction(database: Database) -> None:
    async with database.transaction() as connection:
        await _add_zone(connection, "a")
        reads = [database.read(select(Zone.uuid)) for _ in range(10)]
        fetches = [database.fetch("SELECT uuid FROM ZoneVO", ()) for _ in range(10)]
        assert [list(rows) for rows in await asyncio.gather(*reads, *fetches)] == [[]] * 20


async def test_the_revision_goes_up_by_one_with_each_committed_transaction(database: Database) -> None:
    assert database.revision == 0
    for revision in (1, 2):
        await _commit_zone(database, str(revision))
        assert database.revision == revision
    with pytest.raises(ValueError, match="no"):
        async with database.transaction():
            raise ValueError("no")
    await database.read(select(Zone.uuid))
    assert database.revision == 2


@pytest.mark.parametrize("table", [ImageStoreBackupStorage, SftpBackupStorage])
async def test_a_hostname_is_unique_whatever_its_port(database: Database, table: type[SshHost]) -> None:
    async with database.transaction() as connection:
        await _add_host(connection, table, "a", "10.0.0.1", 22)
        await _add_host(connection, table, "b", "10.0.0.2", 22)
    with pytest.raises(IntegrityError, match="hostname"):
        async with database.transaction() as connection:
            await _add_host(connection, table, "c", "10.0.0.1", 2222)
    assert await database.read(select(BackupStorage.uuid).order_by(BackupStorage.uuid)) == [("a",), ("b",)]


async def test_a_row_cannot_refer_to_one_that_is_not_there(database: Database) -> None:
    session = insert(Session).values(uuid="s", accountUuid="nosuch", userUuid="u", expiredDate=1, createDate=1)
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        async with database.transaction() as connection:
            await connection.execute(session)


async def _fill(connection: AsyncConnection) -> None:
    await _add_host(connection, ImageStoreBackupStorage, "storage", "10.0.0.1", 22)
    await _add_zone(connection, "zone")
    ref = {"backupStorageUuid": "storage", "zoneUuid": "zone"}
    await connection.execute(insert(BackupStorageZoneRef).values(**ref, **DATES))
    await connection.execute(insert(Image).values(uuid="image", name="i", state="Enabled", status="Ready", **DATES))
    lies = {"imageUuid": "image", "backupStorageUuid": "storage", "installPath": "zstore://i", "status": "Ready"}
    await connection.execute(insert(ImageBackupStorageRef).values(**lies, **DATES))
    capacity = {"backupStorageUuid": "storage", "time": 1, "totalCapacity": 1, "availableCapacity": 1}
    await connection.execute(insert(CapacityHistory).values(**capacity))
    await connection.execute(insert(Event).values(time=1, path="/p", resourceUuid="storage", content="{}"))
    await connection.execute(insert(Account).values(uuid="account", name="n", password="p", type="Normal", **DATES))
    session = {"uuid": "session", "accountUuid": "account", "userUuid": "u", "expiredDate": 1, "createDate": 1}
    await connection.execute(insert(Session).values(**session))


@pytest.mark.parametrize(
    ("table", "gone"),
    [
        (
            BackupStorage,
            {BackupStorage, ImageStoreBackupStorage, BackupStorageZoneRef, ImageBackupStorageRef, CapacityHistory},
        ),
        (Zone, {Zone, BackupStorageZoneRef}),
        (Image, {Image, ImageBackupStorageRef}),
        (Account, {Account, Session}),
        (Event, {Event}),
    ],
)
async def test_dependent_rows_are_deleted_with_their_row(
    database: Database, table: type[Model], gone: set[type[Model]]
) -> None:
    async with database.transaction() as connection:
        await _fill(connection)
    filled = [table for table in Model.__subclasses__() if await _count(database, table)]
    async with database.transaction() as connection:
        await connection.execute(delete(table))
    assert {table for table in filled if not await _count(database, table)} == gone


async def _count(database: Database, table: type[Model]) -> int:
    [(count,)] = await database.read(select(func.count()).select_from(table))
    return count


async def _read(database: Database) -> None:
    await database.read(select(func.hold()))


async def _fetch(database: Database) -> None:
    await database.fetch("SELECT hold()", ())


async def _change(database: Database) -> None:
    async with database.transaction() as connection:
        await _add_zone(connection, "half")
        await connection.execute(select(func.hold()))


@pytest.mark.parametrize("work", [_read, _fetch, _change])
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_call_that_is_cancelled_leaves_nothing_behind(
    database: Database, gate: Gate, work: Callable[[Database], Coroutine[object, object, None]], times: int
) -> None:
    task = asyncio.create_task(work(database))
    await gate.entered.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The task, and all that its traceback holds, is still there: nothing may hang on its being collected.
    await asyncio.wait_for(_commit_zone(database, "next"), 60)
    assert await _zones(database) == ["next"]
    assert await database.fetch("SELECT uuid FROM ZoneVO", ()) == [("next",)]
    assert await _pragma_of_writer(database, "foreign_keys") == 1
    assert await _pragma_of_reader(database, "query_only") == 1


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_commit_goes_through_however_often_it_is_cancelled(database: Database, times: int) -> None:
    async def commit() -> None:
        async with database.transaction() as connection:
            await _add_zone(connection, "a")
            begun.set()

    begun = asyncio.Event()
    task = asyncio.create_task(commit())
    await begun.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert database.revision == 1
    assert await _zones(database) == ["a"]


async def test_functions_are_registered_on_every_connection(file: Path) -> None:
    def prepare(connection: sqlite3.Connection) -> None:
        connection.create_function("twice", 1, lambda number: 2 * number)

    database = await Database.open(str(file), prepare=prepare)
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql("SELECT twice(1)")).scalar_one() == 2
    assert await database.fetch("SELECT twice(?)", (2,)) == [(4,)]
    assert await database.fetch_few("SELECT twice(?)", (5,)) == [(10,)]
    assert await database.read(select(func.twice(3))) == [(6,)]
    await database.close()


@pytest.mark.plain_loop
async def test_a_clean_close_leaves_one_whole_file_and_no_thread(file: Path) -> None:
    before = set(threading.enumerate())
    database = await Database.open(str(file))
    await _commit_zone(database, "a")
    await database.close()
    await database.close()
    assert {path.name for path in file.parent.iterdir()} == {"node.db", "node.db.lock"}
    left = [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio")]
    for thread in left:
        thread.join(60)
    assert not any(thread.is_alive() for thread in left)


async def test_close_waits_for_the_transaction_that_runs(file: Path) -> None:
    database = await Database.open(str(file))
    async with database.transaction() as connection:
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0.01)
        await _add_zone(connection, "a")
    await closing
    database = await Database.open(str(file))
    assert await _zones(database) == ["a"]
    await database.close()


async def test_a_closed_database_stays_closed(file: Path) -> None:
    database = await Database.open(str(file))
    await database.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await database.read(select(Zone.uuid))
    with pytest.raises(StoreUnavailable, match="closed"):
        await database.fetch("SELECT 1", ())
    with pytest.raises(StoreUnavailable, match="closed"):
        await _commit_zone(database, "a")


async def test_an_open_that_is_cancelled_leaves_the_file_free(file: Path) -> None:
    for steps in range(12):
        task = asyncio.create_task(Database.open(str(file)))
        for _ in range(steps):
            await asyncio.sleep(0.001)
        task.cancel()
        opened = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(opened, Database):
            await opened.close()
    database = await Database.open(str(file))
    await _commit_zone(database, "a")
    await database.close()


@pytest.mark.plain_loop
async def test_an_open_that_is_cancelled_waits_for_the_thread_that_makes_its_files(file: Path) -> None:
    """Else they appear later, in a folder that is being removed: a story's of the real clock, after Ctrl-C."""

    def prepare(_: sqlite3.Connection) -> None:
        entered.set()
        leave.wait(60)

    entered, leave = threading.Event(), threading.Event()
    task = asyncio.create_task(Database.open(str(file), prepare=prepare))
    await asyncio.to_thread(entered.wait, 60)
    task.cancel()
    await asyncio.wait([task], timeout=0.05)
    assert not task.done()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {path.name for path in file.parent.iterdir()} <= {"node.db", "node.db.lock"}


async def _run(script: str, file: Path) -> int:
    """Run a script over the database in a process, and return its exit status."""
    async with child(sys.executable, "-c", script, str(file), stderr=subprocess.DEVNULL) as process:
        return await asyncio.wait_for(process.wait(), 90)


KILLED = """
import asyncio, os, signal, sys
from sqlalchemy import text
from imagestore_sim.database import Database

async def main():
    database = await Database.open(sys.argv[1])
    for uuid in ("committed", "half"):
        async with database.transaction() as connection:
            zone = "INSERT INTO ZoneVO VALUES (:uuid, 'z', NULL, 'Enabled', 'zstack', 0, :date, :date)"
            await connection.execute(text(zone), {"uuid": uuid, "date": "2017-11-14 22:20:57"})
            if uuid == "half":
                os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.processes
async def test_kill_9_loses_nothing_that_was_committed_and_keeps_nothing_by_halves(file: Path) -> None:
    assert await _run(KILLED, file) == -signal.SIGKILL
    assert file.with_name("node.db-wal").stat().st_size > 0
    database = await Database.open(str(file))
    assert await _zones(database) == ["committed"]
    await database.close()


FORGETFUL = """
import asyncio, sys
from imagestore_sim.database import Database

async def main():
    database = await Database.open(sys.argv[1])
    raise SystemExit(3)

asyncio.run(main())
"""


@pytest.mark.processes
async def test_a_process_that_does_not_close_its_database_ends_all_the_same(file: Path) -> None:
    assert await _run(FORGETFUL, file) == 3


async def test_a_fetch_sees_what_was_committed_while_a_read_was_under_way(database: Database, gate: Gate) -> None:
    for uuid in ("a", "b"):
        await _commit_zone(database, uuid)
    # A statement with rows to come holds its connection to what there was when it began.
    read = asyncio.create_task(database.read(select(Zone.uuid, func.hold())))
    await gate.entered.wait()
    await _commit_zone(database, "c")
    fetch = asyncio.create_task(database.fetch("SELECT count(*) FROM ZoneVO", ()))
    await asyncio.sleep(0)
    gate.open()
    assert await fetch == [(3,)]
    await read
