"""The journal: the latest requests and how they were answered, for `/lab/v1/requests`.

It holds at most MOST_REQUESTS rows and MOST_BYTES bytes. It drops the oldest rows, and says how many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

from imagestore_sim.masking import MASK, is_secret_name, masked_json, masked_path, masked_text
from imagestore_sim.rest.binding import parse_body
from imagestore_sim.rest.errors import PlainError
from imagestore_sim.tasks import LARGE as READ_IN_A_THREAD

MOST_REQUESTS = 1000
MOST_BYTES = 8 * 2**20
"""The most bytes of paths, headers and bodies that all rows hold together."""
MOST_BODY_BYTES = 16 * 2**10
"""How many bytes of a body are kept."""
MOST_HEADERS = 64
"""How many headers of a request are kept."""
MOST_HEADER_BYTES = 1024
"""How many bytes of a header's value are kept."""
CACHED_HEADERS = 32
"""A request with more headers is masked without the cache, which so stays small."""
UNREADABLE = "(not kept: it cannot be read as the JSON of one object)"
NOT_READ = "(not kept: it was not read)"
SCHEMES = ("OAuth", "ZStack", "Bearer", "Basic", "Digest")
"""The schemes of an Authorization header, which are shown; what follows them is masked."""
Body = Mapping[str, object] | bytes | str | None
"""A parsed body; the bytes of one that was not parsed; or a note that stands in its place."""
RawHeaders = tuple[tuple[bytes, bytes], ...]
Headers = tuple[tuple[str, str], ...]


class Entry(NamedTuple):
    """One row: a request that was answered. Path, headers and body have their secrets masked."""

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
    body_is_whole: bool
    """Whether `body` is all of the body, as JSON."""
    headers: Headers
    """Names in lower case, with their values."""
    client: str
    """The address that it came from."""
    api: str
    """The class of its message, `api-jobs` for a poll; empty if it reached no API."""
    error: str | None
    """The code of the error in the answer."""
    faults: tuple[str, ...]
    """The ids of the faults that it has met; its status is 0 if they let it have no answer."""
    size: int
    """How many bytes its texts have, about."""


Matches = Callable[[Entry], object]
Listener = Callable[[Entry], None]


class Journal:
    """The latest requests, oldest first, numbered without gaps."""

    def __init__(self, most: int = MOST_REQUESTS, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._watched: dict[Hashable, tuple[Matches, list[Listener]]] = {}
        self._forgotten = 0
        """The number of the last row that was deleted on demand."""
        self._dropped = 0
        """The number of the last row that was dropped for want of room."""
        self._dropped_ended = 0.0
        """When that one was answered, in the clock's monotonic seconds."""
        self.last = 0
        """The number of the latest request."""
        self.watchers = 0
        """Clients that wait for a row."""

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
        headers: RawHeaders = (),
        client: str = "",
        api: str = "",
        error: str | None = None,
        faults: tuple[str, ...] = (),
    ) -> None:
        """Write a row with its secrets masked, and call the listeners that it matches."""
        self.last += 1
        masked = masked_path(path)
        text, whole = (None, True) if body is None else _shown(body)
        few = len(headers) <= CACHED_HEADERS
        shown, header_bytes = _cached_headers(headers) if few else _masked_headers(headers)
        entry = Entry(
            self.last, ended, method, masked, status, seconds, account, job, text, whole, shown, client, api, error,
            faults, len(masked) + header_bytes + (0 if text is None else len(text)),
        )  # fmt: skip
        self._keep(entry)
        for matches, listeners in list(self._watched.values()):
            if matches(entry):
                for listener in tuple(listeners):
                    listener(entry)

    def _keep(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._bytes += entry.size
        while len(self._entries) > self._most or (self._bytes > self._most_bytes and len(self._entries) > 1):
            oldest = self._entries.popleft()
            self._bytes -= oldest.size
            self._dropped, self._dropped_ended = oldest.number, oldest.ended

    def since(self, number: int, after: float | None = None) -> Iterator[Entry]:
        """Return the rows after that number, and after that monotonic time, oldest first."""
        return (one for one in tuple(self._entries) if one.number > number and (after is None or one.ended > after))

    def dropped_since(self, number: int, after: float | None = None) -> int:
        """Return how many rows after that number, and at most how many after that time, were dropped for want of room.

        Rows that were deleted on demand do not count.
        """
        if after is not None and self._dropped_ended <= after:
            return 0
        return max(0, self._dropped - max(number, self._forgotten))

    @contextmanager
    def watching(self, key: Hashable, matches: Matches, listener: Listener, *, lasting: bool = False) -> Iterator[None]:
        """Call `listener` with each new row that matches, while the block runs.

        Listeners with the same key must have the same condition: it is evaluated once a row for all of them. One that
        is `lasting` is the node's own, and does not count as a watcher.
        """
        _, listeners = self._watched.setdefault(key, (matches, []))
        listeners.append(listener)
        self.watchers += not lasting
        try:
            yield
        finally:
            self.watchers -= not lasting
            listeners.remove(listener)
            if not listeners:
                del self._watched[key]

    def clear(self) -> None:
        """Delete all rows, and keep counting."""
        self._entries.clear()
        self._bytes = 0
        self._forgotten = self.last

    def restart(self) -> None:
        """Delete all rows, and count from 1 again. Listeners stay."""
        self.clear()
        self.last = self._forgotten = self._dropped = 0


def _shown(body: Mapping[str, object] | bytes | str) -> tuple[str | None, bool]:
    """Return the beginning of a body with its secrets masked, and whether that is all of it.

    A body that cannot be parsed is not kept, since its secrets cannot be found.
    """
    if isinstance(body, str):
        return body, False
    if not isinstance(body, bytes):
        return _masked_body(body)
    if not body:
        return None, True
    if len(body) >= READ_IN_A_THREAD:
        return NOT_READ, False
    try:
        parsed = parse_body(body)
    except PlainError:
        return UNREADABLE, False
    return (None, True) if parsed is None else _masked_body(parsed)


def _masked_body(body: Mapping[str, object]) -> tuple[str, bool]:
    text = masked_json(body, MOST_BODY_BYTES + 4)  # a cut may take away up to 3 bytes of a character
    if (len(text) if text.isascii() else len(text.encode())) <= MOST_BODY_BYTES:
        return text, True
    return text.encode()[:MOST_BODY_BYTES].decode(errors="ignore"), False


def _masked_headers(headers: RawHeaders) -> tuple[Headers, int]:
    """Return the first headers with their secrets masked, and how many bytes they have."""
    shown = tuple([_header(name, value) for name, value in headers[:MOST_HEADERS]])
    return shown, sum([len(name) + len(value) for name, value in shown])


_cached_headers = lru_cache(maxsize=64)(_masked_headers)  # a client sends the same with most of its requests


def _header(name: bytes, value: bytes) -> tuple[str, str]:
    shown = name.decode("latin-1").lower()
    return shown, masked_header(shown, value[:MOST_HEADER_BYTES].decode("utf-8", "replace"))


def masked_header(name: str, value: str) -> str:
    """Return the value of a header, masked if its name is that of a secret; the scheme of a login stays."""
    if not is_secret_name(name):
        return masked_text(value)
    scheme = value.partition(" ")[0]
    return f"{scheme} {MASK}" if scheme in SCHEMES else MASK
