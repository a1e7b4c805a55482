"""The journal of requests: the latest ones, as they came and how they were answered, for tests of clients."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from imagestore_sim.masking import masked_json, masked_path
from imagestore_sim.rest.binding import parse_body
from imagestore_sim.rest.errors import PlainError
from imagestore_sim.tasks import LARGE as READ_IN_A_THREAD

MOST_REQUESTS = 1000
MOST_BYTES = 4096
"""What is kept of a body."""
UNREADABLE = "(not kept: it cannot be read as the JSON of one object)"
NOT_READ = "(not kept: it was not read)"
Body = Mapping[str, object] | bytes | str | None
"""A body as it was read, or its bytes where it was not, or what is to be said of it."""


class Entry(NamedTuple):
    """A request that was answered: `path` with its query string, as sent but for secrets; `ended` by its clock's
    monotonic time."""

    number: int
    ended: float
    method: str
    path: str
    status: int
    seconds: float
    account: str | None
    job: str | None
    body: str | None


Matches = Callable[[Entry], object]
Tell = Callable[[Entry], None]


class Journal:
    """The latest requests, the oldest first; each has a number, one more than the one before."""

    def __init__(self, most: int = MOST_REQUESTS) -> None:
        self._entries: deque[Entry] = deque(maxlen=most)
        self._watched: dict[Hashable, tuple[Matches, list[Tell]]] = {}
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
        body: Body,
    ) -> None:
        """Keep a request. Secrets in it are not kept."""
        self.last += 1
        shown = masked_path(path)
        entry = Entry(self.last, ended, method, shown, status, seconds, account, job, _shown(body))
        self._entries.append(entry)
        for matches, listeners in list(self._watched.values()):
            if matches(entry):
                for tell in tuple(listeners):
                    tell(entry)

    def since(self, number: int) -> Iterator[Entry]:
        """Those after that one."""
        return (entry for entry in tuple(self._entries) if entry.number > number)

    @property
    def watchers(self) -> int:
        """How many watch."""
        return sum(len(listeners) for _, listeners in self._watched.values())

    @contextmanager
    def watching(self, question: Hashable, matches: Matches, tell: Tell) -> Iterator[None]:
        """Tell of each request that matches while the block runs.

        Those with the same question share one look at each request.
        """
        _, listeners = self._watched.setdefault(question, (matches, []))
        listeners.append(tell)
        try:
            yield
        finally:
            listeners.remove(tell)
            if not listeners:
                del self._watched[question]

    def clear(self) -> None:
        """Forget all; numbers go on."""
        self._entries.clear()

    def restart(self) -> None:
        """Forget all, and begin with number 1 again; those who wait go on waiting."""
        self._entries.clear()
        self.last = 0


def _shown(body: Body) -> str | None:
    """The first of a body, without its secrets. One that cannot be read is not kept: who knows what is in it."""
    if body is None or isinstance(body, str):
        return body
    if not isinstance(body, bytes):
        return masked_json(body, MOST_BYTES)
    if not body:
        return None
    if len(body) >= READ_IN_A_THREAD:
        return NOT_READ
    try:
        read = parse_body(body)
    except PlainError:
        return UNREADABLE
    return None if read is None else masked_json(read, MOST_BYTES)
