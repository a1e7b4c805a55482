"""Tasks and file descriptors that are still there after a stop: they go within moments, or else they have leaked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection
from typing import Any

SECONDS = 30.0  # on a busy machine


async def no_more_tasks_than(before: Collection[asyncio.Task[Any]]) -> bool:
    """Wait until the running loop has no task that is not in `before`; return whether it came to that."""
    return await _comes_true(lambda: asyncio.all_tasks() <= set(before))


async def no_more_descriptors_than(before: Collection[str]) -> bool:
    """Wait until this process has no more open files than `before`; return whether it came to that."""
    return await _comes_true(lambda: len(os.listdir("/proc/self/fd")) <= len(before))


async def _comes_true(true: Callable[[], bool]) -> bool:
    end = asyncio.get_running_loop().time() + SECONDS
    while not true():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.005)
    return True
