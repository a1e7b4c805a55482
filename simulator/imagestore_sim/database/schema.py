"""The tables of a SQLite file: created, migrated and checked when it is opened."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.connections import connect, driver_of
from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.migrations import HEAD, newest_tables, upgrade
from imagestore_sim.database.models import GlobalConfig, Model
from imagestore_sim.database.vault import Vault

ALL_COLUMNS = "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'"
"""SQL for SQLite whose rows are (table, column)."""
OptionRow = tuple[object, ...]
"""A row of the global configuration: its values in the order of OPTION_COLUMNS."""
OPTION_COLUMNS = (
    GlobalConfig.id,
    GlobalConfig.name,
    GlobalConfig.category,
    GlobalConfig.description,
    GlobalConfig.defaultValue,
    GlobalConfig.value,
)
_INSERT_OPTION = f"""
INSERT INTO {GlobalConfig.__tablename__} ({", ".join(column.key for column in OPTION_COLUMNS)})
VALUES ({", ".join("?" for _ in OPTION_COLUMNS)})
"""  # noqa: S608 - a constant


@lru_cache(maxsize=4)
def new_database(options: tuple[OptionRow, ...]) -> bytes:
    """Return a SQLite database with the newest tables and these options, as the bytes of its file.

    It is made once in a process, so that later starts of a node copy it instead of making the tables again.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(newest_tables())
        connection.executemany(_INSERT_OPTION, options)
        connection.commit()
        return connection.serialize()


def _create(file: Path, options: tuple[OptionRow, ...]) -> None:
    """Copy `new_database` into an empty file, in one transaction: a crash leaves all of it or nothing."""
    with closing(sqlite3.connect(":memory:")) as source, closing(connect(file)) as target:
        source.deserialize(new_database(options))
        source.backup(target)


async def create_or_migrate(
    engine: AsyncEngine,
    file: Path,
    version: str | None,
    vault: Callable[[], Vault],
    options: tuple[OptionRow, ...],
) -> None:
    """Bring tables of `version` (None: there are none) to the newest version; new ones get the rows of `options`."""
    if version is None:
        await complete(asyncio.to_thread(_create, file, options))
    elif version != HEAD:
        async with engine.connect() as connection:
            async with connection.begin():
                await connection.run_sync(partial(upgrade, vault=vault))
            await _erase_replaced_rows(connection)


async def _erase_replaced_rows(connection: AsyncConnection) -> None:
    """Remove from the files what the migration has replaced: it may have been a secret in plain text."""
    driver = await driver_of(connection)
    await driver.execute("VACUUM")
    await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def check_columns(found: Iterable[Sequence[object]], file: Path) -> None:
    """Raise DatabaseError when a declared column is not among the (table, column) pairs in `found`."""
    columns = {(table, column) for table, column in found}
    for name, declared in Model.metadata.tables.items():
        for column in declared.columns:
            if (name, column.name) not in columns:
                raise DatabaseError(f"{file}: is damaged, it has no column {column.name} in a table {name}")
