"""One id that follows a request to its job, its probes, their events and their log lines."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar

from imagestore_sim.context_managers import set_in_block

_current: ContextVar[str | None] = ContextVar("correlation", default=None)


def correlation() -> str | None:
    """Return the id of the job, ping or reconnect that this code runs for, None outside of them."""
    return _current.get()


def correlated(uuid: str) -> AbstractContextManager[None]:
    """Make `uuid` the correlation in the block, and in the tasks that it begins."""
    return set_in_block(_current, uuid)
