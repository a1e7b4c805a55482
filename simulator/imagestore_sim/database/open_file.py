"""The open database file, and how to notice that somebody deleted or replaced it or its write-ahead log."""

from __future__ import annotations

from pathlib import Path

from imagestore_sim.database.errors import StoreUnavailable
from imagestore_sim.database.location import WRITTEN_BESIDE, identity_of

_FILE_IS_GONE = "the file was deleted, moved or replaced while it was in use; put it back, or start the node again"
LOG_IS_LOST = "its write-ahead log was deleted or replaced while it was in use"


class OpenFile:
    """Compares the files on disk, by device and inode, with those that SQLite has open.

    SQLite keeps writing to a file that has lost its name, and what it writes there is gone when the process ends. So
    each transaction checks the database file, its write-ahead log and the log's index first.
    """

    def __init__(self, file: Path, *, shared: bool = False) -> None:
        """Take the database file. A `shared` one is open in other databases of this process as well."""
        self.path = file
        self.is_shared = shared
        self._beside = tuple(file.with_name(file.name + suffix) for suffix in WRITTEN_BESIDE)
        self._identity = identity_of(file)
        self._log_identities: tuple[tuple[int, int] | None, ...] = ()

    def check(self) -> None:
        """Raise StoreUnavailable if the file no longer has its name."""
        if identity_of(self.path) != self._identity:
            raise StoreUnavailable(_FILE_IS_GONE)

    def is_in_place(self) -> bool:
        """Return whether the file and the write-ahead log in use have their names."""
        return identity_of(self.path) == self._identity and bool(self._log_identities) and not self.has_lost_log()

    def remember_log(self) -> None:
        """Remember which write-ahead log is in use, unless one is remembered. SQLite must have opened it by now."""
        self._log_identities = self._log_identities or self._current_log_identities()

    def forget_log(self) -> None:
        """Forget the write-ahead log, since every connection to it has been closed."""
        self._log_identities = ()

    def has_lost_log(self) -> bool:
        """Return whether the write-ahead log in use, or its index, no longer has its name."""
        return bool(self._log_identities) and self._log_identities != self._current_log_identities()

    def _current_log_identities(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(identity_of(one) for one in self._beside)
