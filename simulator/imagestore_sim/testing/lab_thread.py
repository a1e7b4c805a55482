"""A lab on its own thread and event loop, so that a test may block: `requests`, urllib, a subprocess.

A test gets stand-ins for the lab's objects, whose calls run on the lab's thread. In a test on an event loop, await the
asynchronous ones; elsewhere they return when they are done.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Self, cast

from imagestore_sim.clock import TimerClock
from imagestore_sim.lab import Lab, clock_of_loop, lab_loop
from imagestore_sim.lab_api import OpenStories, StoryWriter
from imagestore_sim.settings import Settings, token_of
from imagestore_sim.tasks import cancel_and_wait
from imagestore_sim.testing.client import Client
from imagestore_sim.virtual_clock import VirtualEventLoop, jumps_during

STOP_SECONDS = 20.0
OF_THE_TEST = (AssertionError, TimeoutError)
"""Failures that are about the test: pytest is to show its line, and not what the lab's thread did."""


@dataclass(frozen=True, slots=True)
class _Running:
    """What exists once the thread runs: its event loop, a lab, and an event that ends the thread."""

    loop: asyncio.AbstractEventLoop
    lab: Lab
    ended: asyncio.Event


class LabThread:
    """Runs a lab during a `with` block."""

    def __init__(
        self,
        settings: Settings,
        *,
        virtual: bool = False,
        story_writer: StoryWriter | None = None,
        stories: OpenStories | None = None,
    ) -> None:
        """Prepare a lab. `virtual` time jumps while a test waits for the lab, and else flows as the machine's.

        `story_writer` writes what was done by hand as a scenario; `stories` are offered to be played.
        """
        self._settings = settings
        self._story_writer = story_writer
        self._stories = stories
        self._virtual = virtual
        self._thread = threading.Thread(target=self._run, name="imagestore-sim lab", daemon=True)
        self._running: Future[_Running] = Future()
        self._clients: list[Client] = []

    def __enter__(self) -> Self:
        """Start thread and lab. Raise what the lab's start raises."""
        self._thread.start()
        self._running.result()
        try:
            self.wait(self._start)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.wait(self._stop)
        finally:
            self._end()

    @property
    def lab(self) -> Lab:
        """A stand-in for the lab."""
        return cast(Lab, self.stand_in(self._running.result().lab))

    @property
    def inner(self) -> Lab:
        """The lab itself, whose calls belong on its own thread."""
        return self._running.result().lab

    def client(self) -> Client:
        """Return a stand-in for a client that has logged in as admin. It is closed at the end of the block."""
        return cast(Client, self.stand_in(self.wait(self._new_client)))

    async def _new_client(self) -> Client:
        lab = self._running.result().lab
        client = Client(lab.url, clock=lab.clock, lab_token=token_of(lab.settings))
        self._clients.append(client)
        await client.log_in()
        return client

    async def _start(self) -> None:
        running = self._running.result()
        if self._virtual and isinstance(running.loop, VirtualEventLoop):
            running.loop.clock.drive()
        await running.lab.start()

    async def _stop(self) -> None:
        for client in self._clients:
            await client.close()
        await self._running.result().lab.stop()

    def _run(self) -> None:
        def new_loop() -> asyncio.AbstractEventLoop:
            return VirtualEventLoop(seed=self._settings.seed) if self._virtual else lab_loop(self._settings)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            lab = Lab(self._settings, clock=clock_of_loop(), story_writer=self._story_writer, stories=self._stories)
            ended = asyncio.Event()
            self._running.set_result(_Running(loop, lab, ended))
            await ended.wait()

        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(main())
        except BaseException as error:
            if self._running.done():
                raise
            self._running.set_exception(error)

    def _end(self) -> None:
        running = self._running.result()
        running.loop.call_soon_threadsafe(running.ended.set)
        self._thread.join(STOP_SECONDS)

    # Calls from other threads

    def wait(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Run `work`, asynchronous or not, on the lab's thread, and return its result. Raise what it raises."""
        if threading.get_ident() == self._thread.ident:
            raise RuntimeError("the lab's own thread cannot wait for itself")
        return self.submit(work, *arguments, _waits=jumps_during(work), **options).result()

    def submit(self, work: Callable[..., Any], *arguments: Any, _waits: bool = True, **options: Any) -> Future[Any]:
        """Start `work` on the lab's thread. With `_waits` virtual time may jump until it is done."""
        return asyncio.run_coroutine_threadsafe(
            self._carry_out(work, arguments, options, _waits), self._running.result().loop
        )

    async def _carry_out(
        self, work: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any], waits: bool
    ) -> Any:
        loop = asyncio.get_running_loop()
        with loop.clock.driven() if waits and isinstance(loop, VirtualEventLoop) else nullcontext():
            result = work(*arguments, **options)
            return await result if inspect.isawaitable(result) else result

    def call(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Run a call of the test: return an awaitable on an event loop, else block; on the lab's thread call it."""
        if threading.get_ident() == self._thread.ident:
            return work(*arguments, **options)
        if not inspect.iscoroutinefunction(work) or not _has_loop():
            return self.stand_in(self.wait(work, *arguments, **options))
        return self.awaited(self.submit(work, *arguments, _waits=jumps_during(work), **options))

    async def awaited(self, future: Future[Any]) -> Any:
        """Wait on the test's event loop for what runs on the lab's thread, and return a stand-in of its result."""
        __tracebackhide__ = True
        trio = _running_trio()
        try:
            if trio is None:
                return self.stand_in(await asyncio.wrap_future(future))
            return self.stand_in(await trio.to_thread.run_sync(future.result, abandon_on_cancel=True))
        except OF_THE_TEST as error:
            raise error.with_traceback(None) from None

    def stand_in(self, value: Any) -> Any:
        """Return the value, or a stand-in if it is an object of the lab's event loop."""
        if isinstance(value, TimerClock):
            return _ClockStandIn(self, value)
        if isinstance(value, AbstractContextManager) and type(value).__module__ == "contextlib":
            return self._entered(value)
        if isinstance(value, AbstractAsyncContextManager) and type(value).__module__ == "contextlib":
            return _Block(self, value)
        return StandIn(self, value) if _is_alive(cast(type, type(value))) else value

    @contextmanager
    def _entered(self, block: AbstractContextManager[Any]) -> Iterator[Any]:
        yield self.stand_in(self.wait(block.__enter__))
        self.wait(block.__exit__, None, None, None)


class _Block:
    """Stands in for an asynchronous block of the lab: `with` in a test that blocks, `async with` on an event loop."""

    def __init__(self, thread: LabThread, block: AbstractAsyncContextManager[Any]) -> None:
        self._thread = thread
        self._block = block

    def __enter__(self) -> Any:
        return self._thread.stand_in(self._thread.wait(self._block.__aenter__))

    def __exit__(self, *error: object) -> None:
        self._thread.wait(self._block.__aexit__, None, None, None)

    async def __aenter__(self) -> Any:
        return await self._thread.awaited(self._thread.submit(self._block.__aenter__))

    async def __aexit__(self, *error: object) -> None:
        await self._thread.awaited(self._thread.submit(self._block.__aexit__, None, None, None))


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _running_trio() is not None
    return True


def _running_trio() -> Any:
    """Return Trio if its event loop runs in this thread, as in a test under AnyIO that takes every backend."""
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


@cache
def _is_alive(kind: type[object]) -> bool:
    """Return whether it is a class of this package with asynchronous methods."""
    ours = any(one.__module__.startswith("imagestore_sim.") for one in kind.__mro__)
    return ours and any(inspect.iscoroutinefunction(getattr(kind, name, None)) for name in dir(kind))


class StandIn:
    """Stands in for an object of the lab: its calls run on the lab's thread, and their results are stand-ins too."""

    def __init__(self, thread: LabThread, target: Any) -> None:
        object.__setattr__(self, "_thread", thread)
        object.__setattr__(self, "_target", target)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class of the object, so that `isinstance` is true of the stand-in."""
        return type(object.__getattribute__(self, "_target"))

    def __getattr__(self, name: str) -> Any:
        thread, target = object.__getattribute__(self, "_thread"), object.__getattribute__(self, "_target")
        value = getattr(target, name)
        if inspect.ismethod(value) or inspect.isfunction(value):
            return _Call(thread, value)
        return thread.stand_in(value)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(object.__getattribute__(self, "_target"), name, unwrapped(value))

    def __getitem__(self, key: Any) -> Any:
        return self._of("__getitem__")(key)

    def __iter__(self) -> Iterator[Any]:
        thread = object.__getattribute__(self, "_thread")
        return iter([thread.stand_in(one) for one in thread.wait(list, object.__getattribute__(self, "_target"))])

    def __len__(self) -> int:
        return int(self._of("__len__")())

    def __contains__(self, key: object) -> bool:
        return bool(self._of("__contains__")(key))

    def __bool__(self) -> bool:
        return bool(object.__getattribute__(self, "_target"))

    def __eq__(self, other: object) -> bool:
        return bool(object.__getattribute__(self, "_target") == unwrapped(other))

    def __hash__(self) -> int:
        return hash(object.__getattribute__(self, "_target"))

    def __repr__(self) -> str:
        return repr(object.__getattribute__(self, "_target"))

    def _of(self, name: str) -> _Call:
        return _Call(object.__getattribute__(self, "_thread"), getattr(object.__getattribute__(self, "_target"), name))


class _Call:
    """A method of an object of the lab, which runs on the lab's thread."""

    def __init__(self, thread: LabThread, method: Callable[..., Any]) -> None:
        self._thread = thread
        self._method = method

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        given = [unwrapped(one) for one in arguments]
        try:
            return self._thread.call(self._method, *given, **{name: unwrapped(one) for name, one in options.items()})
        except OF_THE_TEST as error:
            raise error.with_traceback(None) from None


def unwrapped(value: Any) -> Any:
    """Return the object behind a stand-in, or the value itself."""
    return object.__getattribute__(value, "_target") if type(value) in (StandIn, _ClockStandIn) else value


class _ClockStandIn(StandIn):
    """Stands in for the lab's clock."""

    async def wait_for(self, awaitable: Awaitable[Any], seconds: float) -> Any:
        """Await on the test's event loop, for `seconds` of the lab's time at most. Raise TimeoutError."""
        thread, clock = object.__getattribute__(self, "_thread"), object.__getattribute__(self, "_target")
        work = asyncio.ensure_future(awaitable)
        timer = asyncio.wrap_future(thread.submit(clock.sleep, seconds, _waits=False))
        try:
            await asyncio.wait({work, timer}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise TimeoutError(f"not done within {seconds:g} s")
            return work.result()
        finally:
            timer.cancel()
            if not work.done():
                await cancel_and_wait(work)

    async def sleep_unless(self, awaitable: Awaitable[Any], seconds: float) -> bool:
        """Await on the test's event loop, for `seconds` of the lab's time at most; return whether it is done."""
        try:
            await self.wait_for(awaitable, seconds)
        except TimeoutError:
            return False
        return True


@contextmanager
def running_lab(
    *,
    clock: str = "real",
    story_writer: StoryWriter | None = None,
    stories: OpenStories | None = None,
    **settings: Any,
) -> Iterator[LabThread]:
    """Run a lab with some settings, for fixtures of any scope. `clock` is `virtual`, or the setting of that name.

    `with running_lab(hosts=1) as running:` makes it `running.lab`.
    """
    virtual = clock == "virtual"
    given = {"port": 0, "ping_interval": 1, "clock": "real" if virtual else clock, **settings}
    with LabThread(Settings(**given), virtual=virtual, story_writer=story_writer, stories=stories) as thread:
        yield thread
