"""Who owns a task: begins it, hears of its failure, and cancels it in the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

logger = logging.getLogger(__name__)


class Tasks:
    """The tasks of one owner. One that fails is logged: nothing ends silently."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], None] = {}  # in the order in which they were begun

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        """Run `work` as a task of this owner."""
        task = asyncio.create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("task %s failed", task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel what still runs, and wait until all of it has ended."""
        while tasks := list(self._tasks):  # one that is cancelled may begin another
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
