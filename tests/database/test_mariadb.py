"""A MariaDB as the store: what nodes that share it see of each other, and what its failures leave behind."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest
from asyncmy.errors import OperationalError, ProgrammingError
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.bootstrap import BootstrapError
from imagestore_sim.cluster.rows import MemberRows
from imagestore_sim.database import Database, DatabaseError, StoreConflict, StoreUnavailable
from imagestore_sim.database.errors import describe, is_conflict, reason_of
from imagestore_sim.database.mariadb import session
from imagestore_sim.database.mariadb.backend import MariaDbBackend
from imagestore_sim.database.mariadb.connections import OpenConnection
from imagestore_sim.database.mariadb.reasons import mariadb_text
from imagestore_sim.database.migrations import upgrade
from imagestore_sim.database.models import Zone
from imagestore_sim.database.read_only import open_read_only
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from imagestore_sim.virtual_clock import run_virtually, virtual_clock
from mariadb_server import PASSWORD, VAULT_KEY, GaleraCluster, MariaDbServer, full_disk
from rows import rows

pytestmark = [pytest.mark.mariadb, pytest.mark.plain_loop]

DATES = {"createDate": datetime(2017, 11, 14, 22, 20, 57), "lastOpDate": datetime(2017, 11, 14, 22, 20, 57)}
BOUND = 120.0
OTHER_KEY = "YW5vdGhlci1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dCE="
ROWS = 200
"""Rows of a transaction that needs room."""
SHAPE = (
    "SELECT table_name, column_name, column_type, is_nullable, character_set_name, collation_name, column_key, extra"
    " FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY 1, 2;"
    "SELECT table_name, column_name, non_unique, GROUP_CONCAT(seq_in_index ORDER BY seq_in_index)"
    " FROM information_schema.statistics WHERE table_schema = DATABASE() GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)


def _new(server: MariaDbServer) -> str:
    return server.new_database(f"t{uuid4().hex[:12]}")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as to_close:
        yield to_close


async def _open(stack: AsyncExitStack, url: str) -> Database:
    database = await Database.open(url)
    stack.push_async_callback(database.close)
    return database


@pytest.fixture
async def database(stack: AsyncExitStack, mariadb_server: MariaDbServer) -> Database:
    return await _open(stack, _new(mariadb_server))


async def _insert(connection: AsyncConnection, name: str) -> None:
    await connection.execute(insert(Zone).values(uuid=name, name=name, state="Enabled", type="zstack", **DATES))


async def _add(database: Database, name: str) -> None:
    async with database.transaction() as connection:
        await _insert(connection, name)


async def _rename(database: Database, uuid: str, name: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(update(Zone).where(Zone.uuid == uuid).values(name=name))


async def _names(database: Database) -> list[str]:
    return [name for (name,) in await database.read(select(Zone.name).order_by(Zone.name))]


# Nodes that share it


async def test_nodes_that_start_at_once_make_the_tables_once(
    stack: AsyncExitStack, mariadb_server: MariaDbServer
) -> None:
    url = _new(mariadb_server)
    opened = await asyncio.gather(*(_open(stack, url) for _ in range(3)))
    await _add(opened[0], "a")
    assert [await _names(one) for one in opened] == [["a"]] * 3
    assert mariadb_server.sql("SELECT COUNT(*) FROM alembic_version", url.rpartition("/")[2]) == "1"


class _Interrupted:
    """A connection on which something else comes after the first statement."""

    def __init__(self, connection: AsyncConnection, interruption: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._interruption: Callable[[], Awaitable[None]] | None = interruption

    async def execute(self, statement: Any) -> Any:
        result, interruption = await self._connection.execute(statement), self._interruption
        self._interruption = None
        if interruption is not None:
            await interruption()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def test_of_two_first_nodes_at_once_one_raises_the_epoch_of_the_other(
    stack: AsyncExitStack, mariadb_server: MariaDbServer
) -> None:
    url, members = _new(mariadb_server), MemberRows()
    first, second = [await _open(stack, url) for _ in range(2)]

    async def raise_first() -> None:
        async with first.transaction() as connection:
            assert await members.raise_epoch(connection) == 1

    async with second.transaction() as connection:
        late: Any = _Interrupted(connection, raise_first)
        assert await members.raise_epoch(late) == 2


async def test_the_tables_are_those_that_the_migrations_make(mariadb_server: MariaDbServer) -> None:
    made, migrated = _new(mariadb_server), _new(mariadb_server)
    await (await Database.open(made)).close()
    backend = MariaDbBackend((await _closed(migrated)), _no_health())
    async with backend.connections.engine.connect() as connection:
        await connection.run_sync(upgrade)
    await backend.connections.close()
    shapes = [mariadb_server.sql(SHAPE, url.rpartition("/")[2]) for url in (made, migrated)]
    ours = [[line for line in shape.split("\n") if not line.startswith("Store")] for shape in shapes]
    assert sorted(set(ours[0]) ^ set(ours[1])) == []


async def _closed(url: str) -> Any:
    from imagestore_sim.database.location import url_of
    from imagestore_sim.database.mariadb import ddl  # noqa: F401 - how tables are made

    return url_of(url)


def _no_health() -> Any:
    from imagestore_sim.database.health import Health

    async def check() -> None:
        pass

    return Health("a test's", check)


async def test_the_revision_grows_with_the_changes_of_every_node(stack: AsyncExitStack, database: Database) -> None:
    first, second = database, await _open(stack, _url_of(database))
    seen = [await second.current_revision()]
    for number in range(3):
        await _add(first if number % 2 else second, f"z{number}")
        seen.append(await second.current_revision())
        assert seen[-1] == await first.current_revision()
    assert seen == sorted(set(seen))
    async with first.transaction(quiet=True) as connection:
        await connection.execute(delete(Zone))
    assert await second.current_revision() == seen[-1]
    await second.close()
    assert await first.current_revision() == seen[-1]


def _url_of(database: Database) -> str:
    assert isinstance(database._backend, MariaDbBackend)
    return database._backend.connections.session.url.set(drivername="mariadb").render_as_string(hide_password=False)


async def test_its_time_is_the_servers(database: Database, mariadb_server: MariaDbServer) -> None:
    before = float(mariadb_server.sql("SELECT UNIX_TIMESTAMP(NOW(6))"))
    assert before <= await database.now() <= float(mariadb_server.sql("SELECT UNIX_TIMESTAMP(NOW(6))"))


async def test_what_reads_it_beside_its_nodes_sees_one_state(database: Database) -> None:
    await _add(database, "a")
    async with open_read_only(_url_of(database)) as connection:
        await _add(database, "b")
        assert (await connection.execute(select(Zone.name))).scalars().all() == ["a"]


async def test_text_is_compared_as_zstack_does(database: Database) -> None:
    await _add(database, "Été")
    for text_given in ("ete", "ÉTÉ  "):
        assert await database.fetch("SELECT name FROM ZoneVO WHERE name = %s", (text_given,)) == [("Été",)]


# Failures


async def _kill_all(server: MariaDbServer, *, but: str = "root") -> None:
    ids = server.sql(f"SELECT id FROM information_schema.processlist WHERE user <> '{but}' AND user <> 'system user'")
    for one in ids.split():
        server.sql(f"KILL {one}")


async def test_connections_that_were_lost_while_idle_are_replaced_unnoticed(
    database: Database, mariadb_server: MariaDbServer
) -> None:
    await _add(database, "a")
    assert await database.fetch("SELECT 1", ()) == [(1,)]
    await _kill_all(mariadb_server)
    assert await _names(database) == ["a"]
    assert await database.fetch("SELECT 1", ()) == [(1,)]
    await _add(database, "b")
    assert (await _names(database), database.health.failures) == (["a", "b"], 0)


async def _add_and_kill(database: Database, server: MariaDbServer) -> None:
    async with database.transaction() as connection:
        await _insert(connection, "a")
        await _kill_all(server)
        await _insert(connection, "b")


async def test_a_connection_lost_within_a_transaction_undoes_it(
    database: Database, mariadb_server: MariaDbServer
) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be written: the connection to the database server is lost"):
        await _add_and_kill(database, mariadb_server)
    await _add(database, "c")
    assert await _names(database) == ["c"]


@pytest.mark.parametrize("stored", [True, False])
async def test_whether_a_commit_was_stored_is_found_out_where_its_answer_is_lost(
    database: Database, mariadb_server: MariaDbServer, monkeypatch: pytest.MonkeyPatch, *, stored: bool
) -> None:
    run = OpenConnection.run

    async def lose_the_answer(self: OpenConnection, sql: str) -> None:
        if sql == "COMMIT":
            monkeypatch.setattr(OpenConnection, "run", run)
            if stored:
                await run(self, sql)
            await _kill_all(mariadb_server)
        await run(self, sql if sql != "COMMIT" else "SELECT 1")

    await _add(database, "before")
    monkeypatch.setattr(OpenConnection, "run", lose_the_answer)
    if stored:
        await _add(database, "a")
    else:
        with pytest.raises(StoreUnavailable, match="connection to the database server is lost"):
            await _add(database, "a")
    await _add(database, "b")
    assert await _names(database) == (["a", "b", "before"] if stored else ["b", "before"])


@pytest.mark.parametrize("stored", [True, False])
@rows(
    ("number", "said"),
    [
        (1180, 'Got error 6 "No such device or address" during COMMIT'),
        (1047, "WSREP has not yet prepared node for application use"),
    ],
)
async def test_whether_a_commit_was_stored_is_found_out_where_its_server_loses_the_cluster_meanwhile(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, stored: bool, number: int, said: str
) -> None:
    """The other servers of a Galera cluster may have taken the change before the one that was asked was cut off."""
    run, name = OpenConnection.run, f"of {number}"

    async def fail(self: OpenConnection, sql: str) -> None:
        if sql == "COMMIT":
            monkeypatch.setattr(OpenConnection, "run", run)
            await run(self, sql if stored else "ROLLBACK")
            raise OperationalError(number, said)
        await run(self, sql)

    monkeypatch.setattr(OpenConnection, "run", fail)
    if stored:
        await _add(database, name)
    else:
        with pytest.raises(StoreUnavailable, match=r"could not commit: Got error 6|not part of its cluster now"):
            await _add(database, name)
    await _add(database, f"after {number}")
    assert (name in await _names(database)) == stored
    assert database.health.problem is None


async def test_a_server_that_is_killed_and_started_again_loses_nothing(
    stack: AsyncExitStack, own_mariadb: MariaDbServer
) -> None:
    database = await _open(stack, _new(own_mariadb))
    await _add(database, "a")
    own_mariadb.kill()
    with pytest.raises(StoreUnavailable, match=r"cannot be read: the (connection to the )?database server"):
        await _names(database)
    with pytest.raises(StoreUnavailable, match=r"cannot be written: the (connection to the )?database server"):
        await _add(database, "lost")
    assert PASSWORD not in str(await database.check())
    assert database.health.problem is not None
    await asyncio.to_thread(own_mariadb.start)
    async with asyncio.timeout(BOUND):
        await database.health.until_it_works()
    await _add(database, "b")
    assert await _names(database) == ["a", "b"]


@rows("megabytes", [2, 18, 40])  # more than one packet of 16 MiB is refused in another way
async def test_a_statement_that_is_too_large_is_not_written_and_the_next_one_is(
    megabytes: int, own_mariadb: MariaDbServer, stack: AsyncExitStack
) -> None:
    own_mariadb.stop()
    own_mariadb.start("--max-allowed-packet=1M")
    database = await _open(stack, _new(own_mariadb))
    too_large = {"name": "a", "description": "x" * megabytes * 1024 * 1024, "state": "Enabled", "type": "zstack"}
    async with asyncio.timeout(BOUND):
        for number in range(5):
            with pytest.raises(StoreUnavailable, match="cannot be written"):
                async with database.transaction() as connection:
                    await connection.execute(insert(Zone).values(uuid=f"large-{number}", **too_large, **DATES))
            await _add(database, f"small-{number}")
    assert await _names(database) == [f"small-{number}" for number in range(5)]


@rows(
    ("number", "said", "reason"),
    [
        (1114, "The table 'EventVO' is full", "the disk of the database server is full (error 1114)"),
        (1021, "Disk full (./t/EventVO.ibd)", "the disk of the database server is full (error 1021)"),
        (
            1030,
            'Got error 28 "No space left on device" from storage engine',
            "the disk of the database server is full (",
        ),
        (1030, 'Got error 5 "Input/output error" from storage engine', "the server's disk has failed (error 1030)"),
        (
            1180,
            'Got error 28 "No space left on device" during COMMIT',
            "the disk of the database server is full (error",
        ),
        (1180, 'Got error 128 "x" during COMMIT', "the database server could not commit: Got error 128 "),
        (1047, "WSREP has not yet prepared node for application use", "the database server is not part of its cluster"),
        (1040, "Too many connections", "the database server accepts no more connections (error 1040)"),
        (1213, "Deadlock found when trying to get lock", "the change met a change of another connection (error 1213)"),
    ],
)
def test_the_reason_follows_from_the_number_of_an_error(number: int, said: str, reason: str) -> None:
    assert describe(OperationalError(number, said)).startswith(reason)
    assert (reason_of(ProgrammingError(1064, "You have an error in your SQL syntax")), is_conflict(ValueError())) == (
        None,
        False,
    )


async def test_a_lock_that_is_held_is_waited_for_and_then_an_error(
    stack: AsyncExitStack, mariadb_server: MariaDbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_VARIABLES", {**session._VARIABLES, "innodb_lock_wait_timeout": 1})
    url = _new(mariadb_server)
    first, second = await _open(stack, url), await _open(stack, url)
    await _add(first, "a")
    async with first.transaction() as connection:
        await connection.execute(update(Zone).values(name="held"))
        with pytest.raises(StoreUnavailable, match="another connection has held a lock for too long"):
            await _rename(second, "a", "b")
        assert await _names(second) == ["a"]
    await _rename(second, "a", "b")
    assert await _names(first) == ["b"]


async def _rename_after(database: Database, name: str, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Write in a transaction, do something else that waits for its lock, and write again."""
    async with database.transaction() as connection:
        await connection.execute(update(Zone).values(name=name))
        await meanwhile()
        await connection.execute(update(Zone).values(name=name))


async def test_a_transaction_that_goes_silent_is_undone_and_holds_up_no_other_node(
    stack: AsyncExitStack, mariadb_server: MariaDbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.IDLE_SECONDS < session.LOCK_SECONDS
    monkeypatch.setattr(session, "_VARIABLES", {**session._VARIABLES, "idle_write_transaction_timeout": 1})
    url = _new(mariadb_server)
    silent, other = await _open(stack, url), await _open(stack, url)
    await _add(other, "a")
    with pytest.raises(StoreUnavailable, match="the connection to the database server is lost"):
        await _rename_after(silent, "silent", lambda: _rename(other, "a", "b"))
    assert await _names(silent) == ["b"]


async def test_a_deadlock_undoes_one_of_two_changes_which_is_then_made_again(
    stack: AsyncExitStack, database: Database
) -> None:
    other = await _open(stack, _url_of(database))
    for name in ("a", "b"):
        await _add(database, name)
    both = asyncio.Barrier(2)
    tries: list[str] = []

    def rename(store: Database, uuids: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            tries.append(uuids)
            for number, uuid in enumerate(uuids):
                await _rename(store, uuid, f"{uuid} by {uuids}")
                if number == 0 and len(tries) <= 2:
                    await both.wait()

        return work

    async with asyncio.timeout(BOUND):
        await asyncio.gather(database.atomically(rename(database, "ab")), other.atomically(rename(other, "ba")))
    assert len(tries) == 3
    assert len({name.rpartition(" ")[2] for name in await _names(database)}) == 1
    assert database.health.failures == other.health.failures == 0


async def test_a_change_within_another_is_made_again_with_it(database: Database) -> None:
    tries: list[str] = []

    async def inner() -> None:
        tries.append("inner")
        if len(tries) == 2:
            raise StoreConflict("nothing was written")

    async def outer() -> None:
        tries.append("outer")
        await _add(database, "a")
        await database.atomically(inner)

    await database.atomically(outer)
    assert (tries, await _names(database)) == (["outer", "inner"] * 2, ["a"])


async def test_a_server_that_became_read_only_is_named(stack: AsyncExitStack, own_mariadb: MariaDbServer) -> None:
    url = _new(own_mariadb)
    own_mariadb.sql(
        f"CREATE USER plain@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON `{url.rpartition('/')[2]}`.* TO plain@'%'"
    )
    database = await _open(stack, url.replace("//sim:", "//plain:"))
    await _add(database, "a")
    own_mariadb.sql("SET GLOBAL read_only = ON")
    with pytest.raises(StoreUnavailable, match="cannot be written: the database server is read-only"):
        await _add(database, "b")
    assert await _names(database) == ["a"]
    own_mariadb.sql("SET GLOBAL read_only = OFF")
    async with asyncio.timeout(BOUND):
        await database.health.until_it_works()
    await _add(database, "b")


async def test_tables_that_are_gone_are_named_and_no_error_of_the_program(
    database: Database, mariadb_server: MariaDbServer
) -> None:
    await _add(database, "a")
    name = _url_of(database).rpartition("/")[2]
    mariadb_server.sql("SET foreign_key_checks = 0; RENAME TABLE ZoneVO TO elsewhere", name)
    gone = f"its tables are not those of this version: Table '{name}.ZoneVO' doesn't exist"
    for use in (lambda: _names(database), lambda: database.fetch("SELECT uuid FROM ZoneVO", ())):
        with pytest.raises(StoreUnavailable, match=f"cannot be read: {gone}"):
            await use()
    with pytest.raises(StoreUnavailable, match=f"cannot be written: {gone}"):
        await _add(database, "b")
    mariadb_server.sql("RENAME TABLE elsewhere TO ZoneVO", name)
    assert await _names(database) == ["a"]
    mariadb_server.sql(f"DROP DATABASE {name}")
    with pytest.raises(StoreUnavailable, match="cannot be read: its tables are not those of this version"):
        await database.current_revision()
    with pytest.raises(StoreUnavailable, match="cannot be written: its tables are not those of this version"):
        await _add(database, "b")
    assert "its tables are not those of this version" in str(await database.check())


UNUSUAL = {
    "sql_mode": "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,ONLY_FULL_GROUP_BY,EMPTY_STRING_IS_NULL'",
    "autocommit": "0",
    "foreign_key_checks": "0",
    "unique_checks": "0",
    "sql_safe_updates": "1",
    "sql_select_limit": "5",
    "max_join_size": "10",
    "max_sort_length": "64",
    "max_statement_time": "0.01",
    "completion_type": "2",
    "tx_isolation": "'SERIALIZABLE'",
    "time_zone": "'-05:00'",
    "character_set_server": "'ucs2'",
    "innodb_lock_wait_timeout": "1",
    "innodb_strict_mode": "0",
    "default_storage_engine": "'Aria'",
}
"""Defaults that the administrator of a server may have set for all sessions."""


async def _set_up(database: Database) -> dict[str, list[str]]:
    """Return the variables of the connections that read and write, but those of the server alone."""
    shown = "SHOW SESSION VARIABLES WHERE Variable_name IN ({})".format(
        ", ".join(
            f"'{name}'" for name in (*UNUSUAL, "sql_big_selects", "character_set_client", "character_set_results")
        )
    )
    async with database.transaction() as connection:
        writes = [tuple(row) for row in await connection.exec_driver_sql(shown)]
    ignored = {"max_statement_time", "max_join_size", "character_set_server", "innodb_strict_mode",
               "default_storage_engine", "autocommit"}  # fmt: skip
    found: dict[str, list[str]] = {}
    for name, value in [*await database.fetch(shown, ()), *writes]:
        if name not in ignored:
            found.setdefault(name, []).append(value)
    return found


async def test_what_a_server_has_for_all_sessions_changes_nothing(
    stack: AsyncExitStack, own_mariadb: MariaDbServer
) -> None:
    usual = await _set_up(await _open(stack, _new(own_mariadb)))
    own_mariadb.stop()
    own_mariadb.start("--skip-character-set-client-handshake", "--character-set-server=latin1")
    own_mariadb.sql(f"SET GLOBAL {', '.join(f'{name} = {value}' for name, value in UNUSUAL.items())}")
    database = await _open(stack, _new(own_mariadb))
    assert await _set_up(database) == usual
    for number in range(20):
        await _add(database, f"é{number:02}")
    assert await _names(database) == [f"é{number:02}" for number in range(20)]
    assert len(await database.fetch("SELECT name FROM ZoneVO WHERE name LIKE %s", ("É%",))) == 20


async def _fill(database: Database) -> None:
    for number in range(200):
        async with database.transaction() as connection:
            for row in range(ROWS):
                await _insert(connection, f"z{number}-{row}")


async def test_a_full_disk_undoes_the_change_and_is_named_and_work_goes_on_once_there_is_room(
    stack: AsyncExitStack, small_mariadb: MariaDbServer
) -> None:
    database = await _open(stack, _new(small_mariadb))
    await _add(database, "a")
    with full_disk(small_mariadb):
        with pytest.raises(StoreUnavailable, match="cannot be written: the disk of the database server is full"):
            await _fill(database)
        stored = len(await _names(database)) - 1
        assert stored % ROWS == 0, "a part of a transaction was stored"
        assert database.health.problem is not None
    async with asyncio.timeout(BOUND):
        await database.health.until_it_works()
    await _add(database, "b")
    assert len(await _names(database)) == 2 + stored


async def test_values_stay_out_of_errors(database: Database) -> None:
    await _add(database, "secret-name")
    with pytest.raises(Exception, match="Duplicate entry") as caught:
        await _add(database, "secret-name")
    assert "secret-name" not in str(caught.value)
    assert "secret" not in mariadb_text(Exception(1366, "Incorrect string value: '\\xF0 secret' for column `a`.`b`"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda url: url.replace(PASSWORD, "wrong-password"), "the database server refuses this user or password"),
        (lambda url: url + "-which-is-not-there", "there is no database of this name on the server"),
        (lambda url: re.sub(":[0-9]+/", ":1/", url), "the database server cannot be reached"),
    ],
    ids=["password", "name", "port"],
)
async def test_a_store_that_cannot_be_opened_is_one_line_without_the_password(
    mariadb_server: MariaDbServer, change: Callable[[str], str], complaint: str
) -> None:
    url = change(_new(mariadb_server))
    with pytest.raises(DatabaseError) as caught:
        await Database.open(url)
    said = str(caught.value)
    assert said.startswith("mariadb://sim:***@")
    assert complaint in said
    assert "\n" not in said
    assert "password@" not in said.replace("***", "")


async def test_the_database_of_another_program_is_left_alone(mariadb_server: MariaDbServer) -> None:
    url = _new(mariadb_server)
    mariadb_server.sql("CREATE TABLE VmInstanceVO (uuid VARCHAR(32))", url.rpartition("/")[2])
    with pytest.raises(DatabaseError, match="is the database of another program, give another name"):
        await Database.open(url)
    mariadb_server.sql("DROP TABLE VmInstanceVO; CREATE TABLE alembic_version (version_num VARCHAR(32));"
                       "INSERT INTO alembic_version VALUES ('9999')", url.rpartition("/")[2])  # fmt: skip
    with pytest.raises(DatabaseError, match="has tables of version 9999, which a newer imagestore-sim made"):
        await Database.open(url)


# Nodes


def _settings(url: str, **more: Any) -> Settings:
    return Settings(port=0, database=url, vault_key=VAULT_KEY, **more)


async def test_a_dump_is_a_backup(mariadb_server: MariaDbServer) -> None:
    url, copy = _new(mariadb_server), _new(mariadb_server)
    node = ManagementNode(_settings(url, bootstrap=None))
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        await client.call("POST", "/zones", {"params": {"name": "kept"}})
    await node.stop()
    dump = ["mariadb-dump", "--no-defaults", f"--socket={mariadb_server.socket}", "-uroot", "--single-transaction"]
    done = await asyncio.to_thread(subprocess.run, [*dump, url.rpartition("/")[2]], check=True, capture_output=True)
    restore = ["mariadb", "--no-defaults", f"--socket={mariadb_server.socket}", "-uroot", copy.rpartition("/")[2]]
    await asyncio.to_thread(subprocess.run, restore, check=True, input=done.stdout)
    node = ManagementNode(_settings(copy))
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        assert [zone["name"] for zone in await client.query("/zones")] == ["kept"]
    await node.stop()


async def test_the_records_of_a_file_move_with_a_snapshot_and_the_key_of_the_file(
    mariadb_server: MariaDbServer, tmp_path: Path
) -> None:
    records, snapshot, file = tmp_path / "records.yaml", tmp_path / "snapshot.yaml", tmp_path / "records.db"
    records.write_text(
        "backupStorages:\n- {name: moved, hostname: gold, url: /bs, password: of the host, tracked: false}\n"
    )
    node = ManagementNode(Settings(port=0, database=str(file), bootstrap=records))
    await node.start()
    taken = await asyncio.to_thread(urlopen, f"{node.url}/lab/v1/snapshot")
    snapshot.write_bytes(await asyncio.to_thread(taken.read))
    await node.stop()
    key = file.with_name(f"{file.name}.key")
    node = ManagementNode(Settings(port=0, database=_new(mariadb_server), bootstrap=snapshot, vault_key_file=key))
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        assert [storage["name"] for storage in await client.query("/backup-storage")] == ["moved"]
    await node.stop()


async def test_a_record_that_the_tables_cannot_hold_is_one_line(mariadb_server: MariaDbServer, tmp_path: Path) -> None:
    records = tmp_path / "records.yaml"
    records.write_text("zones:\n- {name: one}\n- {name: two, description: party 🎉}\n")
    node = ManagementNode(_settings(_new(mariadb_server), bootstrap=records))
    with pytest.raises(BootstrapError) as caught:
        await node.start()
    await node.stop()
    said = str(caught.value)
    complaint = f"{records}, line 3: zones.2: the database cannot hold it: Incorrect string value: for column "
    assert said.startswith(complaint)
    assert "party" not in said


async def test_a_node_needs_the_key_that_the_others_have(mariadb_server: MariaDbServer) -> None:
    url = _new(mariadb_server)
    node = ManagementNode(_settings(url))
    await node.start()
    await node.stop()
    for settings, complaint in (
        (Settings(port=0, database=url), "needs the key of the passwords that it holds; give --vault-key-file FILE"),
        (
            Settings(port=0, database=url, vault_key=OTHER_KEY),
            re.escape("--vault-key (IMAGESTORE_SIM_VAULT_KEY): this key does not belong to the database"),
        ),
    ):
        refused = ManagementNode(settings)
        with pytest.raises(DatabaseError, match=complaint):
            await refused.start()
        await refused.stop()


async def test_of_two_nodes_with_different_keys_one_is_the_first_over_an_empty_database(
    mariadb_server: MariaDbServer,
) -> None:
    url = _new(mariadb_server)
    keys = (VAULT_KEY, OTHER_KEY)
    nodes = [ManagementNode(Settings(port=0, database=url, vault_key=key)) for key in keys]
    outcomes = await asyncio.gather(*(node.start() for node in nodes), return_exceptions=True)
    await asyncio.gather(*(node.stop() for node in nodes))
    [refused] = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(refused, DatabaseError)
    assert str(refused) == "--vault-key (IMAGESTORE_SIM_VAULT_KEY): this key does not belong to the database"


def test_virtual_time_waits_for_the_server(mariadb_server: MariaDbServer) -> None:
    url = _new(mariadb_server)

    async def run() -> float:
        clock = virtual_clock()
        database = await Database.open(url, clock=clock)
        alarm = asyncio.create_task(clock.sleep(3600))
        await _add(database, "a")
        assert await _names(database) == ["a"]
        passed = clock.monotonic()
        await alarm
        await database.close()
        return passed

    assert run_virtually(run()) == 0.0


# A cluster


async def test_what_one_server_of_a_cluster_has_committed_all_of_them_show(
    stack: AsyncExitStack, galera: GaleraCluster
) -> None:
    name = _new(galera.servers[0]).rpartition("/")[2]
    opened = [await _open(stack, server.url(name)) for server in galera.servers]
    for number in range(30):
        writer, reader = opened[number % 3], opened[(number + 1) % 3]
        before = await reader.current_revision()
        await _add(writer, f"z{number:02}")
        assert await reader.current_revision() > before
        assert f"z{number:02}" in await _names(reader)


async def _rename_meanwhile(first: Database, second: Database) -> None:
    async with first.transaction() as connection:
        await connection.execute(update(Zone).values(name="first"))
        await _rename(second, "a", "second")


async def test_two_changes_of_a_row_on_two_servers_are_a_conflict_for_one(
    stack: AsyncExitStack, galera: GaleraCluster
) -> None:
    name = _new(galera.servers[0]).rpartition("/")[2]
    first, second = [await _open(stack, server.url(name)) for server in galera.servers[:2]]
    await _add(first, "a")
    assert await _names(second) == ["a"]
    with pytest.raises(StoreConflict, match="nothing was written: the change met a change of another connection"):
        await _rename_meanwhile(first, second)
    assert await _names(first) == ["second"]
    await _rename(first, "a", "third")
    assert await _names(second) == ["third"]
