"""Where a database is: a file or a URL; and whether the file can be used at all."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from imagestore_sim.database.errors import DatabaseError, is_locked, reason_of

SQLITE = "sqlite+aiosqlite"
OUR_TABLES = {"alembic_version", "BackupStorageVO"}
FORBIDDEN_RIGHTS = stat.S_IRWXG | stat.S_IRWXO
BESIDE = ("-wal", "-shm", "-journal", ".lock", ".known_hosts")
"""What is added to the name of a database for the files beside it: SQLite's, and a node's own."""
WRITTEN_BESIDE = ("-wal", "-shm")
"""SQLite's write-ahead log, and the index of that, which are there while a database is in use."""


def url_of(location: str) -> URL:
    """The SQLAlchemy URL of a file's path, or of a URL. Raises DatabaseError."""
    url = _parse(location) if "://" in location else URL.create(SQLITE, database=location)
    if url.get_backend_name() != "sqlite":
        return url
    if url.database in (None, "", ":memory:"):
        raise DatabaseError(f"{location}: a database in memory is not offered, give the path of a file")
    if url.query:
        raise DatabaseError(f"{location}: a SQLite URL takes no parameters here, give the path of a file")
    return URL.create(SQLITE, database=url.database)


def _parse(location: str) -> URL:
    try:
        return make_url(location)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        scheme = location.partition("://")[0]  # the rest may hold a password
        raise DatabaseError(f"{scheme}://...: this is neither a file nor a database URL") from None


def file_of(location: str) -> Path | None:
    """The file that a location names, if it is SQLite's: where links lead to, so that two names are one file.

    Raises DatabaseError.
    """
    url = url_of(location)
    if url.get_backend_name() != "sqlite":
        return None
    try:
        return Path(str(url.database)).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle; a name that no file can have
        raise DatabaseError(f"{location}: this cannot be the path of a file: {error}") from None


def keep_private(file: Path) -> None:
    """Make a database its owner's alone (0600), whatever the umask, and what SQLite keeps beside it as well.

    A file that is not there yet is made empty: SQLite gives the files beside it the rights that it has. Raises
    DatabaseError where others keep their rights, as on a file system that knows none.
    """
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for one in (file, *(file.with_name(file.name + suffix) for suffix in BESIDE)):
            if one.exists() and one.stat().st_mode & FORBIDDEN_RIGHTS:
                one.chmod(0o600)
        others = stat.S_IMODE(file.stat().st_mode) & FORBIDDEN_RIGHTS
    except OSError as error:
        raise DatabaseError(
            f"{file}: cannot be made its owner's alone: {error.strerror}; run chmod 600 on it"
        ) from None
    if others:
        raise DatabaseError(f"{file}: others than its owner may use it, and chmod changes nothing here; move it")


class FileLock:
    """Keeps a second management node off a database file; the kernel lets go of it with the process."""

    def __init__(self, file: Path) -> None:
        lock = file.with_name(file.name + ".lock")
        try:
            self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise DatabaseError(f"{lock}: the lock file cannot be used: {error.strerror}") from None
        try:
            self._take(file)
        except BaseException:
            self.release()
            raise

    def _take(self, file: Path) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise DatabaseError(f"{file}: is in use by another management node (process {holder}); stop that") from None
        except OSError as error:
            raise DatabaseError(f"{file}: cannot be locked: {error.strerror}") from None

    def release(self) -> None:
        """Let another node have the file."""
        os.close(self._descriptor)


def identity_of(file: Path) -> tuple[int, int] | None:
    """Device and inode of a file, whatever its name; None if there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class InodeLock:
    """Keeps a second management node off a database that has another name for it: a hard link, or another mount.

    The descriptor is closed after SQLite's: to close any descriptor of a file gives up the locks that SQLite has on it.
    """

    _held: ClassVar[set[tuple[int, int]]] = set()
    """The files that are in use in this process, of which no descriptor may be opened and closed."""

    def __init__(self, file: Path) -> None:
        """Make the file its owner's alone, and lock it. Raises DatabaseError."""
        in_use = DatabaseError(
            f"{file}: is in use by another management node under another name, a hard link or a mount; stop that"
        )
        if identity_of(file) in self._held:
            raise in_use
        keep_private(file)
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise DatabaseError(f"{file}: cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise in_use from None
        except OSError as error:
            os.close(self._descriptor)
            raise DatabaseError(f"{file}: cannot be locked: {error.strerror}") from None
        found = os.fstat(self._descriptor)
        self._identity = (found.st_dev, found.st_ino)
        self._held.add(self._identity)

    def release(self) -> None:
        """Let another node have the file."""
        self._held.discard(self._identity)
        os.close(self._descriptor)


def check_file(file: Path) -> None:
    """Raises DatabaseError unless the file, or the folder it is to be made in, can be read and written."""
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
        return _problem_of_none(file)
    if not file.is_file():
        return "is a device or a pipe, give the path of a file"
    if not os.access(file, os.R_OK | os.W_OK):
        return "there is no permission to read and write it"
    return _problem_of_none(file) if file.stat().st_size == 0 else None


def _problem_of_none(file: Path) -> str | None:
    """What speaks against making a database where there is none: SQLite deletes a log that belongs to none."""
    log = file.with_name(file.name + WRITTEN_BESIDE[0])
    if os.path.isfile(log) and log.stat().st_size > 0:  # no error for a name that is too long
        return f"is gone, but changes that belong to it are in {log}; put it back, or delete that file"
    return None


@contextmanager
def connect_read_only(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the file that changes nothing in it."""
    connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()


def version_of(file: Path, known: Collection[str]) -> str | None:
    """The version of the tables in a file; None if there are none yet.

    Raises DatabaseError for a file that is not SQLite's, or not ours, or of a version that is not `known`.
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
        raise DatabaseError(f"{file}: cannot be read as a SQLite database ({error}), give another path") from None
    version = str(row[0]) if row else None
    if version is not None and version not in known:
        raise DatabaseError(f"{file}: has tables of version {version}, which a newer imagestore-sim made; use that one")
    return version
