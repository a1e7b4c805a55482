"""Reports an event loop that is blocked, from a thread, and a process that runs out of files."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable

from imagestore_sim import open_files

logger = logging.getLogger(__name__)
BEAT_SECONDS = 0.5
STALLED_SECONDS = 2.0
REPORTED_SECONDS = 10.0
"""Seconds for which a stall that has ended is a problem of `/readyz`."""
EVENT_LOOP = "event loop"


class Watchdog:
    """Watches the event loop that starts it. All its times are real seconds.

    A process that is stopped, or gets no processor, is not a stall: the watching thread stands still with it.
    """

    def __init__(self, observe: Callable[[str, str], None], each_beat: Callable[[], None]) -> None:
        """`observe` is called with `event loop` and `stalled`; `each_beat` is called on the loop twice a second."""
        self._observe = observe
        self._each_beat = each_beat
        self._stopped = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread_id = 0
        """Of the thread that runs the event loop."""
        self._last_beat = 0.0
        self._excused = 0.0
        """When the whole process was last seen to have stood still."""
        self._reported = False
        self._last_stall: tuple[float, float] | None = None
        """When it ended, and the seconds that it took."""
        self._few_files = False

    def start(self) -> None:
        """Watch the running loop."""
        self._last_beat = time.monotonic()
        self._thread_id = threading.get_ident()
        self._beat(asyncio.get_running_loop())
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def problems(self) -> list[str]:
        """Return a line for each thing that is wrong, or was within the last REPORTED_SECONDS."""
        lines = []
        if self._last_stall is not None and (ago := time.monotonic() - self._last_stall[0]) < REPORTED_SECONDS:
            lines.append(f"{EVENT_LOOP}: stood still for {self._last_stall[1]:.1f} s, {ago:.0f} s ago")
        if self._few_files:
            lines.append(f"open files: nearly all of the {open_files.limit()} that are allowed are in use (ulimit -n)")
        return lines

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        if self._reported:
            seconds = now - self._last_beat
            self._last_stall, self._reported = (now, seconds), False
            logger.warning("the event loop runs again, after %.1f s", seconds)
        self._last_beat = now
        self._timer = loop.call_later(BEAT_SECONDS, self._beat, loop)
        self._each_beat()
        self._check_files()

    def _check_files(self) -> None:
        few = open_files.left() < open_files.FEW
        if few != self._few_files:
            self._few_files = few
            if few:
                logger.error("nearly all of the %d open files that are allowed are in use: connections are refused"
                             " until some are closed; raise the limit with ulimit -n", open_files.limit())  # fmt: skip
            else:
                logger.warning("files can be opened again")

    def _watch(self) -> None:
        before, worked = time.monotonic(), time.process_time()
        while not self._stopped.wait(BEAT_SECONDS):
            now, work = time.monotonic(), time.process_time()
            # This thread was late as well. Unless the process used its processor meanwhile (a call that holds the
            # interpreter blocks both threads), it was stopped as a whole: not a stall of the loop.
            if now - before > 2 * BEAT_SECONDS and work - worked < (now - before) / 2:
                self._excused = now
            before, worked = now, work
            seconds = now - max(self._last_beat, self._excused)
            if seconds > STALLED_SECONDS and not self._reported:
                stack = self._stack()  # first: the loop may run again at any moment
                self._reported = True
                logger.error("the event loop stands still, since %.1f s, in:\n%s", seconds, stack)
                self._observe(EVENT_LOOP, "stalled")

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._thread_id)
        return "" if frame is None else "".join(traceback.format_stack(frame)).rstrip()
