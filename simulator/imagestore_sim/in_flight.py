"""What is under way in real time: bytes between hosts and their visitors, calls of the store.

A clock that is pushed on or sped up waits for it: what takes a millisecond of the machine must not seem to take the
minutes that the clock goes on meanwhile. Each event loop has a record of its own.
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
"""Real seconds for which something under way is waited for at most."""
PAUSE = 0.001


class InFlight:
    """What is under way on an event loop."""

    def __init__(self) -> None:
        self.moves = 0
        """Goes up whenever something has moved."""
        self.calls = 0
        """Calls that are out."""

    async def quiet(self, seconds: float, turns: int) -> None:
        """Wait until nothing has moved for real `seconds` and `turns` of the event loop; for LONGEST at most.

        Real time is measured. A turn lets everything run that is ready, and looks at every socket: a machine that is
        busy makes turns late, and cannot make them fewer.
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


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, InFlight] = WeakKeyDictionary()


def in_flight() -> InFlight:
    """What is under way on the event loop that runs. Raises RuntimeError where none does."""
    loop = asyncio.get_running_loop()
    found = _by_loop.get(loop)
    if found is None:
        found = _by_loop[loop] = InFlight()
    return found


def moved() -> None:
    """Note that something has moved: bytes have come or gone, a request was answered."""
    in_flight().moves += 1


@contextmanager
def under_way() -> Iterator[None]:
    """While the block runs a call is out that comes back by itself, whatever a clock says."""
    here = in_flight()
    here.calls += 1
    try:
        yield
    finally:
        here.calls -= 1
        here.moves += 1


def counted(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Have each call of `function` count as under way."""

    @wraps(function)
    async def call(*arguments: P.args, **options: P.kwargs) -> T:
        with under_way():
            return await function(*arguments, **options)

    return call
