"""Answers that are given again: an unchanged question has the same answer for as long as the store is unchanged."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable

MOST_ANSWERS = 16 * 2**10
MOST_BYTES = 32 * 2**20
Question = tuple[Hashable, str]
"""Who asks, and the path and query string as they were sent."""


class ResponseCache:
    """The bodies that were worked out since the store last changed; the ones asked for longest ago go first.

    `revision` tells the store's revision, which goes up with every committed transaction.
    """

    def __init__(self, revision: Callable[[], int], *, most: int = MOST_ANSWERS, most_bytes: int = MOST_BYTES) -> None:
        self._revision = revision
        self._seen = revision()
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Question, tuple[bytes, str]] = OrderedDict()
        self._being_made: dict[Question, asyncio.Future[bytes | None]] = {}
        self.found: Counter[str] = Counter()
        """How often `find` found one, by what it was about."""

    def find(self, question: Question) -> bytes | None:
        """The answer, if it is kept and still stands."""
        kept = self._find(question)
        if kept is None:
            return None
        self.found[kept[1]] += 1
        return kept[0]

    def _find(self, question: Question) -> tuple[bytes, str] | None:
        self._forget_the_old()
        kept = self._kept.get(question)
        if kept is not None:
            self._kept.move_to_end(question)
        return kept

    async def get(self, question: Question, make: Callable[[], Awaitable[bytes]], about: str = "") -> bytes:
        """The answer, made if need be: once for all who ask at the same time. Raises what `make` raises."""
        while True:
            kept = self._find(question)
            body = None if kept is None else kept[0]
            made = self._being_made.get(question)
            if body is None and made is None:
                return await self._make(question, make, about)
            if body is None and made is not None:
                body = await asyncio.shield(made)  # others may be waiting for it, too
            if body is not None:
                return body

    async def _make(self, question: Question, make: Callable[[], Awaitable[bytes]], about: str) -> bytes:
        asked_at, body = self._seen, None
        made = self._being_made[question] = asyncio.get_running_loop().create_future()
        try:
            body = await make()
            return body
        finally:
            made.set_result(body)  # None if it failed: who waits then tries for himself
            self._forget_the_old()
            if asked_at == self._seen:
                del self._being_made[question]
                if body is not None:
                    self._keep(question, body, about)

    def _keep(self, question: Question, body: bytes, about: str) -> None:
        self._kept[question] = (body, about)
        self._bytes += _size(question, body)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            old, (its_body, _) = self._kept.popitem(last=False)
            self._bytes -= _size(old, its_body)

    def _forget_the_old(self) -> None:
        """An answer that is being made when the store changes goes to those who asked before, and to nobody else."""
        if self._revision() != self._seen:
            self._seen = self._revision()
            self._kept.clear()
            self._being_made.clear()
            self._bytes = 0


def _size(question: Question, body: bytes) -> int:
    return len(question[1]) + len(body)
