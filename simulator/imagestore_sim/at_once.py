"""Reads that are done at once or not at all: a coroutine that runs to its end in one go, without a task."""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from imagestore_sim.context_managers import set_in_block

T = TypeVar("T")
_at_once: ContextVar[bool] = ContextVar("at_once", default=False)


class MustWait(BaseException):
    """What is run at once would have to wait. It is no Exception: nothing on its way may take it for a failure."""


def run_at_once(work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of a read; None if it has to wait, and so is to be done again in a task. Raise what it raises.

    The read ends where it would wait. Whatever begins work elsewhere calls `check_may_wait` first.
    """
    with set_in_block(_at_once, True):
        try:
            work.send(None)
        except StopIteration as ended:
            result: T = ended.value
            return result
        except MustWait:
            return None
        work.close()
        return None


def runs_at_once() -> bool:
    """Return whether the caller must not wait."""
    return _at_once.get()


def check_may_wait() -> None:
    """Raise MustWait if the caller must not wait."""
    if _at_once.get():
        raise MustWait
