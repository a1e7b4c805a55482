"""The migrations: their result is what the models say, and it is there wholly or not at all."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError as DriverError
from sqlalchemy.pool import NullPool

from imagestore_sim.database import Database, DatabaseError, migrations
from imagestore_sim.database.global_config import GlobalConfiguration, default_rows
from imagestore_sim.database.migrations import HEAD, VERSIONS, newest_tables, upgrade
from imagestore_sim.database.models import Model
from imagestore_sim.database.zstack_global_config import zstack_options
from processes import child

HALF_OF_A_NEW_DATABASE = 64 * 1024


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


@pytest.fixture
def engine(file: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    yield engine
    engine.dispose()


async def _open_and_close(file: Path) -> None:
    await (await Database.open(str(file))).close()


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(migrations.__file__).parent))
    configuration.set_main_option("path_separator", "os")
    return configuration


def _tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.mark.filterwarnings("ignore:.*expression-based index")
async def test_the_result_is_what_the_models_say(file: Path, engine: Engine) -> None:
    await _open_and_close(file)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Model.metadata) == []


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:.*expression-based index")
async def test_the_result_has_the_keys_and_indexes_of_the_models(file: Path, engine: Engine, tmp_path: Path) -> None:
    """What Alembic does not compare: primary keys, foreign keys with what they do on delete, unique columns."""
    await _open_and_close(file)
    made_from_models = create_engine(f"sqlite:///{tmp_path / 'models.db'}", poolclass=NullPool)
    Model.metadata.create_all(made_from_models)
    assert _constraints(engine) == _constraints(made_from_models)


def _constraints(engine: Engine) -> dict[str, object]:
    looked_at = inspect(engine)
    return {
        table: (
            looked_at.get_pk_constraint(table)["constrained_columns"],
            sorted(map(repr, looked_at.get_foreign_keys(table))),
            sorted(map(repr, looked_at.get_unique_constraints(table))),
            _indexes(engine, table),
            [(column["name"], repr(column["type"]), column["nullable"]) for column in looked_at.get_columns(table)],
        )
        for table in looked_at.get_table_names()
        if table != "alembic_version"
    }


def _indexes(engine: Engine, table: str) -> list[str]:
    with engine.connect() as connection:
        query = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?"
        made = connection.exec_driver_sql(query, (table,))
        return sorted(str(sql).replace('"', "") for (sql,) in made if sql is not None)


def test_the_script_for_an_empty_file_makes_what_the_migrations_make(file: Path, engine: Engine) -> None:
    with engine.begin() as connection:
        upgrade(connection)
    with closing(sqlite3.connect(file)) as connection:
        made = "".join(f"{line}\n" for line in connection.iterdump())
    assert made == newest_tables(), "write the script again: make docs PAGES=newest-tables"


async def test_a_database_says_its_version(file: Path) -> None:
    await _open_and_close(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]


def test_every_version_is_listed_oldest_first() -> None:
    scripts = ScriptDirectory.from_config(_configuration())
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == VERSIONS


async def test_a_new_database_has_what_migrations_and_a_first_load_make(file: Path, engine: Engine) -> None:
    options = tuple(zstack_options().values())
    copied = file.with_name("copied.db")
    await (await Database.open(str(copied), options=default_rows(options))).close()
    with engine.begin() as connection:
        upgrade(connection)
    database = await Database.open(str(file))
    await GlobalConfiguration(database, options).load()
    await database.close()
    assert _dump(copied) == _dump(file)


async def test_the_options_of_a_new_database_need_no_write_at_the_first_load(file: Path) -> None:
    options = tuple(zstack_options().values())
    database = await Database.open(str(file), options=default_rows(options))
    await GlobalConfiguration(database, options).load()
    assert database.revision == 0
    await database.close()


def _dump(file: Path) -> tuple[list[str], list[tuple[object, ...]]]:
    """Return the SQL that makes a database, and the settings in its header that the SQL leaves out."""
    pragmas = ("journal_mode", "page_size", "encoding", "user_version", "application_id", "auto_vacuum")
    with closing(sqlite3.connect(file)) as connection:
        settings = [connection.execute(f"PRAGMA {pragma}").fetchone() for pragma in pragmas]
        return list(connection.iterdump()), settings


async def test_a_database_that_is_up_to_date_is_not_migrated_again(file: Path) -> None:
    await _open_and_close(file)

    def forbid(connection: sqlite3.Connection) -> None:
        connection.set_authorizer(_deny_table)

    database = await Database.open(str(file), prepare=forbid)
    await database.close()


async def test_to_migrate_twice_changes_nothing(file: Path, engine: Engine) -> None:
    await _open_and_close(file)
    with engine.begin() as connection:
        upgrade(connection)
    assert _tables(file) == {*Model.metadata.tables, "alembic_version"}


async def test_the_way_back_drops_every_table(file: Path, engine: Engine) -> None:
    await _open_and_close(file)
    configuration = _configuration()
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.downgrade(configuration, "base")
    assert _tables(file) == {"alembic_version"}


def test_an_unknown_version_is_an_error(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('9999')"))
    with (
        pytest.raises(DatabaseError, match=r"node\.db: cannot be migrated: Can't locate revision"),
        engine.begin() as connection,
    ):
        upgrade(connection)


def _deny_table(action: int, name: str | None, *_: object) -> int:
    refused = action == sqlite3.SQLITE_CREATE_TABLE and name == "ZoneVO"
    return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK


def test_a_migration_that_fails_half_way_leaves_no_table(file: Path, engine: Engine) -> None:
    event.listen(engine, "connect", lambda driver, _: driver.set_authorizer(_deny_table))
    with pytest.raises(DriverError, match="not authorized"), engine.begin() as connection:
        upgrade(connection)
    assert _tables(file) == set()


@contextmanager
def _file_size_limit(bytes_: int) -> Iterator[None]:
    """Let no file grow beyond a size meanwhile: SQLite's log of the new tables breaks off in the middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_an_empty_file_that_gets_its_tables_only_half_way_has_none(file: Path) -> None:
    with (
        pytest.raises(DatabaseError, match=r"node\.db: cannot be opened: .*SQLITE_IOERR_WRITE"),
        _file_size_limit(HALF_OF_A_NEW_DATABASE),
    ):
        await Database.open(str(file))
    assert _tables(file) == set()
    await _open_and_close(file)


KILLED = """
import asyncio, resource, signal, sys
from imagestore_sim.database import Database

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it; by default it kills in the middle of a write
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
asyncio.run(Database.open(sys.argv[1]))
"""


@pytest.mark.processes
async def test_a_kill_half_way_leaves_no_table(file: Path) -> None:
    async with child(sys.executable, "-c", KILLED, str(file), str(HALF_OF_A_NEW_DATABASE)) as process:
        assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGXFSZ
    log = file.with_name("node.db-wal")
    assert log.stat().st_size == HALF_OF_A_NEW_DATABASE
    assert _tables(file) == set()
    await _open_and_close(file)
    assert _tables(file) == {*Model.metadata.tables, "alembic_version"}
