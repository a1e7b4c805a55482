"""The folder of a search: findings and the state, written whole or not at all, by one search at a time."""

from __future__ import annotations

import fcntl
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LEAST_BYTES = 16 * 2**20
"""Of free space for temporary files: a story takes a few megabytes."""
LEAST_FILES = 100


class FolderProblem(Exception):
    """The folder cannot be used, or a file in it be written; the text says which, and why."""


class NoRoom(Exception):
    """Stories cannot be played on this machine now; the text says why. What a story shows then is no finding."""


def check_room() -> None:
    """Raise NoRoom if the folder of temporary files, where stories have their databases, is full, or nearly so.

    A limit of the length of files, too, shows as what a story does wrong.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if most != resource.RLIM_INFINITY and most < LEAST_BYTES:
        raise NoRoom(
            f"files may be {most} bytes long at most, which is too little for stories; raise that by ulimit -f"
        )
    folder = tempfile.gettempdir()
    there = os.statvfs(folder)
    has_files = not there.f_files or there.f_favail >= LEAST_FILES  # some file systems do not count them
    if there.f_bavail * there.f_frsize < LEAST_BYTES or not has_files:
        raise NoRoom(f"{folder} is full, where stories have their databases; make room, or set TMPDIR to another one")


def damaged(file: Path, what: str) -> FolderProblem:
    """Return the problem of a file that a search cannot resume from."""
    return FolderProblem(f"{file}: {what}; remove the file to start from the first seed")


def check_writable(folder: Path) -> None:
    """Check that files can be written into a folder, or that it can be made. Raise FolderProblem."""
    with _told(folder):
        absolute = folder.absolute()  # raises where the working directory is gone
    there = next((one for one in (folder, *absolute.parents) if one.exists() or one.is_symlink()), folder)
    with _told(there), tempfile.TemporaryFile(dir=there):
        pass


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keep other searches that resume off a folder, which is made. Raise FolderProblem if there is one."""
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"{folder}: another search goes on there; give this one a folder of its own, or that one a larger -j"
            raise FolderProblem(text) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def write_whole(file: Path, content: bytes) -> None:
    """Write a file, whose folder is made. It is as it was if that fails. Raise FolderProblem."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    with _told(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            partial.replace(file)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderProblem(f"{file}: {error.strerror}") from None
