"""A database file that several nodes of one process share: one lock for their writes, one count of their changes."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Self

from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.file_locks import FileLock, InodeLock


class SharedFile:
    """What the databases that share a file in this process have in common.

    The first one that joins locks the file against other processes, the last one that leaves releases it. All of them
    must run on the same event loop.
    """

    _open: ClassVar[dict[Path, SharedFile]] = {}

    def __init__(self, file: Path) -> None:
        """Lock the file. Raise DatabaseError."""
        self.revision = 0
        """The number of transactions that all of them have committed."""
        self.write_lock = asyncio.Lock()
        """Held by the task whose transaction runs, in whichever database."""
        self.opening = asyncio.Lock()
        """Held while one of them makes or migrates the tables."""
        self._file = file
        self._users = 0
        self._loop = asyncio.get_running_loop()
        with ExitStack() as to_release:
            to_release.callback(FileLock(file).release)
            to_release.callback(InodeLock(file).release)
            self._to_release = to_release.pop_all()

    @classmethod
    def join(cls, file: Path) -> Self:
        """Return what is shared of a file, for one database more. Raise DatabaseError."""
        found = cls._open.get(file)
        if found is None:
            found = cls._open[file] = cls(file)
        if found._loop is not asyncio.get_running_loop():
            raise DatabaseError(f"{file}: is in use on another event loop of this process; stop the node there")
        assert isinstance(found, cls)
        found._users += 1
        return found

    def leave(self) -> None:
        """Release the file after the last database that shares it has been closed."""
        self._users -= 1
        if not self._users:
            del self._open[self._file]
            self._to_release.close()
