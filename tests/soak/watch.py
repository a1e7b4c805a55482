"""What is watched while something is fuzzed: callbacks that take long, and what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

LONGEST_CALLBACK = 0.2
"""Seconds of processor time."""


@dataclass
class Slow:
    """Callbacks of the event loop by the processor time that they took."""

    longest: float = 0.0
    worst: list[tuple[float, str]] = field(default_factory=list)

    def note(self, seconds: float, handle: Any) -> None:
        """Remember one that took longer than any before, or too long."""
        self.longest = max(self.longest, seconds)
        if seconds > LONGEST_CALLBACK and len(self.worst) < 50:
            self.worst.append((seconds, str(handle)[:3000]))


@contextlib.contextmanager
def callbacks_timed() -> Iterator[Slow]:
    """Watch the callbacks of asyncio's event loop during the block, and keep the stack of one that takes long."""
    slow = Slow()
    run = asyncio.events.Handle._run
    main = threading.get_ident()
    state = {"began": 0.0, "stack": "", "over": ""}

    def timed(handle: asyncio.Handle) -> None:
        state["began"] = time.monotonic()
        began = time.thread_time()
        run(handle)
        spent = time.thread_time() - began
        state["began"] = 0.0
        if spent > slow.longest or spent > LONGEST_CALLBACK:
            slow.note(spent, f"{handle!r}\n{state['stack']}")
        state["stack"] = ""

    def look() -> None:
        while not state["over"]:
            time.sleep(LONGEST_CALLBACK / 2)
            began = cast(float, state["began"])
            if began and time.monotonic() - began > LONGEST_CALLBACK and not state["stack"]:
                state["stack"] = "".join(traceback.format_stack(sys._current_frames()[main])[-8:])
                print(f"a callback takes long:\n{state['stack']}", flush=True)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    asyncio.events.Handle._run = timed  # type: ignore[assignment]
    try:
        yield slow
    finally:
        asyncio.events.Handle._run = run  # type: ignore[method-assign]
        state["over"] = "yes"
        watcher.join()


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    tasks: int
    descriptors: int
    threads: int
    kib: int

    @classmethod
    def now(cls) -> Held:
        """As it is at present, with all garbage gone."""
        gc.collect()
        status = Path("/proc/self/status").read_text()
        resident = int(status.partition("VmRSS:")[2].split()[0])
        return cls(len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd")), threading.active_count(), resident)
