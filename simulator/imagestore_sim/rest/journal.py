"""The journal: the latest requests and how they were answered, for `/lab/v1/requests`."""

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
"""How many bytes of a body are kept."""
UNREADABLE = "(not kept: it cannot be read as the JSON of one object)"
NOT_READ = "(not kept: it was not read)"
Body = Mapping[str, object] | bytes | str | None
"""A parsed body; the bytes of one that was not parsed; or a note that stands in its place."""


class Entry(NamedTuple):
    """One row: a request that was answered. Path and body have their secrets masked."""

    number: int
    ended: float
    """When it was answered, in the clock's monotonic seconds."""
    method: str
    path: str
    """The path with its query string, as sent."""
    status: int
    seconds: float
    account: str | None
    job: str | None
    body: str | None
    faults: tuple[str, ...] = ()
    """The ids of the faults that it has met; its status is 0 if they let it have no answer."""


Matches = Callable[[Entry], object]
Listener = Callable[[Entry], None]


class Journal:
    """The latest requests, oldest first, numbered without gaps."""

    def __init__(self, most: int = MOST_REQUESTS) -> None:
        self._entries: deque[Entry] = deque(maxlen=most)
        self._watched: dict[Hashable, tuple[Matches, list[Listener]]] = {}
        self.last = 0
        """The number of the latest request."""

    def add(
        self,
        *,
        ended: float,
        method: str,
        path: str,
        status: int,
        seconds: float,
        account: str | None,
        job: str | None,
        body: Body,
        faults: tuple[str, ...] = (),
    ) -> None:
        """Write a row with its secrets masked, and call the listeners that it matches."""
        self.last += 1
        masked = masked_path(path)
        entry = Entry(self.last, ended, method, masked, status, seconds, account, job, _shown(body), faults)
        self._entries.append(entry)
        for matches, listeners in list(self._watched.values()):
            if matches(entry):
                for listener in tuple(listeners):
                    listener(entry)

    def since(self, number: int) -> Iterator[Entry]:
        """Return the rows after that number, oldest first."""
        return (entry for entry in tuple(self._entries) if entry.number > number)

    @property
    def watchers(self) -> int:
        """Return the number of listeners."""
        return sum(len(listeners) for _, listeners in self._watched.values())

    @contextmanager
    def watching(self, key: Hashable, matches: Matches, listener: Listener) -> Iterator[None]:
        """Call `listener` with each new row that matches, while the block runs.

        Listeners with the same key must have the same condition: it is evaluated once a row for all of them.
        """
        _, listeners = self._watched.setdefault(key, (matches, []))
        listeners.append(listener)
        try:
            yield
        finally:
            listeners.remove(listener)
            if not listeners:
                del self._watched[key]

    def clear(self) -> None:
        """Delete all rows, and keep counting."""
        self._entries.clear()

    def restart(self) -> None:
        """Delete all rows, and count from 1 again. Listeners stay."""
        self._entries.clear()
        self.last = 0


def _shown(body: Body) -> str | None:
    """Return the beginning of a body with its secrets masked.

    A body that cannot be parsed is not kept, since its secrets cannot be found.
    """
    if body is None or isinstance(body, str):
        return body
    if not isinstance(body, bytes):
        return masked_json(body, MOST_BYTES)
    if not body:
        return None
    if len(body) >= READ_IN_A_THREAD:
        return NOT_READ
    try:
        parsed = parse_body(body)
    except PlainError:
        return UNREADABLE
    return None if parsed is None else masked_json(parsed, MOST_BYTES)
