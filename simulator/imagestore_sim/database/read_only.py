"""Read-only access to a database, also while a node has it open: nothing is migrated, locked or written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from imagestore_sim.database.errors import DatabaseError, describe
from imagestore_sim.database.location import SQLITE, file_of, read_only_parameters, url_of, version_of
from imagestore_sim.database.mariadb.address import shown
from imagestore_sim.database.mariadb.backend import check_driver
from imagestore_sim.database.mariadb.session import BEGIN_SNAPSHOT, Session
from imagestore_sim.database.migrations import HEAD, VERSIONS


@asynccontextmanager
async def open_read_only(location: str) -> AsyncIterator[AsyncConnection]:
    """Connect to a file or a MariaDB whose tables are of the newest version. Raise DatabaseError."""
    url, file = url_of(location), file_of(location)
    name = shown(url) if file is None else str(file)
    engine = _mariadb(url) if file is None else await asyncio.to_thread(_file, file)
    try:
        async with engine.connect() as connection:
            if file is None:
                for statement in BEGIN_SNAPSHOT:
                    await connection.exec_driver_sql(statement)
            await _check_version(connection, name)
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseError(f"{name}: cannot be read: {describe(error)}") from None
    finally:
        await engine.dispose()


def _mariadb(url: URL) -> AsyncEngine:
    check_driver(url)
    return Session(url).engine(reads=True)


def _file(file: Path) -> AsyncEngine:
    return create_async_engine(_read_only_url(file), poolclass=NullPool)


def _read_only_url(file: Path) -> URL:
    try:
        found = file.is_file()
    except OSError as error:
        raise DatabaseError(f"{file}: cannot be read: {error.strerror}") from None
    if not found:
        raise DatabaseError(f"{file}: there is no such file")
    if version_of(file, VERSIONS) is None:
        raise DatabaseError(f"{file}: has no tables, so nothing is stored in it")
    return URL.create(SQLITE, database=file.as_uri(), query={**read_only_parameters(file), "uri": "true"})


async def _check_version(connection: AsyncConnection, name: str) -> None:
    """Raise DatabaseError for tables of another version."""
    version = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    if version == HEAD:
        return
    if version in VERSIONS:
        raise DatabaseError(
            f"{name}: has tables of version {version}, of an older imagestore-sim; start a node over it to migrate"
            f" them to {HEAD}"
        )
    raise DatabaseError(f"{name}: has tables of version {version}, which a newer imagestore-sim made; use that one")
