"""Transactions that a MariaDB undoes for the sake of another node's, and that are made again."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from imagestore_sim.database.errors import StoreConflict

logger = logging.getLogger(__name__)
T = TypeVar("T")


async def made_again(
    attempt: Callable[[], Awaitable[T]], *, most: int, pause: Callable[[int], Awaitable[None]] | None = None
) -> T:
    """Return the result of `attempt`, a whole transaction, which is tried `most` times while it meets conflicts.

    `pause` waits after an attempt, of which it gets the number, from 1. Raise StoreConflict after the last one.
    """
    for number in range(1, most):
        try:
            return await attempt()
        except StoreConflict as conflict:
            logger.info("a change of the store is made again: %s", conflict)
        if pause is not None:
            await pause(number)
    return await attempt()
