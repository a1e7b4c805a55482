"""The calls of clients that a story is made of: those that changed something, and all while the node has faults.

They outlive the journal.

Queries and polls fill the journal within seconds where a client polls; what was done by hand is to be found afterwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from imagestore_sim.rest.jobs import POLLS
from imagestore_sim.rest.journal import Entry

MOST_CALLS = 2000
"""Calls that are kept; the oldest go first."""
MOST_BYTES = 8 * 2**20
"""The most bytes of paths, headers and bodies that they hold together."""
READS = ("APIQuery", "APIGet", "APIIs", "APIZQL", "APIBatchQuery", "APIValidate", "APICheck")
"""How the classes of messages begin that change nothing, whatever their HTTP method is."""
SESSIONS = ("APILogIn", "APILogOut", "APIRenewSession")


class CallHistory:
    """The latest calls that belong to a story; the journal calls `add` with each row that `concerns` it."""

    def __init__(self, has_faults: Callable[[], bool] = lambda: False) -> None:
        """`has_faults` returns whether faults of the management plane are set, which count all requests."""
        self._has_faults = has_faults
        self._calls: deque[Entry] = deque()
        self._bytes = 0
        self.forgotten: float | None = None
        """When the latest call was answered that was dropped for want of room, in monotonic seconds; None: none was."""

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._calls))

    def concerns(self, entry: Entry) -> bool:
        """Return whether a row of the journal belongs to a story."""
        if entry.faults or (self._has_faults() and entry.api != POLLS and not entry.api.startswith(SESSIONS)):
            return True
        return entry.method in ("POST", "PUT", "DELETE") and not entry.api.startswith((*READS, *SESSIONS))

    def add(self, entry: Entry) -> None:
        """Keep a call."""
        self._calls.append(entry)
        self._bytes += entry.size
        while len(self._calls) > MOST_CALLS or (self._bytes > MOST_BYTES and len(self._calls) > 1):
            oldest = self._calls.popleft()
            self._bytes -= oldest.size
            self.forgotten = oldest.ended

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()
        self._bytes = 0
        self.forgotten = None
