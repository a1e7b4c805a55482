"""Statements that are compiled once in a process, not once in every database that it opens.

SQLAlchemy keeps compiled statements by dialect object, and each engine has a dialect of its own: every start of a node
would compile the same statements again. All engines of SQLite files here are configured alike, so theirs are equal.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache

import aiosqlite
from sqlalchemy import URL, Dialect, Select
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.util import LRUCache
from typing_extensions import override

from imagestore_sim.database.one_call_cursor import OneCallModule

_NAME = "imagestore_sim"
SHARED_STATEMENTS: LRUCache[object, object] = LRUCache(1000)
"""The compiled statements of all SQLite engines: the value of their execution option `compiled_cache`."""


class SharedDialect(SQLiteDialect_aiosqlite):
    """SQLAlchemy's dialect for aiosqlite. All instances are equal, since they compile a statement alike."""

    supports_statement_cache = True

    @classmethod
    @override
    def import_dbapi(cls) -> OneCallModule:
        return OneCallModule(aiosqlite, sqlite3)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))


registry.register(f"sqlite.{_NAME}", __name__, SharedDialect.__name__)


def with_shared_dialect(url: URL) -> URL:
    """Return the URL of a SQLite file with which an engine uses SharedDialect."""
    return url.set(drivername=f"sqlite+{_NAME}")


@lru_cache(maxsize=256)
def sql_of(statement: Select[*tuple[object, ...]], dialect: Dialect) -> str:
    """Return the SQL of a statement, for `Database.fetch`. The same statement object is compiled once a dialect."""
    return str(statement.compile(dialect=dialect))
