"""The connections of a database that is a SQLite file, for tests that break or hold them."""

from __future__ import annotations

from imagestore_sim.database import Database
from imagestore_sim.database.connections import Connections
from imagestore_sim.database.sqlite_backend import SqliteBackend


def connections_of(database: Database) -> Connections:
    """Return the connections to the file of a database."""
    assert isinstance(database._backend, SqliteBackend)
    return database._backend.connections
