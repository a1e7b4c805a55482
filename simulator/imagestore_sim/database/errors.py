"""Errors of the store, and the reasons that SQLite or MariaDB gives for them."""

from __future__ import annotations

import re
import sqlite3

from sqlalchemy.exc import DBAPIError

from imagestore_sim.database.mariadb.reasons import (
    CHANGED,
    CONFLICTS,
    OUT_OF_RANGE,
    code_of,
    is_mariadb,
    mariadb_reason,
    mariadb_text,
)

_REASONS = {
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
"""Texts for SQLite's primary result codes, except those that mean a mistake in the statement itself."""

CLOSED = "the database is closed"
_CHANGED_TABLES = re.compile(r"no such (table|column): |has no column named ")
"""What SQLite says where another program has changed the tables while the node uses them."""
_CONNECTION_LOST = re.compile("connection closed|no active connection|closed database", re.IGNORECASE)


class DatabaseError(Exception):
    """A database that cannot be opened. The text is one line for people, with the file's name and what to do."""


class StoreUnavailable(DatabaseError):
    """A read or write of the store that failed and changed nothing. The text holds neither SQL nor values."""


class OutcomeUnknown(StoreUnavailable):
    """A transaction of MariaDB whose connection was lost during its commit: it may have changed all, or nothing."""


class StoreConflict(StoreUnavailable):
    """A transaction that MariaDB has undone for the sake of another one. It may be run again at once, as a whole."""


class UuidTaken(Exception):
    """A resource, of whatever type, has the uuid already that another one is to get."""

    def __init__(self, uuid: str) -> None:
        super().__init__(f"a resource[uuid:{uuid}] is there already")
        self.uuid = uuid


def reason_of(error: BaseException) -> str | None:
    """Return in a few words why the store failed; None when the statement itself is at fault."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.Error) and code is not None:
        if code == sqlite3.SQLITE_ERROR and _CHANGED_TABLES.search(str(error)):
            return f"{CHANGED}: {error}"
        reason = _REASONS.get(code & 0xFF)  # the low byte of an extended result code is the primary one
        return None if reason is None else f"{reason} ({error.sqlite_errorname})"
    if is_mariadb(error):
        return mariadb_reason(error)
    # aiosqlite raises ValueError, and sqlite3 an error without a code, for a connection that is closed.
    lost = isinstance(error, sqlite3.Error | ValueError) and _CONNECTION_LOST.search(str(error)) is not None
    return "the connection to it is lost" if lost else None


def is_conflict(error: BaseException) -> bool:
    """Return whether MariaDB has undone the transaction for the sake of another one."""
    return is_mariadb(error) and code_of(error) in CONFLICTS


def is_locked(error: BaseException) -> bool:
    """Return whether a statement failed because another connection holds the lock that it needs."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)


def is_out_of_range(error: BaseException) -> bool:
    """Return whether a statement failed because the result of an operation is no number of the database's.

    SQLite says so of an OverflowError in a function of ours.
    """
    cause = original(error)
    if is_mariadb(cause):
        return code_of(cause) == OUT_OF_RANGE
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_TOOBIG


def is_not_opened(error: BaseException) -> bool:
    """Return whether SQLite could not open a file, or one beside it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CANTOPEN


def original(error: BaseException) -> BaseException:
    """Return the driver's error inside an error of SQLAlchemy's; any other error as it is."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def describe(error: BaseException) -> str:
    """Return what went wrong, in one line without SQL and without values."""
    cause = original(error)
    if is_mariadb(cause):
        return mariadb_reason(cause) or mariadb_text(cause)
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return reason_of(cause) or str(cause)
