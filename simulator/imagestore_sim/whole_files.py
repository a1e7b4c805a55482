"""Read files that people name, which may be devices without an end, or pipes into which nothing is written."""

from __future__ import annotations

import errno
import os
import select
import stat
from io import FileIO
from pathlib import Path

MOST_BYTES = 256 * 2**20
"""Bytes of a file that are read at most."""
PIECE = 2**20
PIPE_SECONDS = 20.0
"""How long a pipe may bring nothing. What writes into it may have to ask for a passphrase; while it is waited for, a
signal may end nothing."""


def read_bytes(file: Path, most: int = MOST_BYTES) -> bytes:
    """Return what a file holds.

    Raise OSError: EFBIG for one of more than `most` bytes, ETIMEDOUT for a pipe that brings nothing for PIPE_SECONDS.
    """
    pieces, left = [], most + 1
    # A pipe that is opened without O_NONBLOCK waits for what writes into it, as long as there is none.
    with FileIO(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)) as opened:
        is_regular = stat.S_ISREG(os.fstat(opened.fileno()).st_mode)
        while left > 0:
            if not is_regular:
                _wait_for_bytes(opened, file)
            if not (piece := opened.read(min(PIECE, left))):
                break
            pieces.append(piece)
            left -= len(piece)
    if left <= 0:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(file))
    return b"".join(pieces)


def read_text(file: Path, errors: str = "strict") -> str:
    """Return the text of a file in UTF-8, with line feeds alone between lines. Raise OSError, UnicodeDecodeError."""
    text = read_bytes(file).decode("utf-8", errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _wait_for_bytes(opened: FileIO, file: Path) -> None:
    """Wait until a pipe or a device has something to read, or has ended; for a person at a terminal without a limit."""
    is_pipe = stat.S_ISFIFO(os.fstat(opened.fileno()).st_mode)
    waiting = select.poll()
    waiting.register(opened, select.POLLIN)
    if not waiting.poll(PIPE_SECONDS * 1000 if is_pipe else None):
        raise TimeoutError(errno.ETIMEDOUT, f"nothing came through this pipe for {PIPE_SECONDS:g} s", str(file))
