"""Heads of requests that were read before: a client sends the same with most of its requests, but for their paths."""

from __future__ import annotations

import re
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
MOST_HEADS = 256
MOST_BYTES = 4096
"""The longest head that is known, in bytes."""
END = b"\r\n\r\n"
REQUEST_LINE = re.compile(rb"GET (/[!$-;=?-Z_a-z~]{0,1023}) HTTP/1\.1\r\n")
"""The request line of a GET of a path that every reading leaves as it is, and that is not too long to be looked up."""


class Known(NamedTuple, Generic[T]):
    """The path of a request, with its query string as sent, and what is known of its head."""

    path: str
    found: T


class KnownHeads(Generic[T]):
    """What was found for the heads of GETs: the bytes after the request line, up to the end of the head."""

    def __init__(self) -> None:
        self._found: dict[bytes, T] = {}

    def find(self, data: bytes) -> Known[T] | None:
        """Return what is known of a request, which begins where `data` does and must be all of it; None for others."""
        line = REQUEST_LINE.match(data)
        if line is None:
            return None
        found = self._found.get(data[line.end() :])
        return None if found is None else Known(line[1].decode(), found)

    def keep(self, data: bytes, found: T) -> None:
        """Note what was found for a request without a body that is all of `data`, and was read and found sound."""
        line = REQUEST_LINE.match(data)
        if line is None or len(data) - line.end() > MOST_BYTES:
            return
        self._found[data[line.end() :]] = found
        if len(self._found) > MOST_HEADS:
            del self._found[next(iter(self._found))]


def is_one_head(data: bytes) -> bool:
    """Return whether the only end of a head in `data` is its own end."""
    return data.find(END) == len(data) - len(END) >= 0
