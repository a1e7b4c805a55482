"""A connection that is opened when it is first needed, and again after it has failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)
C = TypeVar("C")


class LazyConnection(Generic[C]):
    """Holds one connection: made by `make`, ended by `end`."""

    def __init__(self, make: Callable[[], Awaitable[C]], end: Callable[[C], Awaitable[None]]) -> None:
        self._make = make
        self._end = end
        self._made: C | None = None
        self._one_maker = asyncio.Lock()

    @property
    def made(self) -> C | None:
        """The connection, if it is open."""
        return self._made

    async def get(self) -> C:
        """The connection. Raises what `make` raises."""
        if self._made is not None:
            return self._made
        async with self._one_maker:
            if self._made is None:
                self._made = await self._make()
            return self._made

    async def drop(self, connection: C | None = None) -> None:
        """Close a connection that is of no use any more, the one that is held if none is given."""
        dropped = self._made if connection is None else connection
        if dropped is None or dropped is not self._made:
            return
        self._made = None
        try:
            await self._end(dropped)
        except Exception as error:  # it is broken, which is why it goes
            logger.debug("a broken connection could not be closed: %s", type(error).__name__)
