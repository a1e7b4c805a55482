"""Temporary folders, of which a later process removes those whose own was killed.

A folder holds a file that its process has locked; the kernel lets go of the lock however the process ends. The file
gets its name once it is locked, so that no folder is ever there with a file that only looks unused.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import shutil
import tempfile
from contextlib import closing, suppress
from functools import cache
from itertools import islice
from pathlib import Path

from typing_extensions import override

logger = logging.getLogger(__name__)
PREFIX = "imagestore-sim-"
LOCK = ".in-use"
"""The file in a folder that its process has locked."""
MOST_LOOKED_AT = 10_000
"""Names that are read in the folder of temporary files."""
MOST_REMOVED = 20
"""Folders that a process removes: the next one removes others."""
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_LOCK = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TemporaryFolder(tempfile.TemporaryDirectory[str]):
    """A temporary folder that is removed by `cleanup`, or by a later process of its user.

    The first one of a process removes what earlier ones have left.
    """

    def __init__(self) -> None:
        """Make the folder. Raise OSError."""
        super().__init__(prefix=PREFIX)
        self._lock: io.FileIO | None = None
        try:
            _tidy(str(Path(self.name).parent))
            self._lock = _locked(Path(self.name))
        except BaseException:
            self.cleanup()
            raise

    @override
    def cleanup(self) -> None:
        """Remove it. May be called again."""
        super().cleanup()
        if self._lock is not None:
            self._lock.close()


def _locked(folder: Path) -> io.FileIO | None:
    """Make and lock the file of a folder, and return it; None on a file system without locks: it is left then."""
    unnamed = folder / f"{LOCK}.new"
    file = io.FileIO(unnamed, "x")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        unnamed.unlink()
        return None
    unnamed.rename(folder / LOCK)
    return file


@cache
def _tidy(parent: str) -> None:
    """Remove what is left in a folder of temporary files, once in a process."""
    try:
        removed = remove_leftovers(parent)
    except OSError as error:
        logger.info("%s cannot be tidied: %s", parent, error.strerror)
        return
    if removed:
        logger.info("%d temporary folders were removed whose processes had been killed", removed)


def remove_leftovers(parent: str) -> int:
    """Remove temporary folders of this user whose process has ended; return how many. Raise OSError."""
    there = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(there) as entries:
            names = [entry.name for entry in islice(entries, MOST_LOOKED_AT) if entry.name.startswith(PREFIX)]
        return sum(1 for _ in islice(filter(lambda name: _remove(name, there), names), MOST_REMOVED))
    finally:
        os.close(there)


def _remove(name: str, parent: int) -> bool:
    """Remove a folder if it is this user's, and no process holds its lock. Return whether that was done.

    All that is removed is below the folder that was opened, wherever its name leads by then.
    """
    with suppress(OSError):
        folder = os.open(name, OPEN_FOLDER, dir_fd=parent)
        try:
            if os.fstat(folder).st_uid != os.geteuid():
                return False
            with closing(io.FileIO(os.open(LOCK, OPEN_LOCK, dir_fd=folder), "r+")) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: its process lives, or another removes it
                if not _is_there(lock, folder):
                    return False  # another process has removed it
                _empty(folder)
                os.unlink(LOCK, dir_fd=folder)  # the last: a removal that is cut off is made again
                os.rmdir(name, dir_fd=parent)
                return True
        finally:
            os.close(folder)
    return False


def _is_there(lock: io.FileIO, folder: int) -> bool:
    there, opened = os.stat(LOCK, dir_fd=folder, follow_symlinks=False), os.fstat(lock.fileno())
    return (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)


def _empty(folder: int) -> None:
    """Remove all that is in a folder but the lock. Raise OSError."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries if entry.name != LOCK]
    for name, is_folder in found:
        if is_folder:
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
