"""Read files that people name, which may be devices without an end."""

from __future__ import annotations

import errno
import os
from pathlib import Path

MOST_BYTES = 256 * 2**20
"""Bytes of a file that are read at most."""
PIECE = 2**20


def read_bytes(file: Path, most: int = MOST_BYTES) -> bytes:
    """Return what a file holds. Raise OSError: EFBIG for one of more than `most` bytes."""
    pieces, left = [], most + 1
    with file.open("rb") as opened:
        while left > 0 and (piece := opened.read(min(PIECE, left))):
            pieces.append(piece)
            left -= len(piece)
    if left <= 0:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(file))
    return b"".join(pieces)


def read_text(file: Path, errors: str = "strict") -> str:
    """Return the text of a file in UTF-8, with line feeds alone between lines. Raise OSError, UnicodeDecodeError."""
    text = read_bytes(file).decode("utf-8", errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")
