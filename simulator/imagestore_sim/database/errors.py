"""Why a database cannot be used."""

from __future__ import annotations

import re
import sqlite3

WHY = {
    sqlite3.SQLITE_PERM: "its files may not be used",
    sqlite3.SQLITE_BUSY: "the database is locked by another process",
    sqlite3.SQLITE_LOCKED: "the database is locked by another process",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_READONLY: "the database is read-only",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CANTOPEN: "its files cannot be opened",
    sqlite3.SQLITE_PROTOCOL: "the database is locked by another process",
    sqlite3.SQLITE_NOTADB: "the database file is damaged",
}
"""What each of SQLite's primary result codes means, where it is no fault of the statement's."""


LOST = re.compile("connection closed|no active connection|closed database", re.IGNORECASE)


class DatabaseError(Exception):
    """One clear line for people, that names the file and says what to do; nothing has been changed."""


class StoreUnavailable(DatabaseError):
    """The store cannot be read or written at present. The text holds neither SQL nor values; nothing was changed."""


def reason_of(error: BaseException) -> str | None:
    """Why the store does not work, in a few words; None for an error of a statement's own."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.Error) and code is not None:
        why = WHY.get(code & 0xFF)
        return None if why is None else f"{why} ({error.sqlite_errorname})"
    # So say the driver, and Python's module, of a connection that was closed, or whose thread has ended.
    lost = isinstance(error, sqlite3.Error | ValueError) and LOST.search(str(error)) is not None
    return "the connection to it is lost" if lost else None


def is_locked(error: BaseException) -> bool:
    """Whether another connection holds the lock that a statement needed."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
