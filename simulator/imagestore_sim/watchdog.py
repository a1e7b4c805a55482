"""Tells of an event loop that stands still, from a thread, and of files that run out."""

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
TOLD_SECONDS = 10.0
"""For how long after a stall it is a problem of `/readyz`, in seconds."""
EVENT_LOOP = "event loop"


class Watchdog:
    """Watches the event loop that starts it. All its times are real: it guards against the real world.

    A process that is stopped, or gets no processor, is no stall: its threads stand still with it.
    """

    def __init__(self, observe: Callable[[str, str], None], look: Callable[[], None]) -> None:
        """`observe` is called with `event loop` and `stalled`; `look` is called a few times a second, to look for
        whatever else may stand still."""
        self._observe = observe
        self._look = look
        self._stopped = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._last_beat = 0.0
        self._excused = 0.0
        self._told = False
        self._last_stall: tuple[float, float] | None = None  # when it ended, and how long it was
        self._few_files = False

    def start(self) -> None:
        """Watch the running loop."""
        self._last_beat = time.monotonic()
        self._home = threading.get_ident()
        self._beat(asyncio.get_running_loop())
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def problems(self) -> list[str]:
        """A line for each thing that is wrong, or was a moment ago."""
        lines = []
        if self._last_stall is not None and (ago := time.monotonic() - self._last_stall[0]) < TOLD_SECONDS:
            lines.append(f"{EVENT_LOOP}: stood still for {self._last_stall[1]:.1f} s, {ago:.0f} s ago")
        if self._few_files:
            lines.append(f"open files: nearly all of the {open_files.limit()} that are allowed are in use (ulimit -n)")
        return lines

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        if self._told:
            seconds = now - self._last_beat
            self._last_stall, self._told = (now, seconds), False
            logger.warning("the event loop goes on, after %.1f s", seconds)
        self._last_beat = now
        self._timer = loop.call_later(BEAT_SECONDS, self._beat, loop)
        self._look()
        self._look_for_files()

    def _look_for_files(self) -> None:
        few = open_files.left() < open_files.FEW
        if few != self._few_files:
            self._few_files = few
            if few:
                logger.error("nearly all of the %d open files that are allowed are in use: connections are refused"
                             " until some are closed; raise the limit with ulimit -n", open_files.limit())  # fmt: skip
            else:
                logger.warning("files can be opened again")

    def _watch(self) -> None:
        looked, worked = time.monotonic(), time.process_time()
        while not self._stopped.wait(BEAT_SECONDS):
            now, work = time.monotonic(), time.process_time()
            if now - looked > 2 * BEAT_SECONDS and work - worked < (now - looked) / 2:
                self._excused = now  # this thread did not run either, and nothing else held it back
            looked, worked = now, work
            seconds = now - max(self._last_beat, self._excused)
            if seconds > STALLED_SECONDS and not self._told:
                self._told = True
                self._observe(EVENT_LOOP, "stalled")
                logger.error("the event loop stands still, since %.1f s, in:\n%s", seconds, self._stack())

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._home)
        return "" if frame is None else "".join(traceback.format_stack(frame)).rstrip()
