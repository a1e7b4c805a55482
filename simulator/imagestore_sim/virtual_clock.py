"""Virtual time: when nothing is left to do, it jumps to the next timer. SSH, HTTP and SQLite stay real.

The event loop below knows when nothing is left to do: no callback is ready, no socket can be read or written, no byte
is on its way between two sockets of this process, and no thread is at work for it (its executor's, aiosqlite's). It
takes things in an order that does not depend on how fast threads and sockets happen to be, so that the same run does
the same things in the same order each time.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import selectors
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, tzinfo
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, TypeVarTuple

from imagestore_sim.clock import SLOWEST, Timer, TimerClock, check_step, wake
from imagestore_sim.in_flight.undelivered import UndeliveredBytes

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
START = 1_704_067_200.0
"""2024-01-01 00:00:00 UTC: a run is the same whenever it runs."""
NEVER = float("inf")
SQLITE_THREADS = ("aiosqlite.core", "sqlalchemy.dialects.sqlite.aiosqlite")
"""Who makes a future for each call that a thread of aiosqlite's is to carry out."""
MOST_TURNS = 1000
"""Turns of the event loop after which sockets are looked at even though callbacks are still ready."""
INDEPENDENT = ("asyncssh", "socket", "imagestore_sim")
"""Modules whose calls in the executor need nothing of the event loop, however long they take."""
PATIENCE = 0.05
"""Real seconds for which any other call in the executor is waited for before the rest goes on: it may ask for it."""
UNDELIVERED_SECONDS = 0.2
DRIVER_SECONDS = 0.25
"""Real seconds for which time stands still while a test on another thread waits for nothing of the lab."""


class VirtualClock(TimerClock):
    """The time of a VirtualEventLoop."""

    def __init__(self, start: float = START, zone: tzinfo = UTC) -> None:
        super().__init__(zone)
        self._start = start
        self._now = 0.0
        self._timers: list[Timer] = []
        self._until = NEVER  # where it is to stand still
        self._paused = False
        self._speed = NEVER
        self._outside = 0
        self._settling: list[asyncio.Future[None]] = []
        self._is_driven = False
        self._drivers = 0
        self._left = 0.0

    def time(self) -> float:
        return self._start + self._now

    def monotonic(self) -> float:
        return self._now

    @contextmanager
    def outside(self) -> Iterator[None]:
        """While the block runs time flows as the machine's does, for as long as the loop has to wait."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    # What a test on another thread does with it

    def drive(self) -> None:
        """From now on jump only while somebody waits for it in a `driven` block: meanwhile a test on another thread
        goes on, for whom no time is to pass. After DRIVER_SECONDS time flows as the machine's does, so that a client
        that knows nothing of it sees its jobs end."""
        self._is_driven = True
        self._left = time.monotonic()

    @contextmanager
    def driven(self) -> Iterator[None]:
        """While the block runs time may jump."""
        self._drivers += 1
        try:
            yield
        finally:
            self._drivers -= 1
            self._left = time.monotonic()

    # What the lab may do with it

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._paused

    @property
    def speed(self) -> float:
        """Seconds that go by in one real second when nothing is left to do; infinite: it jumps."""
        return self._speed

    def pause(self) -> None:
        """Stand still: nothing that waits for the time goes on."""
        self._paused = True
        self._until = self._now

    def resume(self) -> None:
        """Go on from where it was paused."""
        self._paused = False
        self._until = NEVER

    def set_speed(self, speed: float) -> None:
        """Let no more than so many seconds go by in a real one. Raises ValueError."""
        if not speed >= SLOWEST:
            raise ValueError(f"the speed of a clock is {SLOWEST:g} at least, but got {speed:g}")
        self._speed = speed

    def restart(self) -> None:
        """Go on as it did in the beginning: it jumps. Its time goes on from where it is."""
        self.resume()
        self.set_speed(NEVER)

    async def step(self, seconds: float) -> None:
        """Let `seconds` go by, and all be done that falls due on the way; a clock that is paused stays paused.

        Raises ValueError for a step beyond LATEST.
        """
        check_step(self.time(), seconds)
        if self._paused:
            self._until = max(self._until, self._now + seconds)
        await self.sleep(seconds)
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing is left to do at this moment."""
        future = asyncio.get_running_loop().create_future()
        self._settling.append(future)
        await future

    # What the event loop does with it when nothing is left to do

    def _arm(self, timer: Timer) -> None:
        if not isinstance(asyncio.get_running_loop(), VirtualEventLoop):
            raise RuntimeError("a virtual clock needs an event loop of its own: see run_virtually")
        heapq.heappush(self._timers, timer)

    def go_on(self) -> bool:
        """Begin what waited for this moment to be over, or for the next one; False if there is nothing, or not yet."""
        if self._settling:
            settling, self._settling = self._settling, []
            for future in settling:
                wake(future)
            return True
        first = self._first()
        if first is None or (self._rate != NEVER and first.deadline > self._now):
            return False
        self._now = max(self._now, first.deadline)
        while self._timers and self._timers[0].deadline <= self._now:
            heapq.heappop(self._timers).fire()
        return True

    def real_seconds(self) -> float | None:
        """How long the machine has to wait for the next timer; None if there is nothing to wait for."""
        first = self._first()
        if first is None:
            return None
        rate = self._rate
        return (first.deadline - self._now) / rate if rate else max(0.0, self._left + DRIVER_SECONDS - time.monotonic())

    def flow(self, real_seconds: float) -> None:
        """The machine has waited for so long."""
        if self._rate != NEVER:
            first = self._first()
            end = self._until if first is None else first.deadline
            self._now = max(self._now, min(self._now + real_seconds * self._rate, end))

    @property
    def _rate(self) -> float:
        if self._is_driven and not self._drivers:
            return min(self._speed, 1.0) if time.monotonic() >= self._left + DRIVER_SECONDS else 0.0
        return min(self._speed, 1.0) if self._outside else self._speed

    def _first(self) -> Timer | None:
        """The next timer, if time may go as far as that."""
        while self._timers and self._timers[0].over:
            heapq.heappop(self._timers)
        return self._timers[0] if self._timers and self._timers[0].deadline <= self._until else None


def run_virtually(main: Coroutine[Any, Any, T], *, start: float = START, seed: int = 0) -> T:
    """Run `main` in virtual time; the clock is the running loop's: `virtual_clock()`."""
    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(VirtualClock(start), seed)) as runner:
        return runner.run(main)


def virtual_clock() -> VirtualClock:
    """The clock of the running event loop. Raises RuntimeError if that runs in real time."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualEventLoop):
        raise RuntimeError("this event loop runs in real time: virtual time needs one of its own")
    return loop.clock


class _NumberedFuture(asyncio.Future[Any]):
    """A future that knows how many were made before it."""

    number = 0


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps when nothing is left to do."""

    def __init__(self, clock: VirtualClock | None = None, seed: int = 0) -> None:
        self.clock = clock or VirtualClock()
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311 - for runs that are to be the same each time, not for secrets
        self._threaded: dict[asyncio.Future[Any], float | None] = {}  # and until when others wait for it
        self._arrivals: SimpleQueue[asyncio.Handle] = SimpleQueue()
        self._futures = 0
        self._home = 0
        super().__init__(_Selector(self))

    def run_forever(self) -> None:
        self._home = threading.get_ident()
        super().run_forever()

    # Threads

    def create_future(self) -> asyncio.Future[Any]:
        future = _NumberedFuture(loop=self)
        self._futures += 1
        future.number = self._futures
        # They have no other sign of being at work.
        if sys._getframe(1).f_globals.get("__name__") in SQLITE_THREADS:
            self._watch(future, None)
        return future

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._watch(future, None if _needs_nobody(func) else time.monotonic() + PATIENCE)
        return future

    def _watch(self, future: asyncio.Future[Any], until: float | None) -> None:
        self._threaded[future] = until
        future.add_done_callback(self._threaded.pop)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        # A thread that was done before anybody could wait for it has its result brought by this one.
        brings = isinstance(next(iter(args), None), _NumberedFuture)
        if threading.get_ident() == self._home and not brings:
            return super().call_soon_threadsafe(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        self._arrivals.put(handle)
        super().call_soon_threadsafe(_nothing)  # wakes it up, in case it waits for a socket
        return handle

    @property
    def waits_for_threads(self) -> bool:
        """Whether a thread is at work for this loop."""
        return bool(self._threaded)

    def take_arrivals(self) -> bool:
        """Wait for the threads that are at work, and take in what they bring, in the order in which it was asked for.

        False if they have brought nothing.
        """
        arrived: list[asyncio.Handle] = []
        while (handle := self._next_arrival(self._patience(arrived))) is not None:
            arrived.append(handle)
        for handle in sorted(arrived, key=_number):
            self.call_soon(_run, handle)
        return bool(arrived)

    def _patience(self, arrived: list[asyncio.Handle]) -> float | None:
        """For how many seconds the threads are to be waited for; None: until they come back."""
        back = {_future(handle) for handle in arrived}
        ends = [until for future, until in self._threaded.items() if future not in back and not future.done()]
        if None in ends:
            return None
        return max([0.0, *(until - time.monotonic() for until in ends if until is not None)])

    def _next_arrival(self, seconds: float | None) -> asyncio.Handle | None:
        try:
            return self._arrivals.get(timeout=seconds) if seconds != 0 else self._arrivals.get_nowait()
        except Empty:
            return None


def _needs_nobody(function: Callable[..., object]) -> bool:
    """Whether a call in a thread is sure to come back whatever happens here meanwhile."""
    if isinstance(function, partial) and function.args:  # what asyncio.to_thread makes of a call
        function = function.args[0]
    return getattr(function, "__module__", "").partition(".")[0] in INDEPENDENT


def _nothing() -> None:
    pass


def _run(handle: asyncio.Handle) -> None:
    if not handle.cancelled():
        handle._run()


def _future(handle: asyncio.Handle) -> object:
    """The future that a thread completes by a handle: asyncio and aiosqlite both pass it first."""
    arguments = handle._args
    return arguments[0] if arguments and isinstance(arguments[0], _NumberedFuture) else None


def _number(handle: asyncio.Handle) -> int:
    future = _future(handle)
    return future.number if isinstance(future, _NumberedFuture) else 0


class _Selector(selectors.DefaultSelector):
    """Looks at sockets only when all that is ready has been done, and moves time on when they have nothing either."""

    def __init__(self, loop: VirtualEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._turns = 0
        self._order: dict[int, int] = {}
        self._registered = 0
        self._undelivered = UndeliveredBytes()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        self._registered += 1
        self._order[key.fd] = self._registered
        self._undelivered.add(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().modify(fileobj, events, data)
        self._undelivered.add(key.fd)  # it may not have been connected before
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._order.pop(key.fd, None)
        self._undelivered.discard(key.fd)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0 and self._turns < MOST_TURNS:
            self._turns += 1
            return []
        self._turns = 0
        if self._loop.take_arrivals():
            return []
        events = self._look(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        return self._wait(timeout)

    def _look(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Who is ready, in the order in which they were registered."""
        ready = super().select(timeout)
        ready.sort(key=lambda one: self._order[one[0].fd])
        return ready

    def _wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._loop.waits_for_threads:
            return self._look(timeout)
        if events := self._under_way():
            return events
        clock = self._loop.clock
        if clock.go_on():
            return []
        seconds = [one for one in (timeout, clock.real_seconds()) if one is not None]
        began = time.monotonic()
        events = self._look(min(seconds, default=None))
        clock.flow(time.monotonic() - began)
        return events

    def _under_way(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Who becomes ready by what is still on its way between sockets of this process."""
        end = time.monotonic() + UNDELIVERED_SECONDS
        while self._undelivered.any():
            if events := self._look(0.001):
                return events
            if time.monotonic() > end:
                self._undelivered.give_up()
        return []
