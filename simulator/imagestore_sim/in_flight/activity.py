"""Activity of an event loop that takes real time: bytes between hosts and clients, calls of the store.

A clock that is stepped or sped up waits until there is none. Otherwise what takes the machine a millisecond would seem
to take the minutes that the clock moves on meanwhile. Each event loop has an Activity of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 10.0
"""Real seconds that `quiet` waits at most."""
PAUSE = 0.001
"""Real seconds of a pause in which sockets can become ready."""


class Activity:
    """Counts what is under way on one event loop."""

    def __init__(self) -> None:
        self.moves = 0
        """Grows whenever bytes have moved or a call has returned."""
        self.calls = 0
        """Calls that have not returned yet."""

    async def quiet(self, seconds: float, turns: int) -> None:
        """Wait until nothing has moved for `seconds` real seconds and `turns` turns of the event loop.

        Both are needed: a busy machine lets seconds pass without running the loop, but cannot skip its turns, in each
        of which every ready callback runs and every socket is polled. Return after LONGEST seconds in any case.
        """
        begun = since = time.monotonic()  # real: see above
        seen, quiet_turns = self.moves, 0
        while time.monotonic() - begun < LONGEST:  # real: see above
            await asyncio.sleep(0 if quiet_turns % 4 else PAUSE)  # real: see above
            now = time.monotonic()  # real: see above
            if self.calls or self.moves != seen:
                seen, since, quiet_turns = self.moves, now, 0
                continue
            quiet_turns += 1
            if quiet_turns >= turns and now - since >= seconds:
                return


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Activity] = WeakKeyDictionary()


def activity() -> Activity:
    """Return the activity of the running event loop. Raise RuntimeError if none runs."""
    loop = asyncio.get_running_loop()
    found = _by_loop.get(loop)
    if found is None:
        found = _by_loop[loop] = Activity()
    return found


def moved() -> None:
    """Note that something has moved: bytes were sent or received, a request arrived."""
    activity().moves += 1


@contextmanager
def under_way() -> Iterator[None]:
    """Count the block as a call that returns by itself, whatever a clock does."""
    here = activity()
    here.calls += 1
    try:
        yield
    finally:
        here.calls -= 1
        here.moves += 1


def counted(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Decorate a coroutine function, so that each call of it counts as under way."""

    @wraps(function)
    async def call(*arguments: P.args, **options: P.kwargs) -> T:
        with under_way():
            return await function(*arguments, **options)

    return call
