"""Steps that a cancelled caller may not interrupt halfway."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from imagestore_sim.tasks import until_ended


async def complete(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` until it has finished, even if the caller is cancelled; raise CancelledError afterwards if it was.

    A commit, for example, must not be abandoned while the driver's thread is carrying it out. Raise what `work` raises.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await until_ended(task)
        except asyncio.CancelledError as error:
            cancelled = error
    try:
        task.result()
    finally:
        if cancelled is not None:
            raise cancelled
