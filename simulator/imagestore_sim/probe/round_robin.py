"""Round-robin scheduling of work on the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class RoundRobin:
    """Runs one slice of work in each turn of the event loop, of all that ask in rotation.

    So a server that sends much is handled in small slices, between which everything else on the loop runs.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], bool]] = deque()

    def add(self, work: Callable[[], bool]) -> None:
        """Call `work` in a later turn of the event loop, and again as long as it returns True (there is more)."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._serve)
        self._waiting.append(work)

    def _serve(self) -> None:
        work = self._waiting.popleft()
        more = False
        try:
            more = work()
        finally:
            if more:
                self._waiting.append(work)
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._serve)
