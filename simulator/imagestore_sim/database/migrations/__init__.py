"""The versions of the tables, oldest first. Alembic is only imported where there is something to migrate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, create_engine

from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.vault import Vault

VERSIONS = ("0001", "0002", "0003")
HEAD = VERSIONS[-1]


@cache
def newest_tables() -> str:
    """The SQL that makes of an empty SQLite database what the migrations do, in a transaction.

    They run once a process for it, in memory: a program that starts many nodes waits for them no second time.
    """
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            upgrade(connection)
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None, "it has just been connected"
            return "\n".join(driver.iterdump())
    finally:
        engine.dispose()


def upgrade(connection: Connection, version: str = HEAD, vault: Callable[[], Vault] | None = None) -> None:
    """Bring the tables to a version, wholly or not at all, in the transaction that the connection is in.

    `vault` opens the vault of the database; only a migration that finds stored secrets asks for it. Raises
    DatabaseError for tables of a version that is not known.
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
