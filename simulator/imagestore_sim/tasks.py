"""Tasks with an owner that logs their failures and cancels them, and a thread for work that would block the loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar, TypeVarTuple

from imagestore_sim.at_once import check_may_wait
from imagestore_sim.in_flight import under_way

logger = logging.getLogger(__name__)
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
CANCEL_AGAIN_SECONDS = 5.0
"""How long a cancelled task may take to end before it is cancelled again."""
LARGE = 32 * 1024
"""Bytes from which on an input is worked on in a thread. Smaller ones block the loop for a few milliseconds at most."""
BYTES_OF_A_ROW = 64
"""The bytes of an input that are worked on in the time that it takes to write one row of an answer, about."""


class OneThread(Executor):
    """An executor of one daemon thread: the program can exit while a call runs.

    With more threads, each would hold the interpreter in turn, and the event loop would wait for all of them.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Call a function in the thread, after all calls submitted before."""
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
            del future, function, arguments  # do not keep them alive until the next call


class _Collection:
    """Switches Python's garbage collector off while code runs that makes very many objects."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held_by = 0
        self._was_on = True

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """Collect nothing while the block runs: a collection visits every object, and all threads wait for it."""
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
    """Return `function(*arguments)`, called in a thread if its input of `size` bytes is large; see `in_thread`."""
    return function(*arguments) if size < LARGE else await in_thread(function, *arguments, thread=thread)


async def in_thread(function: Callable[[*Ts], T], *arguments: *Ts, thread: Executor = _large_inputs) -> T:
    """Return `function(*arguments)`, called in a thread, in the order of the calls for that thread."""
    check_may_wait()

    def work() -> T:
        with _collection.held_off():
            return function(*arguments)

    with under_way():
        return await asyncio.get_running_loop().run_in_executor(thread, work)


async def together(*work: Awaitable[T]) -> list[T]:
    """Return the results of all, which run at once. Raise the first error, once the others are cancelled and over."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        await cancel_and_wait(*tasks)
        raise


async def until_done_or_set(task: asyncio.Future[Any], event: asyncio.Event) -> None:
    """Wait until `task` is done, or `event` is set; leave the task as it is."""
    setting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, setting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        setting.cancel()


async def until_ended(task: asyncio.Future[Any]) -> None:
    """Wait until `task` has ended, and leave its result to the caller; leave it as it is if the caller is cancelled.

    `asyncio.wait` does the same for any number of tasks, in three times as long.
    """
    ended = asyncio.get_running_loop().create_future()

    def wake(_: object) -> None:
        if not ended.done():  # the caller may have been cancelled
            ended.set_result(None)

    task.add_done_callback(wake)
    try:
        await ended
    finally:
        task.remove_done_callback(wake)


def is_being_cancelled() -> bool:
    """Return whether the current task itself is cancelled, rather than what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def cancel_and_wait(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, and wait until they have ended. Their results and errors are left to the caller.

    A cancellation can be lost: Python 3.11's `wait_for`, which drivers use, drops one that comes in one turn with what
    it waits for (https://github.com/python/cpython/issues/86296). A task that goes on is cancelled again.
    They are cancelled in the order of the arguments: that of a set changes with the addresses of the tasks in memory.
    """
    running: Sequence[asyncio.Future[Any]] = tasks
    while running:
        for task in running:
            task.cancel()
        _, left = await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)  # real: whatever the lab's clock says
        running = [task for task in running if task in left]
    for task in tasks:
        if not task.cancelled():
            task.exception()  # asyncio reports an error that nothing has asked for


class Tasks:
    """The tasks of one owner. A task that fails is logged."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], None] = {}  # ordered by their start

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        """Run `work` as a task called `name`."""
        return self._own(work, name, self._forget_and_log)

    async def to_its_end(self, work: Coroutine[object, object, None], name: str) -> None:
        """Run `work` as a task that goes on if the caller is cancelled; `close` cancels it. Raise what it raises.

        A failure is logged only where the caller does not learn of it.
        """
        task = self._own(work, name, self._forget)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                task.add_done_callback(self._log)
            raise

    def _own(
        self, work: Coroutine[object, object, None], name: str, ended: Callable[[asyncio.Task[None]], None]
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(ended)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)

    def _forget_and_log(self, task: asyncio.Task[None]) -> None:
        self._forget(task)
        self._log(task)

    def _log(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("task %s failed", task.get_name(), exc_info=error)

    def cancel(self) -> None:
        """Cancel all tasks, and do not wait for them."""
        for task in list(self._tasks):
            task.cancel()

    async def close(self) -> None:
        """Cancel all tasks, and wait until they have ended."""
        while tasks := list(self._tasks):  # a task may begin another while it is cancelled
            await cancel_and_wait(*tasks)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop of uvloop, or asyncio's where uvloop is not installed."""
    try:
        make = _class_of_uvloop()
    except ImportError:
        return asyncio.new_event_loop()
    return make()


@cache
def _class_of_uvloop() -> type[asyncio.AbstractEventLoop]:
    """Return uvloop's event loop, whose `close` always ends. Raise ImportError where it is not installed."""
    import uvloop

    class Loop(uvloop.Loop):
        def close(self) -> None:
            """Close every handle, and warn of those that were left open only then.

            uvloop warns of each before it closes it. Where warnings are errors, it would not close it, and wait for
            good until the connection has ended.
            """
            with warnings.catch_warnings(record=True) as unclosed:
                warnings.simplefilter("always")
                super().close()
            for one in unclosed:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno, source=one.source)

    return Loop


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Hold back Ctrl-C, also in processes that begin in this block: until they ignore it, it would print tracebacks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """Ignore Ctrl-C, which the terminal sends to every process: the parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
