"""The journal of requests: the latest ones, as they came and how they were answered, for tests of clients."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import orjson

from simulator.clock import wake

MOST_REQUESTS = 1000
MOST_BYTES = 4096
"""What is kept of a body."""
MOST_PARSED_BYTES = 64 * 1024
MASK = "***"
_SECRET = "password|secret|token|privatekey|authorization"  # noqa: S105 - names of fields
_SECRET_NAME = re.compile(rf"{_SECRET}|^session$", re.IGNORECASE)
_SECRET_MEMBER = re.compile(rf'("[^"\\]*(?:{_SECRET})[^"\\]*"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\\?$)', re.IGNORECASE)
_SESSION = re.compile(r"(/accounts/sessions/)[^/?]+")
_SECRET_PARAMETER = re.compile(rf"((?:{_SECRET})[^=&%]*(?:=|%3D))[^&]*", re.IGNORECASE)


class Entry(NamedTuple):
    """A request that was answered: `path` with its query string, as sent; `ended` by its clock's monotonic time."""

    number: int
    ended: float
    method: str
    path: str
    status: int
    seconds: float
    account: str | None
    job: str | None
    body: str | None


class Journal:
    """The latest requests, the oldest first; each has a number, one more than the one before."""

    def __init__(self, most: int = MOST_REQUESTS) -> None:
        self._entries: deque[Entry] = deque(maxlen=most)
        self._waiting: list[asyncio.Future[None]] = []
        self.last = 0
        """The number of the latest request there was."""

    def add(
        self,
        ended: float,
        method: str,
        path: str,
        status: int,
        seconds: float,
        account: str | None,
        job: str | None,
        body: bytes | None,
    ) -> None:
        """Keep a request. Secrets in it are not kept."""
        self.last += 1
        text = _without_secrets(body) if body else None
        self._entries.append(Entry(self.last, ended, method, path, status, seconds, account, job, text))
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                wake(future)

    def since(self, number: int) -> Iterator[Entry]:
        """Those after that one."""
        return (entry for entry in tuple(self._entries) if entry.number > number)

    def clear(self) -> None:
        """Forget all; numbers go on."""
        self._entries.clear()

    async def changed(self) -> None:
        """Wait for the next request."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            if future in self._waiting:
                self._waiting.remove(future)


def masked_path(path: str) -> str:
    """A path with its query string, without sessions and the values of parameters that are secrets."""
    return _SECRET_PARAMETER.sub(rf"\1{MASK}", _SESSION.sub(rf"\1{MASK}", path))


def _without_secrets(body: bytes) -> str:
    if len(body) <= MOST_PARSED_BYTES:
        try:
            return _cut(orjson.dumps(_masked(orjson.loads(body))))
        except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
            pass  # no JSON, or nested too deep
    return _SECRET_MEMBER.sub(rf'\1"{MASK}"', _cut(body))


def _cut(body: bytes) -> str:
    return body[:MOST_BYTES].decode(errors="replace")


def _masked(value: object) -> object:
    if isinstance(value, Mapping):
        return {
            name: MASK if _SECRET_NAME.search(name) and one is not None else _masked(one) for name, one in value.items()
        }
    if isinstance(value, list):
        return [_masked(one) for one in value]
    return value
