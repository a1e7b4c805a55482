"""The location of a database, a file or a URL, and checks that its file can be used."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from imagestore_sim.database.errors import DatabaseError, is_locked, is_not_opened, reason_of
from imagestore_sim.database.mariadb.address import EXAMPLE, NAMES, mariadb_url, shown

SQLITE = "sqlite+aiosqlite"
OUR_TABLES = {"alembic_version", "BackupStorageVO"}
FORBIDDEN_RIGHTS = stat.S_IRWXG | stat.S_IRWXO
BESIDE = ("-wal", "-shm", "-journal", ".lock", ".known_hosts")
"""Suffixes of the files beside a database: SQLite's, and a node's own."""
_NO_URL = "this is neither a file nor a database URL"
_ESCAPED = "%40, %3A, %2F and %25 for @, :, / and % in a password"
_LOG_NEEDS_A_FOLDER = (
    "its write-ahead log cannot be read in a folder without the permission to write; copy the two to another folder"
)
WRITTEN_BESIDE = ("-wal", "-shm")
"""Suffixes of SQLite's write-ahead log and its index, which exist while a database is in use."""


def url_of(location: str) -> URL:
    """Return the SQLAlchemy URL of a path or URL. Raise DatabaseError."""
    url = _parse(location) if "://" in location else _path(location)
    if url.drivername in NAMES:
        return mariadb_url(url)
    if url.get_backend_name() != "sqlite":
        raise DatabaseError(f"{url.drivername}://...: is not served; give the path of a SQLite file, or {EXAMPLE}")
    if url.database in (None, "", ":memory:"):
        raise DatabaseError(f"{location}: a database in memory is not offered, give the path of a file")
    if url.query:
        raise DatabaseError(f"{location}: a SQLite URL takes no parameters here, give the path of a file")
    return URL.create(SQLITE, database=url.database)


def _path(location: str) -> URL:
    scheme = location.partition(":")[0].lower()
    if scheme in NAMES and scheme != location.lower():  # the rest may hold a password
        raise DatabaseError(f"{scheme}:...: {_NO_URL}; expected {EXAMPLE}")
    return URL.create(SQLITE, database=location)


def _parse(location: str) -> URL:
    scheme, _, rest = location.partition("://")
    try:
        url = make_url(f"{scheme.lower()}://{rest}")
        if url.drivername in NAMES:
            rest.encode()  # a variable may hold bytes that are no text
    except (ArgumentError, ValueError):  # ValueError: a port that is no number, and what is no text
        url = None
    if url is not None and (url.drivername not in NAMES or rest.count("@") <= 1):
        return url
    hint = f"; expected {EXAMPLE}, with {_ESCAPED}" if scheme.lower() in NAMES else ""
    raise DatabaseError(f"{scheme}://...: {_NO_URL}{hint}")  # the rest may hold a password


def file_of(location: str) -> Path | None:
    """Return the file of a location, with links resolved; None if it is not SQLite's. Raise DatabaseError."""
    url = url_of(location)
    if url.get_backend_name() != "sqlite":
        return None
    try:
        return Path(str(url.database)).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle; a name that no file can have
        raise DatabaseError(f"{location}: this cannot be the path of a file: {error}") from None


def shown_location(location: str) -> str:
    """Return a location for people: a path as it is, a URL without its password. Raise DatabaseError."""
    return location if file_of(location) is not None else shown(url_of(location))


def identity_of(file: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file; None if it does not exist."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def check_file(file: Path) -> None:
    """Raise DatabaseError unless the file, or the folder to create it in, can be read and written."""
    try:
        problem = _problem_of(file)
    except OSError as error:  # a name that is too long, a folder that may not be entered
        problem = f"cannot be used: {error.strerror}"
    if problem is not None:
        raise DatabaseError(f"{file}: {problem}")


def _problem_of(file: Path) -> str | None:
    if file.is_dir():
        return "is a directory, give the path of a file in it"
    if not file.parent.is_dir():
        return f"there is no folder {file.parent} to keep it in"
    if not os.access(file.parent, os.W_OK | os.X_OK):
        return f"there is no permission to write in the folder {file.parent}"
    if not file.exists():
        return _problem_of_leftover_log(file)
    if not file.is_file():
        return "is a device or a pipe, give the path of a file"
    if not os.access(file, os.R_OK | os.W_OK):
        return "there is no permission to read and write it"
    return _problem_of_leftover_log(file) if file.stat().st_size == 0 else None


def _problem_of_leftover_log(file: Path) -> str | None:
    """Return why no database may be created here: SQLite would delete the write-ahead log of one that is gone."""
    log = file.with_name(file.name + WRITTEN_BESIDE[0])
    if os.path.isfile(log) and log.stat().st_size > 0:  # no error for a name that is too long
        return f"is gone, but changes that belong to it are in {log}; put it back, or delete that file"
    return None


def read_only_parameters(file: Path) -> dict[str, str]:
    """Return the parameters of SQLite's URI by which it reads a file and writes nothing in it.

    SQLite makes an index of the write-ahead log even to read. In a folder where it cannot, a file without a log can be
    read as one that does not change: no node has it open.
    """
    log = file.with_name(file.name + WRITTEN_BESIDE[0])
    stands_alone = not os.access(file.parent, os.W_OK) and not os.path.lexists(log)
    return {"mode": "ro", **({"immutable": "1"} if stands_alone else {})}


@contextmanager
def connect_read_only(file: Path) -> Iterator[sqlite3.Connection]:
    """Connect to the file without changing anything in it or beside it."""
    connection = sqlite3.connect(f"{file.as_uri()}?{urlencode(read_only_parameters(file))}", uri=True)
    try:
        yield connection
    finally:
        connection.close()


def version_of(file: Path, known: Collection[str]) -> str | None:
    """Return the version of the tables in a file; None if it has no tables yet.

    Raise DatabaseError for a file that is not SQLite's, not ours, or of a version that is not in `known`.
    """
    if not file.exists() or file.stat().st_size == 0:
        return None
    try:
        with connect_read_only(file) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return None
            if not tables >= OUR_TABLES:
                raise DatabaseError(f"{file}: is the database of another program, give another path")
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        if is_locked(error):
            raise DatabaseError(f"{file}: cannot be read: {reason_of(error)}") from None
        if not os.access(file.parent, os.W_OK) and os.access(file, os.R_OK) and is_not_opened(error):
            raise DatabaseError(f"{file}: {_LOG_NEEDS_A_FOLDER}") from None
        raise DatabaseError(f"{file}: cannot be read as a SQLite database ({error}), give another path") from None
    version = str(row[0]) if row else None
    if version is not None and version not in known:
        raise DatabaseError(f"{file}: has tables of version {version}, which a newer imagestore-sim made; use that one")
    return version
