"""Units of work: all that one task writes as one transaction, and the callbacks that follow its commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

logger = logging.getLogger(__name__)
Callback = Callable[[], Awaitable[None] | None]
Begin = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class _UnitOfWork:
    """What one task has written so far."""

    def __init__(self) -> None:
        self.connection: AsyncConnection | None = None
        """The writer's connection, from the first write on."""
        self.exit_stack = AsyncExitStack()
        """Ends the transaction."""
        self.callbacks: list[Callback] = []
        self.part_failed = False


class UnitsOfWork:
    """The units of work of all tasks, by task."""

    def __init__(self, begin: Begin) -> None:
        """Take `begin`, which begins a transaction and ends it with the block."""
        self._begin = begin
        self._units: dict[asyncio.Task[Any] | None, _UnitOfWork] = {}

    @property
    def is_active(self) -> bool:
        """Whether the current task is in a unit of work."""
        return self._current() is not None

    @property
    def connection(self) -> AsyncConnection | None:
        """The connection on which the current task has uncommitted changes; None if it has none."""
        unit = self._current()
        return None if unit is None else unit.connection

    @asynccontextmanager
    async def atomic(self) -> AsyncIterator[None]:
        """Join all transactions that the current task begins in the block into one; nested blocks join, too.

        Raise RuntimeError, and roll back, when one of the joined transactions has failed: part of it may be written.
        """
        task = asyncio.current_task()
        if task in self._units:
            yield
            return
        unit = _UnitOfWork()
        async with unit.exit_stack:
            self._units[task] = unit
            try:
                yield
            finally:
                del self._units[task]
            if unit.part_failed:
                raise RuntimeError("a part of an undivided change has failed")
        for callback in unit.callbacks:
            await _call(callback)

    @contextmanager
    def reading_from(self, connection: AsyncConnection) -> Iterator[None]:
        """Let the reads of the current task go to `connection`. It must write nothing, and be in no unit of work."""
        task = asyncio.current_task()
        self._units[task] = unit = _UnitOfWork()
        unit.connection = connection
        try:
            yield
        finally:
            del self._units[task]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Run the block in the current task's unit of work, or in a transaction of its own."""
        unit = self._current()
        if unit is None:
            async with self._begin() as connection:
                yield connection
            return
        if unit.connection is None:
            unit.connection = await unit.exit_stack.enter_async_context(self._begin())
        try:
            yield unit.connection
        except BaseException:
            unit.part_failed = True
            raise

    def defer(self, callback: Callback) -> bool:
        """Call `callback` after the current unit of work is committed. Return False if the task is in none."""
        if (unit := self._current()) is None:
            return False
        unit.callbacks.append(callback)
        return True

    def _current(self) -> _UnitOfWork | None:
        # Most tasks have none, and this is asked at every read: so the task is looked up only if there is any unit.
        return self._units.get(asyncio.current_task()) if self._units else None


async def _call(callback: Callback) -> None:
    """Call `callback`, and log what it raises: the change is committed, and must not be reported as failed."""
    try:
        if (awaitable := callback()) is not None:
            await awaitable
    except Exception:
        logger.exception("what follows a change went wrong")
