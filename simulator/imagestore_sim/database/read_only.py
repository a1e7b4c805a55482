"""Read-only access to a database, also while a node has it open: nothing is migrated, locked or written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.location import SQLITE, file_of, url_of, version_of
from imagestore_sim.database.migrations import HEAD, VERSIONS


@asynccontextmanager
async def open_read_only(location: str) -> AsyncIterator[AsyncConnection]:
    """Connect to a file or a SQLAlchemy URL whose tables are of the newest version. Raise DatabaseError."""
    url, file = url_of(location), file_of(location)
    if file is not None:
        url = await asyncio.to_thread(_read_only_url, file)
    try:
        engine = create_async_engine(url, poolclass=NullPool)
    except (SQLAlchemyError, ImportError) as error:
        raise DatabaseError(f"{url.render_as_string()}: cannot be opened: {error}") from None
    try:
        async with engine.connect() as connection:
            await _check_version(connection, str(file or url.render_as_string()))
            yield connection
    except (SQLAlchemyError, OSError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise DatabaseError(f"{file or url.render_as_string()}: cannot be read: {reason}") from None
    finally:
        await engine.dispose()


def _read_only_url(file: Path) -> URL:
    try:
        found = file.is_file()
    except OSError as error:
        raise DatabaseError(f"{file}: cannot be read: {error.strerror}") from None
    if not found:
        raise DatabaseError(f"{file}: there is no such file")
    if version_of(file, VERSIONS) is None:
        raise DatabaseError(f"{file}: has no tables, so nothing is stored in it")
    return URL.create(SQLITE, database=file.as_uri(), query={"mode": "ro", "uri": "true"})


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
