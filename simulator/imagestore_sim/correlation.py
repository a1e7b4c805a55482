"""What something is done for: one id goes from a request to its job, its probes, their events and log lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str | None] = ContextVar("correlation", default=None)


def correlation() -> str | None:
    """The id of the request, ping or reconnect that is being worked for; None for none."""
    return _current.get()


@contextmanager
def correlated(uuid: str) -> Iterator[None]:
    """Let all that is done in the block, and in the tasks begun in it, be done for `uuid`."""
    token = _current.set(uuid)
    try:
        yield
    finally:
        _current.reset(token)
