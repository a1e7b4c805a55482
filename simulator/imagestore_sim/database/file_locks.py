"""Locks that keep a second management node off a database file, and the rights of that file."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import ClassVar

from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.location import BESIDE, FORBIDDEN_RIGHTS, identity_of


def keep_private(file: Path) -> None:
    """Set the rights of a database and of the files beside it to 0600, whatever the umask.

    A missing file is created empty, because SQLite gives the files beside it the same rights. Raise DatabaseError when
    the rights cannot be changed, as on a file system without any.
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
    """A lock on a file beside the database; the kernel releases it when the process ends."""

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
        """Release the lock."""
        os.close(self._descriptor)


class InodeLock:
    """A lock on the database file itself, for a node that has another name for it: a hard link, or another mount.

    `release` must come after SQLite has closed the file: closing any descriptor of a file releases the POSIX locks that
    the process holds on it, and SQLite's are such locks.
    """

    _held: ClassVar[set[tuple[int, int]]] = set()
    """Device and inode of the files in use in this process, of which no descriptor may be opened and closed."""

    def __init__(self, file: Path) -> None:
        """Keep the file private, and lock it. Raise DatabaseError."""
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
        """Release the lock."""
        self._held.discard(self._identity)
        os.close(self._descriptor)
