"""Virtual time: when nothing is left to do, it jumps to the next timer. SSH, HTTP and SQLite stay real.

Nothing is left to do when no callback is ready, no socket can be read or written, no byte is under way between two
sockets of this process, and no thread works for the event loop (its executor's, aiosqlite's). The loop handles results
of threads and sockets in an order that does not depend on how fast they are: each run does the same things in the same
order. With an Order, that is drawn where it could be another one.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import selectors
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, tzinfo
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

from typing_extensions import override

from imagestore_sim.clock import NEVER, SLOWEST, START, Timer, TimerClock, check_step, wake
from imagestore_sim.in_flight import activity
from imagestore_sim.in_flight.undelivered import UndeliveredBytes
from imagestore_sim.orders import Draw, Order

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
P = ParamSpec("P")
R = TypeVar("R")
SQLITE_THREADS = ("aiosqlite.core", "sqlalchemy.dialects.sqlite.aiosqlite")
"""The modules that make a future for each call in a thread of aiosqlite."""
MOST_TURNS = 1000
"""Turns of the event loop after which sockets are polled even if callbacks are still ready."""
INDEPENDENT = ("asyncssh", "socket", "imagestore_sim")
"""Packages whose calls in the executor never wait for the event loop, however long they take."""
PATIENCE = 0.05
"""Real seconds to wait for any other call in the executor before the loop runs on: the call may need the loop."""
UNDELIVERED_SECONDS = 0.2
"""Real seconds to wait for bytes between sockets of this process; then the receiver is taken not to read them."""
UNDELIVERED_POLLS = 50
"""Polls for them in any case: a busy machine gives this process no time, and delivers nothing meanwhile."""
DELIVERY_SECONDS = 0.001
"""Real seconds between two polls for them."""
OTHER = "other"
"""What a draw is called that is about something without a name."""
DRIVER_SECONDS = 0.25
"""Real seconds for which time stands still after a test on another thread has stopped waiting for the lab."""


def without_jumps(work: Callable[P, R]) -> Callable[P, R]:
    """Mark a call that waits for clients outside: virtual time does not jump while a test waits for it."""
    work.without_jumps = True  # type: ignore[attr-defined]
    return work


def jumps_during(work: Callable[..., object]) -> bool:
    """Return whether virtual time may jump while a test waits for a call."""
    return not getattr(work, "without_jumps", False)


class VirtualClock(TimerClock):
    """The time of a VirtualEventLoop."""

    def __init__(self, start: float = START, zone: tzinfo = UTC) -> None:
        super().__init__(zone)
        self._start = start
        self._now = 0.0
        self._timers: list[tuple[float, int, Timer]] = []
        """A heap: by their times, and then by when they were made."""
        self._limit = NEVER
        """The time that it does not pass while it is paused."""
        self._paused = False
        self._speed = NEVER
        self._first_state = (False, NEVER)
        """Whether it is paused, and its speed, after `restart`."""
        self._steps = 0
        """How many steps are under way."""
        self._outside = 0
        """How many tasks wait for something outside this process."""
        self._settling: list[asyncio.Future[None]] = []
        """Completed once nothing is left to do, before time moves on."""
        self._is_driven = False
        self._drivers = 0
        """How many `driven` blocks run."""
        self._driver_left = 0.0
        """When the last `driven` block ended, on the machine's monotonic clock."""

    @override
    def time(self) -> float:
        return self._start + self._now

    @override
    def monotonic(self) -> float:
        return self._now

    @contextmanager
    def outside(self) -> Iterator[None]:
        """While the block runs, let time pass as the machine's does whenever the loop has to wait."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    # For a test on another thread

    def drive(self) -> None:
        """Jump only inside `driven` blocks from now on.

        Outside of them a test on another thread works, for which no time is to pass. After DRIVER_SECONDS time passes
        as the machine's does, so that a client that does not use `driven` sees its jobs end.
        """
        self._is_driven = True
        self._driver_left = time.monotonic()

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Let time jump while the block runs."""
        self._drivers += 1
        try:
            yield
        finally:
            self._drivers -= 1
            self._driver_left = time.monotonic()

    # For the lab's API

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._paused

    @property
    def speed(self) -> float:
        """Seconds that pass in one real second when nothing is left to do; infinite: it jumps."""
        return self._speed

    def pause(self) -> None:
        """Stand still: no sleep ends and no timeout expires."""
        self._paused = True
        self._limit = self._now

    def resume(self) -> None:
        """Continue from where it was paused."""
        self._paused = False
        self._limit = NEVER

    def set_speed(self, speed: float) -> None:
        """Let at most `speed` seconds pass in a real one. Raise ValueError."""
        if not speed >= SLOWEST:
            raise ValueError(f"the speed of a clock is {SLOWEST:g} at least, but got {speed:g}")
        self._speed = speed

    def restart(self) -> None:
        """Go on as it began: jumping, or stopped. The time itself does not go back."""
        paused, speed = self._first_state
        self.set_speed(speed)
        self.pause() if paused else self.resume()

    def stop_at_start(self) -> None:
        """Stand still from the start, and run at the machine's speed if it is resumed."""
        self._first_state = (True, 1.0)
        self.restart()

    @property
    @override
    def jumps(self) -> bool:
        return not self._paused and self._rate == NEVER

    async def step(self, seconds: float) -> bool:
        """Let `seconds` pass, and finish all that falls due on the way. A paused clock stays paused.

        Return whether nothing was under way any more. Raise ValueError for a step beyond LATEST.
        """
        check_step(self.time(), seconds)
        if self._paused:
            self._limit = max(self._limit, self._now + seconds)
        self._steps += 1
        try:
            await self.sleep(seconds)
            return await self.settle()
        finally:
            self._steps -= 1
            if self._paused and not self._steps:
                self._limit = self._now  # a step that was cancelled ends here

    async def settle(self) -> bool:
        """Wait until nothing is left to do at this moment; return whether nothing is under way outside either."""
        future = asyncio.get_running_loop().create_future()
        self._settling.append(future)
        await future
        return not self._outside

    # For the event loop, when nothing is left to do

    def _arm(self, timer: Timer) -> None:
        if not isinstance(asyncio.get_running_loop(), VirtualEventLoop):
            raise RuntimeError("a virtual clock needs an event loop of its own: see run_virtually")
        heapq.heappush(self._timers, (timer.deadline, timer.number, timer))

    def advance(self) -> bool:
        """Wake what waits for this moment to settle, else jump to the next timer and fire what is due.

        Return False if there was nothing to do, or if time does not jump to it.
        """
        if self._settling:
            settling, self._settling = self._settling, []
            for future in settling:
                wake(future)
            return True
        first = self._first()
        if first is None or (self._rate != NEVER and first.deadline > self._now):
            return False
        self._now = max(self._now, first.deadline)
        while self._timers and self._timers[0][0] <= self._now:
            heapq.heappop(self._timers)[-1].fire()
        return True

    def real_seconds(self) -> float | None:
        """Return the real seconds until the next timer at the present rate, None if there is no timer to wait for."""
        first = self._first()
        if first is None:
            return None
        rate = self._rate
        return (
            (first.deadline - self._now) / rate
            if rate
            else max(0.0, self._driver_left + DRIVER_SECONDS - time.monotonic())
        )

    def pass_real_time(self, real_seconds: float) -> None:
        """Move on after the machine has waited for `real_seconds`, at the present rate; never past the next timer."""
        if self._rate != NEVER:
            first = self._first()
            end = self._limit if first is None else first.deadline
            self._now = max(self._now, min(self._now + real_seconds * self._rate, end))

    @property
    def _rate(self) -> float:
        """Seconds that pass in a real second: NEVER if time jumps, 0 if it stands still for a test at work."""
        if self._steps:
            return 1.0 if self._outside else NEVER
        if self._is_driven and not self._drivers:
            return min(self._speed, 1.0) if time.monotonic() >= self._driver_left + DRIVER_SECONDS else 0.0
        return min(self._speed, 1.0) if self._outside else self._speed

    def _first(self) -> Timer | None:
        """Return the next timer, None if there is none before the limit of a paused clock."""
        while self._timers and self._timers[0][-1].over:
            heapq.heappop(self._timers)
        return self._timers[0][-1] if self._timers and self._timers[0][0] <= self._limit else None


def run_virtually(
    main: Coroutine[Any, Any, T],
    *,
    start: float = START,
    seed: int = 0,
    order: Order | None = None,
    without_threads: bool = False,
) -> T:
    """Run `main` in virtual time, and return its result. The clock is `virtual_clock()`."""

    def new_loop() -> VirtualEventLoop:
        return VirtualEventLoop(VirtualClock(start), seed, order, without_threads=without_threads)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


def virtual_clock() -> VirtualClock:
    """Return the clock of the running event loop. Raise RuntimeError if that runs in real time."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualEventLoop):
        raise RuntimeError("this event loop runs in real time: virtual time needs one of its own")
    return loop.clock


def begin_part(number: int) -> None:
    """Name the draws of the running event loop by a step of a story from now on, if it has an Order."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualEventLoop) and loop.order is not None:
        loop.order.begin_part(number)


class _NumberedFuture(asyncio.Future[Any]):
    """A future with a number, by which results of threads are put in order."""

    number = 0
    owner = ""
    """The work that waits for the thread."""
    is_at_once = False
    """Whether the loop's own thread did the work, and the result is among the arrivals."""


class _AtOnce(Executor):
    """Stands for an executor whose threads the loop waits for: a call is done at once, and its result arrives later."""

    @override
    def submit(self, function: Callable[P, R], /, *arguments: P.args, **named: P.kwargs) -> Future[R]:
        future: Future[R] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:  # as a thread does
            future.set_exception(error)
        return future


_AT_ONCE = _AtOnce()


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps when nothing is left to do."""

    _ready: deque[asyncio.Handle]  # asyncio's: the callbacks of the next turn

    def __init__(
        self,
        clock: VirtualClock | None = None,
        seed: int = 0,
        order: Order | None = None,
        *,
        without_threads: bool = False,
    ) -> None:
        """`order` draws what runs first where that is open; without one, the order is always the same.

        `without_threads` has SQLite, and calls in the executor that never wait for the loop, work on its own thread:
        the same order, in less time, if all that the loop does is virtual.
        """
        self.clock = clock or VirtualClock()
        self.without_threads = without_threads
        self.order = order
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311 - runs are to be the same, nothing is secret
        self._threaded: dict[asyncio.Future[Any], float | None] = {}
        """Futures that threads will complete, each with the real time until which the loop waits; None: always."""
        self._arrivals: SimpleQueue[asyncio.Handle] = SimpleQueue()
        """Callbacks that threads have scheduled, in the order of their arrival."""
        self._futures = 0
        self._own_thread = 0
        super().__init__(_Selector(self))

    @override
    def run_forever(self) -> None:
        self._own_thread = threading.get_ident()
        super().run_forever()

    # Threads

    @override
    def create_future(self) -> asyncio.Future[Any]:
        future = _NumberedFuture(loop=self)
        self._futures += 1
        future.number = self._futures
        # aiosqlite runs threads of its own: that it makes a future is the only sign that one of them is at work.
        if sys._getframe(1).f_globals.get("__name__") in SQLITE_THREADS:
            self._watch(future, None)
        return future

    @override
    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        is_independent = _is_independent(func)
        if is_independent and self.without_threads:
            executor = _AT_ONCE
        future = super().run_in_executor(executor, func, *args)
        self._watch(future, None if is_independent else time.monotonic() + PATIENCE)
        return future

    def do_at_once(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Call a function in place of a thread; its result comes with those of threads, in the order of the calls."""
        future = _NumberedFuture(loop=self)
        self._futures += 1
        future.number = self._futures
        future.is_at_once = True
        if self.order is not None:
            future.owner = _work_of(asyncio.current_task(self))
        try:
            self._arrivals.put(asyncio.Handle(_set_result, (future, function()), self))
        except BaseException as error:  # as a thread does
            self._arrivals.put(asyncio.Handle(_set_exception, (future, error), self))
        return future

    def _watch(self, future: asyncio.Future[Any], until: float | None) -> None:
        self._threaded[future] = until
        if self.order is not None and isinstance(future, _NumberedFuture):
            future.owner = _work_of(asyncio.current_task(self))
        future.add_done_callback(self._unwatch)

    def _unwatch(self, future: asyncio.Future[Any]) -> None:
        self._threaded.pop(future, None)

    @override
    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        # The result of a thread that ended before its future had a callback is delivered on the loop's own thread. It
        # must queue with the others, or the order would depend on how fast the thread was.
        brings_result = isinstance(next(iter(args), None), _NumberedFuture)
        is_own = threading.get_ident() == self._own_thread
        if is_own and not brings_result:
            return super().call_soon_threadsafe(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        self._arrivals.put(handle)
        if not (is_own and self.without_threads):
            super().call_soon_threadsafe(_nothing)  # ends a poll of sockets that is waiting
        return handle

    @property
    def waits_for_threads(self) -> bool:
        """Whether a thread works for this loop."""
        return bool(self._threaded)

    def take_arrivals(self) -> bool:
        """Wait for the threads that work for the loop, and schedule their results in the order of the calls.

        Return whether there was a result.
        """
        arrived: list[asyncio.Handle] = []
        if not self._threaded:
            while not self._arrivals.empty():
                arrived.append(self._arrivals.get_nowait())
        while self._threaded:
            while not self._arrivals.empty():
                arrived.append(self._arrivals.get_nowait())
            if (handle := self._next_arrival(self._patience(arrived))) is None:
                break
            arrived.append(handle)
        if len(arrived) > 1:
            arrived.sort(key=_number)
        if arrived:
            self._deliver(arrived if self.order is None else self._arranged(arrived, self.order))
        return bool(arrived)

    def _arranged(self, arrived: list[asyncio.Handle], order: Order) -> list[asyncio.Handle]:
        """Return the results of threads as `order` draws it: one of them first, and without those that come later."""
        if len(arrived) > 1 and order.is_open(Draw.THREADS):
            arrived.insert(0, arrived.pop(order.first(Draw.THREADS, len(arrived), _owner(arrived[0]))))
        return [one for one in arrived if not self._is_late(one, order)] if order.is_open(Draw.DELAYS) else arrived

    def _is_late(self, handle: asyncio.Handle, order: Order) -> bool:
        """Return whether the result of a thread comes later, as `order` draws it; then it is scheduled."""
        future = _future(handle)
        seconds = order.delay(_owner(handle)) if self._is_awaited(future) else 0.0
        if not seconds or future is None:
            return False
        self._unwatch(future)  # time may pass now
        self.clock.call_at(self.clock.monotonic() + seconds, partial(self.call_soon, _run, handle))
        return True

    def _is_awaited(self, future: _NumberedFuture | None) -> bool:
        return future in self._threaded or (future is not None and future.is_at_once and not future.done())

    def _deliver(self, arrived: list[asyncio.Handle]) -> None:
        """Schedule results. Where this thread did all the work and nothing else is ready, what waits for them goes on.

        That saves a turn in which nothing else would run: most of a run's turns would be such.
        """
        at_once = [_is_at_once(handle) for handle in arrived]
        if all(at_once) and not self._ready:
            for handle in arrived:
                handle._run()
            return
        for handle, is_at_once in zip(arrived, at_once, strict=True):
            if is_at_once:
                self._ready.append(handle)
            else:
                self.call_soon(_run, handle)

    def arrange_tasks(self, order: Order) -> None:
        """Let the task that `order` draws be the first that goes on in the next turn; those before it go on last.

        A task that waits a little longer is always in order. Callbacks keep their places: libraries rely on them.
        """
        if len(self._ready) < 2 or not order.is_open(Draw.TASKS):
            return
        tasks = [handle for handle in tuple(self._ready) if _is_step(handle)]  # a thread may append to it
        if len(tasks) > 1:
            for handle in tasks[: order.first(Draw.TASKS, len(tasks), _work_of(_task_of(tasks[0])))]:
                self._ready.remove(handle)
                self._ready.append(handle)

    def _patience(self, arrived: list[asyncio.Handle]) -> float | None:
        """Return how many seconds to wait for a thread that has not arrived; None: until it has."""
        if not self._threaded:
            return 0.0
        back = {_future(handle) for handle in arrived}
        ends = [until for future, until in self._threaded.items() if future not in back and not future.done()]
        if None in ends:
            return None
        return max([0.0, *(until - time.monotonic() for until in ends if until is not None)])

    def _next_arrival(self, seconds: float | None) -> asyncio.Handle | None:
        if seconds == 0 and self._arrivals.empty():
            return None
        try:
            return self._arrivals.get(timeout=seconds) if seconds != 0 else self._arrivals.get_nowait()
        except Empty:
            return None


def _is_independent(function: Callable[..., object]) -> bool:
    """Return whether a call in a thread returns even if the event loop does not run meanwhile."""
    if isinstance(function, partial) and function.args:  # as asyncio.to_thread calls it
        function = function.args[0]
    return getattr(function, "__module__", "").partition(".")[0] in INDEPENDENT


def _is_step(handle: asyncio.Handle) -> bool:
    """Return whether a handle lets a task go on."""
    return _task_of(handle) is not None


def _task_of(handle: asyncio.Handle) -> asyncio.Task[Any] | None:
    """Return the task that a handle lets go on, None if it does something else."""
    owner = getattr(getattr(handle, "_callback", None), "__self__", None)
    return owner if isinstance(owner, asyncio.Task) else None


def _work_of(task: asyncio.Task[Any] | None) -> str:
    """Return what a draw is called that is about a task: its coroutine, which has a name without spaces."""
    return OTHER if task is None else getattr(task.get_coro(), "__qualname__", OTHER)


def _reader_of(key: selectors.SelectorKey) -> str:
    """Return what a draw is called that is about a socket: the protocol of its connection, or what reads it."""
    reads = getattr(key.data[0] or key.data[1], "_callback", None)
    transport = getattr(reads, "__self__", None)
    protocol = getattr(transport, "_protocol", None)
    return type(protocol).__name__ if protocol is not None else getattr(reads, "__name__", OTHER)


def _set_result(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _set_exception(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _nothing() -> None:
    pass


def _run(handle: asyncio.Handle) -> None:
    if not handle.cancelled():
        handle._run()


def _future(handle: asyncio.Handle) -> _NumberedFuture | None:
    """Return the future that a handle completes: asyncio and aiosqlite both pass it as the first argument."""
    arguments = handle._args
    return arguments[0] if arguments and isinstance(arguments[0], _NumberedFuture) else None


def _is_at_once(handle: asyncio.Handle) -> bool:
    """Return whether a handle completes a future whose work the loop's own thread did."""
    future = _future(handle)
    return future is not None and future.is_at_once


def _owner(handle: asyncio.Handle) -> str:
    future = _future(handle)
    return (future.owner if future is not None else "") or OTHER


def _number(handle: asyncio.Handle) -> int:
    future = _future(handle)
    return 0 if future is None else future.number


class _Selector(selectors.DefaultSelector):
    """Polls sockets only when no callback is ready, and moves time on when no socket is ready either.

    The event loop calls `select` once in each turn, with a timeout of 0 while callbacks are ready.
    """

    def __init__(self, loop: VirtualEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._turns = 0
        self._order: dict[int, int] = {}
        """By file descriptor: the order of registration, in which ready sockets are handled."""
        self._registered = 0
        self._read: set[int] = set()
        """The file descriptors that the loop waits to read."""
        self._held: dict[int, float] = {}
        """By file descriptor: until when the message that has arrived is still under way, as an Order has drawn."""
        self._undelivered = UndeliveredBytes()

    @override
    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        self._registered += 1
        self._order[key.fd] = self._registered
        self._watch(key)
        return key

    @override
    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().modify(fileobj, events, data)
        self._watch(key)  # it may not have been connected before
        return key

    def _watch(self, key: selectors.SelectorKey) -> None:
        self._undelivered.add(key.fd)
        if key.events & selectors.EVENT_READ:
            self._read.add(key.fd)
        else:
            self._read.discard(key.fd)

    @override
    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._order.pop(key.fd, None)
        self._held.pop(key.fd, None)
        self._read.discard(key.fd)
        self._undelivered.discard(key.fd)
        return key

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0 and self._turns < MOST_TURNS:
            self._turns += 1
            events = []
        else:
            self._turns = 0
            events = self._look(timeout)
        if self._loop.order is not None:
            self._loop.arrange_tasks(self._loop.order)
        return events

    def _look(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._loop.take_arrivals():
            return []
        events = self._poll(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        return self._wait(timeout)

    def _poll(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the sockets that are ready, in the order of their registration."""
        ready = super().select(timeout)
        if self._loop.order is not None and ready:
            ready = self._all_ready(ready)
        ready.sort(key=lambda one: self._order[one[0].fd])
        if self._loop.order is not None and ready:
            return self._arrange(ready, self._loop.order)
        return ready

    def _all_ready(self, ready: list[tuple[selectors.SelectorKey, int]]) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until the kernel has delivered all that is in flight; return the sockets that are ready then.

        What an Order may choose from is the same then, however busy the machine is.
        """
        patience = _Patience()
        while coming := self._undelivered.in_flight(
            self._read, {one.fd for one, mask in ready if mask & selectors.EVENT_READ}
        ):
            if patience.is_over():
                self._undelivered.ignore(coming)
            time.sleep(DELIVERY_SECONDS)
            ready = super().select(0)
        return ready

    def _arrange(
        self, ready: list[tuple[selectors.SelectorKey, int]], order: Order
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the sockets that are ready as `order` draws it: without those whose messages are still under way.

        Only connections within this process have a part in the draws. When another one is ready, the loop's own socket
        among them, depends on how fast threads and other processes are.
        """
        outside = [one for one in ready if not self._undelivered.has_both_ends(one[0].fd)]
        arrived = [one for one in ready if one not in outside and self._has_arrived(*one, order)]
        if len(arrived) > 1 and order.is_open(Draw.SOCKETS):
            arrived.insert(0, arrived.pop(order.first(Draw.SOCKETS, len(arrived), _reader_of(arrived[0][0]))))
        return outside + arrived

    def _has_arrived(self, key: selectors.SelectorKey, mask: int, order: Order) -> bool:
        descriptor, clock = key.fd, self._loop.clock
        if (until := self._held.get(descriptor)) is not None:
            if clock.monotonic() < until:
                return False
            del self._held[descriptor]
            return True
        if mask != selectors.EVENT_READ or not order.is_open(Draw.DELAYS):
            return True
        if seconds := order.delay(_reader_of(key)):
            self._held[descriptor] = until = clock.monotonic() + seconds
            clock.call_at(until, _nothing)  # time does not jump past it
        return not seconds

    def _wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for threads, sockets or the next timer, whichever the clock allows.

        A library's timers are in `timeout`, in real seconds. They neither move virtual time nor hold it up.
        """
        if self._loop.waits_for_threads or activity().waits_for_store:
            return self._poll(timeout)
        if events := self._poll_undelivered():
            return events
        clock = self._loop.clock
        if clock.advance():
            return []
        seconds = [one for one in (timeout, clock.real_seconds()) if one is not None]
        began = time.monotonic()
        events = self._poll(min(seconds, default=None))
        clock.pass_real_time(time.monotonic() - began)
        return events

    def _poll_undelivered(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the sockets that become ready by bytes that are still under way between sockets of this process."""
        patience = _Patience()
        while self._undelivered.any():
            if events := self._poll(DELIVERY_SECONDS):
                return events
            if patience.is_over():
                self._undelivered.give_up()
        return []


class _Patience:
    """How long to wait for bytes that are under way between sockets of this process."""

    def __init__(self) -> None:
        self._end = time.monotonic() + UNDELIVERED_SECONDS
        self._polls = 0

    def is_over(self) -> bool:
        """Note a poll; return whether there have been enough, and for long enough."""
        self._polls += 1
        return self._polls > UNDELIVERED_POLLS and time.monotonic() > self._end
