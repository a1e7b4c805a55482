"""Steps that a cancelled caller may not interrupt halfway."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from imagestore_sim.tasks import until_ended

T = TypeVar("T")


async def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` until it has finished, even if the caller is cancelled; raise CancelledError afterwards if it was.

    A commit, for example, must not be abandoned while the driver's thread is carrying it out, nor a file while a thread
    makes it: its folder may be removed next. Return what `work` returns; raise what it raises.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await until_ended(task)
        except asyncio.CancelledError as error:
            cancelled = error
    try:
        return task.result()
    finally:
        if cancelled is not None:
            raise cancelled
