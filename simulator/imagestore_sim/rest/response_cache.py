"""Bodies of earlier responses: while the store is unchanged, the same request has the same response."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable

MAX_ENTRIES = 16 * 2**10
MAX_BYTES = 32 * 2**20
Key = tuple[Hashable, str]
"""The caller's identity, and the path with its query string as sent."""


class ResponseCache:
    """The bodies made since the last change of the store, the least recently used dropped first.

    `revision` returns the store's revision, which grows with every committed transaction. The cache holds at most
    `max_entries` bodies, and at most `max_bytes` bytes of paths and bodies.
    """

    def __init__(
        self, revision: Callable[[], int], *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._revision = revision
        self._revision_seen = revision()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Key, tuple[bytes, str]] = OrderedDict()
        self._in_progress: dict[Key, asyncio.Future[bytes | None]] = {}
        self.hits: Counter[str] = Counter()
        """How often `find` returned a body, by its label."""

    def find(self, key: Key) -> tuple[bytes, str] | None:
        """Return the cached body for `key` and its label, or None. Count a hit."""
        entry = self._find(key)
        if entry is not None:
            self.hits[entry[1]] += 1
        return entry

    def label(self, key: Key) -> str | None:
        """Return the label of the cached body for `key`, or None. Count nothing."""
        entry = self._find(key)
        return None if entry is None else entry[1]

    def _find(self, key: Key) -> tuple[bytes, str] | None:
        self._drop_stale()
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    async def get(self, key: Key, make: Callable[[], Awaitable[bytes]], label: str = "") -> bytes:
        """Return the body for `key`, calling `make` on a miss: once for all concurrent callers. Raise what it raises.

        `label` is what a hit is counted under.
        """
        while True:
            entry = self._find(key)
            body = None if entry is None else entry[0]
            in_progress = self._in_progress.get(key)
            if body is None and in_progress is None:
                return await self._make(key, make, label)
            if body is None and in_progress is not None:
                body = await asyncio.shield(in_progress)  # other callers may be waiting for it, too
            if body is not None:
                return body

    async def _make(self, key: Key, make: Callable[[], Awaitable[bytes]], label: str) -> bytes:
        revision, body = self._revision_seen, None
        in_progress = self._in_progress[key] = asyncio.get_running_loop().create_future()
        try:
            body = await make()
            return body
        finally:
            in_progress.set_result(body)  # None if `make` failed: each waiting caller then tries by itself
            self._drop_stale()
            if revision == self._revision_seen:
                del self._in_progress[key]
                if body is not None:
                    self._keep(key, body, label)

    def _keep(self, key: Key, body: bytes, label: str) -> None:
        self._entries[key] = (body, label)
        self._bytes += _size(key, body)
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            oldest, (its_body, _) = self._entries.popitem(last=False)
            self._bytes -= _size(oldest, its_body)

    def _drop_stale(self) -> None:
        """Drop everything if the store has changed.

        A body that is being made at that moment still goes to the callers that wait for it, but is not kept: it may
        have been read before the change.
        """
        if self._revision() != self._revision_seen:
            self._revision_seen = self._revision()
            self._entries.clear()
            self._in_progress.clear()
            self._bytes = 0


def _size(key: Key, body: bytes) -> int:
    return len(key[1]) + len(body)
