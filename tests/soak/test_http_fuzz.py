"""A fuzz of HTTP: no turn of the loop over 200 ms of processor time, no error in the log, nothing left behind.

`SOAK_SECONDS` (1800 unless given) and `SOAK_SEED` (1) say for how long, and what is drawn.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import resource
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from processes import child
from stalls import measuring_stalls

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]
CLIENT = Path(__file__).with_name("fuzz_client.py")
CLIENTS = 2
MOST_SECONDS = 0.2
SETTLE_SECONDS = 90.0
GROWTH = 200 * 2**20
"""Bytes that a node may have more after a fuzz: what it keeps is bounded, records that were made are not."""


class Watchdog:
    """Notes where the loop stands when it has not come round for a while."""

    def __init__(self) -> None:
        self.stacks: list[str] = []
        self.beat = time.monotonic()
        self._thread = threading.get_ident()
        self._stop = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            late = time.monotonic() - self.beat
            frame = sys._current_frames().get(self._thread)
            if late > MOST_SECONDS and frame is not None:
                self.stacks.append(f"{late:.2f} s\n{''.join(traceback.format_stack(frame)[-8:])}")
                del self.stacks[:-40]

    async def follow(self) -> None:
        """Report each turn of the loop."""
        while True:
            self.beat = time.monotonic()
            await asyncio.sleep(0.01)

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()


def resident() -> int:
    """Bytes of memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _kind(record: logging.LogRecord) -> str:
    """Return the last place of a traceback, so that errors of one kind count once."""
    lines = (record.exc_text or record.getMessage()).splitlines()
    return "\n".join([line for line in lines if line.startswith("  File")][-1:] or lines[:1])


async def fuzz(url: str, seed: int, seconds: float) -> dict[str, object]:
    """Run one client in its own process, and return its figures."""
    arguments = (str(CLIENT), url, str(seed), str(seconds))
    async with child(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE) as process:
        output, _ = await process.communicate()
    figures: dict[str, object] = json.loads(output)
    return figures


async def test_hostile_requests_leave_no_error_and_no_leak(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seconds, seed = float(os.environ.get("SOAK_SECONDS", "1800")), int(os.environ.get("SOAK_SEED", "1"))
    caplog.set_level(logging.WARNING)
    watchdog = Watchdog()
    following = asyncio.create_task(watchdog.follow())
    async with Lab(Settings(port=0, hosts=3, database=str(tmp_path / "lab.db"), any_host=True)) as lab:
        await fuzz(lab.url, seed + 1000, min(10.0, seconds / 10))  # create what is created once
        tasks, files, memory = len(asyncio.all_tasks()), open_files(), resident()
        async with measuring_stalls() as stalls:
            clients = await asyncio.gather(*(fuzz(lab.url, seed + client, seconds) for client in range(CLIENTS)))
        await lab.node.changes.reset(wait=True)
        end = time.monotonic() + SETTLE_SECONDS
        while len(asyncio.all_tasks()) > tasks + 10 and time.monotonic() < end:
            await asyncio.sleep(0.5)
        gc.collect()
        figures = {
            "clients": clients,
            "longest turn, s": round(stalls.longest, 3),
            "tasks": (tasks, len(asyncio.all_tasks())),
            "files": (files, open_files()),
            "memory, MiB": (memory >> 20, resident() >> 20),
        }
        print(json.dumps(figures, indent=1))
        running = [repr(task) for task in asyncio.all_tasks()]
    following.cancel()
    watchdog.stop()
    errors = [one for one in caplog.records if one.exc_info or one.levelno >= logging.ERROR]
    texts = {_kind(one): f"{one.getMessage()[:300]} {one.exc_text or ''}"[-3000:] for one in errors}
    print("\n\n".join(watchdog.stacks[-10:]))
    assert not texts, "\n\n".join(list(texts.values())[:20])
    assert stalls.longest < MOST_SECONDS, "\n\n".join(watchdog.stacks[-5:])
    assert figures["tasks"][1] <= tasks + 10, "\n".join(running)  # type: ignore[index]
    assert open_files() <= files + 20
    assert resident() - memory < GROWTH
