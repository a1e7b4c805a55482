"""SQLite on the thread of the event loop, for a search of many stories: no thread has to wake another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import aiosqlite
from aiosqlite.core import set_exception, set_result
from typing_extensions import override

from imagestore_sim.virtual_clock import VirtualEventLoop


def is_wanted() -> bool:
    """Return whether the running event loop wants no threads of SQLite."""
    loop = asyncio.get_running_loop()
    return isinstance(loop, VirtualEventLoop) and loop.without_threads


class _AtOnce:
    """Stands for the queue of aiosqlite's thread: what is put there is done at once, and its result arrives later."""

    def put_nowait(self, call: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        """Do a call. Its result goes the way of a thread's, so that the order of all things is the same."""
        future, function = call
        deliver: Callable[[asyncio.Future[Any], Any], None]
        try:
            deliver, result = set_result, function()
        except BaseException as error:  # as aiosqlite's thread does
            deliver, result = set_exception, error
        if future is not None:
            future.get_loop().call_soon_threadsafe(deliver, future, result)


class ConnectionWithoutThread(aiosqlite.Connection):
    """A connection of aiosqlite whose thread never starts."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what `aiosqlite.connect` does."""
        plain = aiosqlite.connect(*arguments, **options)
        super().__init__(plain._connector, plain._iter_chunk_size)
        self._tx = _AtOnce()  # type: ignore[assignment]

    @override
    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self._running or not self._connection:
            raise ValueError("Connection closed")  # as the connection with a thread does
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualEventLoop)
        return await loop.do_at_once(partial(fn, *args, **kwargs))

    @override
    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._connect().__await__()
