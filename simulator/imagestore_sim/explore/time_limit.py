"""How long a run may take, of the machine's time: a story can wait for ever, and a program have it wait."""

from __future__ import annotations

import gc
import signal
import traceback
from types import TracebackType
from typing import Self

LONGEST_RUN = 300.0
"""Real seconds after which a run is given up: it has shown nothing."""
AGAIN = 20.0
"""Real seconds after which it is given up once more, if that came where Python ignores exceptions."""


class TooLong(KeyboardInterrupt):
    """A run took longer than it may. It ends the event loop as Ctrl-C does, which keeps all other exceptions."""


def collect_what_is_left(error: BaseException) -> None:
    """Let go of what a run was at that `error` has broken off. Else it ends within another, and is an error of that."""
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
    gc.collect()


class TimeLimit:
    """Raises TooLong in a block that takes longer than `seconds`; on the main thread alone."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._too_long = TooLong(f"it took more than {seconds:g} s")
        self._was_raised = False

    def _give_up(self, *_: object) -> None:
        self._was_raised = True
        raise self._too_long

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGALRM, self._give_up)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, AGAIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        if isinstance(error, Exception) and self._was_raised:
            raise self._too_long from error  # where C calls Python, as SQLite does, the error is of C

    def check(self) -> None:
        """Raise TooLong if the block was given up, and has ended all the same."""
        if self._was_raised:
            raise self._too_long
