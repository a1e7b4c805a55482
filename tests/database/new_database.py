"""A database that has its tables already: to copy one is quicker than to migrate one for every test."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from imagestore_sim.database.migrations import upgrade


def new_database(folder: Path, name: str = "node.db") -> Path:
    """Create a database in `folder`, and return its file."""
    file = folder / name
    file.write_bytes(_content())
    return file


@cache
def _content() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "node.db"
        with create_engine(f"sqlite:///{file}", poolclass=NullPool).begin() as connection:
            upgrade(connection)
        return file.read_bytes()
