"""The versions of the tables, oldest first. Alembic is imported only when there is something to migrate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, create_engine

from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.vault import Vault

VERSIONS = tuple(f"{number:04}" for number in range(1, 15))
HEAD = VERSIONS[-1]


NEWEST = "newest.sql"
"""The file that holds `newest_tables`: `make docs` writes it, and a test fails when it is stale."""


@cache
def newest_tables() -> str:
    """Return the SQL script that creates the newest tables in an empty SQLite database, in one transaction."""
    return files(__name__).joinpath(NEWEST).read_text("utf-8")


def migrated_tables() -> str:
    """Return the same script, made by running all migrations in memory."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            upgrade(connection)
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None, "it has just been connected"
            return "".join(f"{line}\n" for line in driver.iterdump())
    finally:
        engine.dispose()


def upgrade(connection: Connection, version: str = HEAD, vault: Callable[[], Vault] | None = None) -> None:
    """Bring the tables to `version`, in the transaction that the connection is in.

    `vault` opens the vault of the database; it is called only by a migration that finds stored secrets. Raise
    DatabaseError for tables of an unknown version.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    configuration.attributes["connection"] = connection
    configuration.attributes["vault"] = vault
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # Python's driver begins no transaction before CREATE TABLE
    try:
        command.upgrade(configuration, version)
    except CommandError as error:
        raise DatabaseError(f"{connection.engine.url.render_as_string()}: cannot be migrated: {error}") from None
