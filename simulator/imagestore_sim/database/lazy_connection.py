"""A connection that is opened when it is first needed, and opened again after it has failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)
C = TypeVar("C")


class LazyConnection(Generic[C]):
    """Holds at most one connection, which `open` makes and `close` ends."""

    def __init__(self, open: Callable[[], Awaitable[C]], close: Callable[[C], Awaitable[None]]) -> None:  # noqa: A002
        self._open = open
        self._close = close
        self._connection: C | None = None
        self._opening = asyncio.Lock()

    @property
    def current(self) -> C | None:
        """The connection; None while it is not open."""
        return self._connection

    async def get(self) -> C:
        """Return the connection, opening it if necessary. Raise what `open` raises."""
        if self._connection is not None:
            return self._connection
        async with self._opening:
            if self._connection is None:
                self._connection = await self._open()
            return self._connection

    async def drop(self, connection: C | None = None) -> None:
        """Close the connection, so that the next `get` opens another.

        With `connection`, do so only if that is still the current one: a caller that failed on it must not close the
        one that another caller has opened since.
        """
        dropped = self._connection if connection is None else connection
        if dropped is None or dropped is not self._connection:
            return
        self._connection = None
        try:
            await self._close(dropped)
        except Exception as error:  # a broken connection may fail to close, too
            logger.debug("a broken connection could not be closed: %s", type(error).__name__)
