"""The tables of a database: created, migrated and checked when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from imagestore_sim.database.connections import driver_of
from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.migrations import HEAD, newest_tables, upgrade
from imagestore_sim.database.models import Model
from imagestore_sim.database.vault import Vault

ALL_COLUMNS = "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'"
"""SQL for SQLite whose rows are (table, column)."""


async def create_or_migrate(engine: AsyncEngine, version: str | None, vault: Callable[[], Vault]) -> None:
    """Bring tables of `version` (None: there are none) to the newest version."""
    if engine.dialect.name == "sqlite" and version is None:
        async with engine.connect() as connection:
            await (await driver_of(connection)).executescript(newest_tables())
    elif version != HEAD:
        async with engine.connect() as connection:
            async with connection.begin():
                await connection.run_sync(partial(upgrade, vault=vault))
            await _erase_replaced_rows(connection)


async def _erase_replaced_rows(connection: AsyncConnection) -> None:
    """Remove from SQLite's files what the migration has replaced: it may have been a secret in plain text."""
    if connection.dialect.name == "sqlite":
        driver = await driver_of(connection)
        await driver.execute("VACUUM")
        await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def check_columns(found: Iterable[Sequence[object]], file: Path | None) -> None:
    """Raise DatabaseError when a declared column is not among the (table, column) pairs in `found`."""
    columns = {(table, column) for table, column in found}
    for name, declared in Model.metadata.tables.items():
        for column in declared.columns:
            if (name, column.name) not in columns:
                raise DatabaseError(f"{file}: is damaged, it has no column {column.name} in a table {name}")
