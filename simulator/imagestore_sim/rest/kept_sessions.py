"""Sessions in memory, found by the fingerprint of their uuid, by who has them, and by when they expire.

Each costs the same however many others there are.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from imagestore_sim.rest.identity import Identity

MOST_OUT_OF_DATE = 1000
"""Entries of the queue that count no more before it is made again, beside as many as there are sessions."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session by the fingerprint of its uuid. The uuid itself, which grants access, is stored nowhere.

    Dates are in epoch seconds.
    """

    key: str
    identity: Identity
    create_date: int
    expired_date: int


class KeptSessions:
    """The sessions of a node."""

    def __init__(self) -> None:
        self._by_key: dict[str, StoredSession] = {}
        self._of_user: dict[str, dict[str, None]] = {}
        self._of_account: dict[str, dict[str, None]] = {}
        self._queue: list[tuple[int, str]] = []
        """A time and a key for each session, the earliest first. Calls put the expiry off, and leave the time as it is.

        Others are out of date: their times are not in `_due`.
        """
        self._due: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._by_key))

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def get(self, key: str) -> StoredSession | None:
        """Return a session, None if it is not here."""
        return self._by_key.get(key)

    def put(self, session: StoredSession) -> None:
        """Add a session, or change it."""
        key, identity = session.key, session.identity
        if key not in self._by_key:
            self._of_user.setdefault(identity.user_uuid, {})[key] = None
            self._of_account.setdefault(identity.account_uuid, {})[key] = None
        self._by_key[key] = session
        due = self._due.get(key)
        if due is None or session.expired_date < due:
            self._enqueue(key, session.expired_date)

    def remove(self, key: str) -> None:
        """Remove a session, if it is here."""
        session = self._by_key.pop(key, None)
        if session is not None:
            del self._due[key]
            _discard(self._of_user, session.identity.user_uuid, key)
            _discard(self._of_account, session.identity.account_uuid, key)

    def of_user(self, user: str) -> Collection[str]:
        """Return the keys of the sessions of a user, or of an account itself."""
        return self._of_user.get(user, {})

    def of_account(self, account: str) -> Collection[str]:
        """Return the keys of the sessions of an account and of its users."""
        return self._of_account.get(account, {})

    def expired(self, before: int) -> list[str]:
        """Return the keys of the sessions that expired before a time, in epoch seconds. They stay until removed."""
        found: dict[str, int] = {}
        while self._queue and self._queue[0][0] < before:
            due, key = heapq.heappop(self._queue)
            if self._due.get(key) != due:
                continue
            if (expired_date := self._by_key[key].expired_date) < before:
                found[key] = due
            else:
                self._enqueue(key, expired_date)
        for key, due in found.items():
            heapq.heappush(self._queue, (due, key))
        return list(found)

    def _enqueue(self, key: str, due: int) -> None:
        self._due[key] = due
        heapq.heappush(self._queue, (due, key))
        if len(self._queue) > 2 * len(self._due) + MOST_OUT_OF_DATE:
            self._queue = [(due, key) for key, due in self._due.items()]
            heapq.heapify(self._queue)


def _discard(keys: dict[str, dict[str, None]], owner: str, key: str) -> None:
    del keys[owner][key]
    if not keys[owner]:
        del keys[owner]
