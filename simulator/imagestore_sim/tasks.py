"""Who owns a task: begins it, hears of its failure, cancels it in the end; and work that would hold the loop."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar, TypeVarTuple

logger = logging.getLogger(__name__)
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
LARGE = 32 * 1024
"""From how many bytes on an input is worked on in a thread: below, the loop is held for a few milliseconds at most."""


class OneThread(Executor):
    """One thread, for were there more, the loop would wait for each of them in turn before it may go on; a program that
    ends does not wait for it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Call a function in the thread, after those before it."""
        future: Future[Any] = Future()
        self._calls.put((future, function, arguments))
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        return future

    def _run(self) -> None:
        while True:
            future, function, arguments = self._calls.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function(*arguments))
            except BaseException as error:
                future.set_exception(error)
            del future, function, arguments  # they are not to be kept until the next


class _Collection:
    """Python's garbage collector, held off by those that make a great number of objects."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held_by = 0
        self._was_on = True

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """Collect nothing meanwhile: a collection looks at every object there is, and stops every thread for that."""
        with self._lock:
            if not self._held_by:
                self._was_on = gc.isenabled()
                gc.disable()
            self._held_by += 1
        try:
            yield
        finally:
            with self._lock:
                self._held_by -= 1
                if not self._held_by and self._was_on:
                    gc.enable()


_large_inputs = OneThread("large inputs")
_collection = _Collection()


async def by_size(size: int, function: Callable[[*Ts], T], *arguments: *Ts, thread: Executor = _large_inputs) -> T:
    """Return what `function` makes of an input of `size` bytes: in a thread if it is large, so that the loop goes on.

    Large inputs for the same thread wait for each other, in the order in which they came.
    """
    if size < LARGE:
        return function(*arguments)

    def work() -> T:
        with _collection.held_off():
            return function(*arguments)

    return await asyncio.get_running_loop().run_in_executor(thread, work)


async def until_done_or_set(task: asyncio.Future[Any], event: asyncio.Event) -> None:
    """Wait until `task` is done, or `event` is set; leave the task as it is."""
    setting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, setting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        setting.cancel()


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
