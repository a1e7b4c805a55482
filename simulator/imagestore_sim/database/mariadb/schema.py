"""The tables in a MariaDB: made or migrated by one node at a time, and checked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.mariadb.revision import CREATE, TABLE
from imagestore_sim.database.migrations import HEAD, VERSIONS, upgrade
from imagestore_sim.database.models import GlobalConfig, Model
from imagestore_sim.database.schema import OPTION_COLUMNS, OptionRow
from imagestore_sim.database.vault import Vault

logger = logging.getLogger(__name__)
OLDEST = (10, 5)
"""The first version that has all that is used here."""
SMALLEST_PACKET = 1024**2
"""Bytes: the driver sends rows in statements of nearly this length."""
LEASE_SECONDS = 120
"""How long a node may take to migrate; then another one begins in its place."""
_RETRY_SECONDS = 0.25
_TABLE = "StoreMigrationVO"
_CREATE = (
    f"CREATE TABLE IF NOT EXISTS {_TABLE} (id INT NOT NULL PRIMARY KEY, holder VARCHAR(32) NOT NULL, "
    "untilDate DATETIME(6) NOT NULL) ENGINE=InnoDB"
)
OPTIONS = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci"
"""As ZStack's tables, whatever the database has by default (query-semantics 3)."""
_CREATE_VERSION = f"CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY) {OPTIONS}"
_TABLES = text("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
_COLUMNS = text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()")
_VERSION = text("SELECT version_num FROM alembic_version")

OURS = {*map(str.lower, Model.metadata.tables), TABLE.lower(), _TABLE.lower()}
"""The tables that a start which was interrupted may have left."""


async def check_server(engine: AsyncEngine) -> None:
    """Raise DatabaseError unless the server is a MariaDB that is new enough, and takes statements of many rows."""
    async with engine.connect() as connection:
        version = str((await connection.exec_driver_sql("SELECT VERSION()")).scalar())
        packet = int((await connection.exec_driver_sql("SELECT @@max_allowed_packet")).scalar() or 0)
    if packet < SMALLEST_PACKET:
        raise DatabaseError(f"max_allowed_packet of the server is {packet}; {SMALLEST_PACKET} or more is needed")
    numbers = version.removeprefix("5.5.5-").split("-")[0].split(".")
    if "mariadb" not in version.lower():
        raise DatabaseError(f"the server is not a MariaDB (it says {version})")
    if tuple(map(int, numbers[:2])) < OLDEST:
        raise DatabaseError(f"the server is MariaDB {version}; {OLDEST[0]}.{OLDEST[1]} or newer is needed")


async def is_galera(engine: AsyncEngine) -> bool:
    """Return whether the server knows Galera's variables."""
    async with engine.connect() as connection:
        return (await connection.exec_driver_sql("SHOW VARIABLES LIKE 'wsrep_sync_wait'")).first() is not None


async def create_or_migrate(
    engine: AsyncEngine, vault: Callable[[], Vault], options: tuple[OptionRow, ...], name: str
) -> None:
    """Bring the tables to the newest version; new ones get the rows of `options`. Raise DatabaseError."""
    if await _version(engine, name) != HEAD:
        async with _alone(engine):
            version = await _version(engine, name)
            if version != HEAD:  # else another node has done it meanwhile
                async with engine.connect() as connection:
                    await connection.exec_driver_sql(CREATE)
                    await connection.run_sync(partial(_upgrade, version=version, vault=vault))
                    if version is None:
                        await connection.run_sync(partial(_fill, options=options))
    await _check_columns(engine, name)


def _upgrade(connection: Connection, version: str | None, vault: Callable[[], Vault]) -> None:
    """Migrate, or make the newest tables. Every step is committed at once; what is there already stays."""
    from imagestore_sim.database.mariadb.ddl import (
        WholeTable,
    )  # with it come the rules for migrations; it needs Alembic

    if version is not None:
        upgrade(connection, vault=vault)
        return
    for table in Model.metadata.sorted_tables:
        connection.execute(WholeTable(table))


def _fill(connection: Connection, options: tuple[OptionRow, ...]) -> None:
    """Add the rows of a new database, and its version at the end: without that, the next start goes on from here."""
    connection.exec_driver_sql(_CREATE_VERSION)
    if options and not connection.scalar(select(func.count()).select_from(GlobalConfig)):
        rows = [dict(zip((column.key for column in OPTION_COLUMNS), row, strict=True)) for row in options]
        connection.execute(insert(GlobalConfig), rows)
    connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{HEAD}')")  # noqa: S608 - a constant


async def _version(engine: AsyncEngine, name: str) -> str | None:
    """Return the version of the tables; None if there are none. Raise DatabaseError for those of another program."""
    async with engine.connect() as connection:
        tables = {str(table).lower() for table in (await connection.execute(_TABLES)).scalars()}
        if "alembic_version" not in tables:
            if tables - OURS:
                raise DatabaseError(f"{name}: is the database of another program, give another name")
            return None
        version = (await connection.execute(_VERSION)).scalar()
    if version is not None and version not in VERSIONS:
        raise DatabaseError(f"{name}: has tables of version {version}, which a newer imagestore-sim made; use that one")
    return version


@asynccontextmanager
async def _alone(engine: AsyncEngine) -> AsyncIterator[None]:
    """Keep other nodes from migrating while the block runs, by a lease in a row, which Galera respects as well."""
    holder = uuid4().hex  # real: see OwnRevision
    async with engine.connect() as connection:
        await connection.exec_driver_sql(_CREATE)
        await _take_lease(connection, holder)
        try:
            yield
        finally:
            await connection.exec_driver_sql(f"DELETE FROM {_TABLE} WHERE holder = '{holder}'")  # noqa: S608 - no values of users


async def _take_lease(connection: AsyncConnection, holder: str) -> None:
    """Wait for the lease. Raise DatabaseError if others hold it for longer than they may."""
    until = f"UTC_TIMESTAMP(6) + INTERVAL {LEASE_SECONDS} SECOND"
    taken = f"IF(holder = '{holder}', {until}, untilDate)"
    take = (
        f"INSERT INTO {_TABLE} VALUES (1, '{holder}', {until}) ON DUPLICATE KEY UPDATE "  # noqa: S608 - see _alone
        f"holder = IF(untilDate < UTC_TIMESTAMP(6), VALUES(holder), holder), untilDate = {taken}"
    )
    end = time.monotonic() + 2 * LEASE_SECONDS  # real: another node migrates
    waits = False
    while time.monotonic() < end:  # real: see above
        await connection.exec_driver_sql(take)
        if (await connection.exec_driver_sql(f"SELECT holder FROM {_TABLE}")).scalar() == holder:  # noqa: S608 - see _alone
            return
        if not waits:
            waits = True
            logger.warning("another node makes or migrates the tables: waiting, for %d s if it has died", LEASE_SECONDS)
        await asyncio.sleep(_RETRY_SECONDS)  # real: see above
    raise DatabaseError("other nodes have migrated its tables for too long; start this one again")


async def _check_columns(engine: AsyncEngine, name: str) -> None:
    """Raise DatabaseError when a declared column is missing."""
    async with engine.connect() as connection:
        found = {(str(table).lower(), str(column)) for table, column in (await connection.execute(_COLUMNS)).all()}
    for table, declared in Model.metadata.tables.items():
        for column in declared.columns:
            if (table.lower(), column.name) not in found:
                raise DatabaseError(f"{name}: is damaged, it has no column {column.name} in a table {table}")
