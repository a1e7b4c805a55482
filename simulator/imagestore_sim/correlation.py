"""One id that follows a request to its job, its probes, their events and their log lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str | None] = ContextVar("correlation", default=None)


def correlation() -> str | None:
    """Return the id of the job, ping or reconnect that this code runs for, None outside of them."""
    return _current.get()


@contextmanager
def correlated(uuid: str) -> Iterator[None]:
    """Make `uuid` the correlation in the block, and in the tasks that it begins."""
    token = _current.set(uuid)
    try:
        yield
    finally:
        _current.reset(token)
