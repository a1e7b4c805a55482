"""Posts to web hooks, with retries. A receiver that hangs does not delay the others.

A receiver that has not answered within SLOW_AFTER moves to the slots for slow receivers: it gets one request at a time,
at most one in SLOW_SECONDS, until it answers in time again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp

from imagestore_sim.clock import Clock
from imagestore_sim.host_names import is_this_machine
from imagestore_sim.masking import masked_path, on_one_line
from imagestore_sim.plain_reasons import plain_reason
from imagestore_sim.tasks import Tasks, cancel_and_wait
from imagestore_sim.web_client import heads_connector, http_url

logger = logging.getLogger(__name__)
T = TypeVar("T")
MOST_AT_ONCE = 256
MOST_SLOW_AT_ONCE = 256
"""Bounds of the requests under way: to receivers that answer in time, and to those that do not."""
MOST_AT_ONCE_TO_ONE = 4
SLOW_AFTER = 0.5
"""Real seconds after which a receiver counts as slow."""
SLOW_SECONDS = 5.0
"""Real seconds for which it then does, and between two requests to it."""
MOST_WAITS = 3
"""How often a receiver gets SLOW_AFTER again because the event loop was blocked meanwhile."""
MOST_WAITING_FOR_ONE = 1000
MOST_WAITING = 10_000
"""Bounds of the deliveries that wait, for one receiver and for all. One more is dropped, and that is logged."""
MOST_BYTES = 64 * 2**20
"""Bound of the bytes of all bodies that wait, but for a single one."""
CROWDED = "too many receivers have not answered yet"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a delivery is attempted. Times are seconds of the clock."""

    attempts: int
    pause: float
    """Between two attempts."""
    timeout: float
    """Of one attempt."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A body to post to a URL; `about` names it in the log, such as `job 1234`."""

    url: str
    body: bytes
    about: str
    headers: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    """What it reports: the class of a message whose job has ended, or the path of an event."""

    @property
    def receiver(self) -> str:
        """The URL for the log, on one line, with secrets masked: a client may have put a token in its query string."""
        return on_one_line(masked_path(self.url))


@dataclass(slots=True)
class Course:
    """How one delivery goes, where faults have changed that."""

    lost: bool = False
    waits: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What passes before it is sent for the first time."""
    after_next: list[Callable[[asyncio.Future[None]], Awaitable[None]]] = field(default_factory=list)
    """What passes then; called with a future that is done once a later delivery to the same URL has ended."""
    copies: int = 0
    """How often it is sent again once it is delivered."""


FindCourse = Callable[[Delivery], Awaitable[Course | None]]
"""Returns how a delivery goes; None: as usual."""


class _Receiver:
    """One URL: how many deliveries wait for it, and whether it is slow."""

    def __init__(self) -> None:
        self.waiting = 0
        self.posted = 0
        """How many deliveries it has got so far."""
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []
        """Of each delivery that waits for a later one to end: its number, and what is done then."""
        self.slots = asyncio.Semaphore(MOST_AT_ONCE_TO_ONE)
        self.slow_slot = asyncio.Lock()
        self._slow_until = 0.0

    def next_end(self, number: int) -> asyncio.Future[None]:
        """Return a future that is done once a delivery later than this one has ended."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited.append((number, future))
        return future

    def has_ended(self, number: int) -> None:
        """Note that a delivery has ended: those before it wait no longer."""
        for earlier, future in self._awaited:
            if earlier < number and not future.done():
                future.set_result(None)
        self._awaited = [one for one in self._awaited if one[0] > number]

    @property
    def seconds_slow(self) -> float:
        """Real seconds for which it still counts as slow."""
        return max(0.0, self._slow_until - time.monotonic())  # real: its receiver is

    @property
    def is_slow(self) -> bool:
        """Whether it has not answered in time lately."""
        return self.seconds_slow > 0

    @is_slow.setter
    def is_slow(self, slow: bool) -> None:
        self._slow_until = time.monotonic() + SLOW_SECONDS if slow else 0.0  # real: its receiver is


class Outbox:
    """Posts deliveries, each receiver at its own pace."""

    def __init__(self, clock: Clock, policy: RetryPolicy, find_course: FindCourse | None = None) -> None:
        self._clock = clock
        self._policy = policy
        self._find_course = find_course
        self._tasks = Tasks()
        self._http: aiohttp.ClientSession | None = None
        self._cut_off = False
        self._receivers: dict[str, _Receiver] = {}
        self._bytes = 0
        """The bytes of the bodies that wait; one that several receivers get counts for each."""
        self._dropped = 0
        """Deliveries that were dropped since one was accepted."""
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._slow_slots = asyncio.Semaphore(MOST_SLOW_AT_ONCE)

    @property
    def is_idle(self) -> bool:
        """Whether no delivery is under way."""
        return not len(self._tasks)

    def cut_off(self) -> None:
        """Post nothing more, and let what is under way go no further, as a kill -9 would."""
        self._cut_off = True
        self._tasks.cancel()

    async def close(self) -> None:
        """Cancel every delivery."""
        await self._tasks.close()
        if self._http is not None:
            await self._http.close()
            self._http = None

    def post(self, delivery: Delivery) -> None:
        """Start a delivery in the background, or drop it if too many wait."""
        if self._cut_off:
            return
        receiver = self._receivers.get(delivery.url) or _Receiver()
        if self._is_full(receiver, len(delivery.body)):
            self._drop(delivery, receiver)
            return
        self._dropped = 0
        self._receivers[delivery.url] = receiver
        self._bytes += len(delivery.body)
        receiver.waiting += 1
        receiver.posted += 1
        self._tasks.begin(
            self._deliver(delivery, receiver, receiver.posted), f"{delivery.about} to {delivery.receiver}"
        )

    def _is_full(self, receiver: _Receiver, size: int) -> bool:
        if receiver.waiting >= MOST_WAITING_FOR_ONE or len(self._tasks) >= MOST_WAITING:
            return True
        return self._bytes > 0 and self._bytes + size > MOST_BYTES

    def _drop(self, delivery: Delivery, receiver: _Receiver) -> None:
        """Log a delivery that is dropped. Of many in a row, log each whose number is a power of two."""
        self._dropped += 1
        if self._dropped & (self._dropped - 1) == 0:
            row = "" if self._dropped == 1 else f", as were {self._dropped - 1} before it"
            text = "web hook %s: %s was dropped%s: %d wait already, %d for all receivers"
            logger.warning(text, delivery.receiver, delivery.about, row, receiver.waiting, len(self._tasks))

    async def _deliver(self, delivery: Delivery, receiver: _Receiver, number: int) -> None:
        try:
            course = None if self._find_course is None else await self._find_course(delivery)
            if course is None:
                await self._send(delivery, receiver)
            elif not course.lost:
                await self._follow(course, delivery, receiver, number)
        finally:
            self._bytes -= len(delivery.body)
            receiver.waiting -= 1
            receiver.has_ended(number)
            if not receiver.waiting:
                self._receivers.pop(delivery.url, None)

    async def _follow(self, course: Course, delivery: Delivery, receiver: _Receiver, number: int) -> None:
        for wait in course.waits:
            await wait()
        if course.after_next:
            next_one = receiver.next_end(number)
            for wait_for in course.after_next:
                await wait_for(next_one)
        if await self._send(delivery, receiver):
            for _ in range(course.copies):
                await self._attempt(delivery, receiver)

    async def _send(self, delivery: Delivery, receiver: _Receiver) -> bool:
        """Post a delivery until the receiver takes it; return whether it did."""
        for attempt in range(self._policy.attempts):
            if attempt:
                await self._clock.sleep(self._policy.pause)
            problem = await self._attempt(delivery, receiver)
            if problem is None:
                return True
            logger.info("web hook %s, %s: attempt %d: %s", delivery.receiver, delivery.about, attempt + 1, problem)
        logger.warning(
            "web hook %s, %s: given up after %d attempts", delivery.receiver, delivery.about, self._policy.attempts
        )
        return False

    async def _attempt(self, delivery: Delivery, receiver: _Receiver) -> str | None:
        """Post once. Return why the receiver did not take it, None if it did."""
        async with receiver.slots:
            if not receiver.is_slow:
                return await self._try(delivery, receiver)
            async with receiver.slow_slot:  # one at a time
                await asyncio.sleep(receiver.seconds_slow)  # real: its receiver is
                return await self._try(delivery, receiver)

    async def _try(self, delivery: Delivery, receiver: _Receiver) -> str | None:
        async with AsyncExitStack() as stack:
            async with self._slots:
                posting = await stack.enter_async_context(_running(self._post(delivery)))
                receiver.is_slow = not await _is_done_soon(posting, self._clock)
            if not receiver.is_slow:
                return posting.result()
            if self._slow_slots.locked():
                return CROWDED
            async with self._slow_slots:
                return await posting

    async def _post(self, delivery: Delivery) -> str | None:
        if self._http is None:
            # Like ZStack, do not verify certificates: hooks stand in test networks. The slots bound the connections.
            connector = heads_connector(ssl=False, limit=0)
            self._http = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        try:
            with self._reaching(delivery.url):
                return await self._clock.wait_for(_status_of(self._http, delivery), self._policy.timeout)
        except TimeoutError:
            return f"no answer within {self._policy.timeout:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return plain_reason(error)

    def _reaching(self, url: str) -> AbstractContextManager[None]:
        """Return a context in which no time is skipped, if the receiver is on another machine."""
        return nullcontext() if is_this_machine(url) else self._clock.outside()


async def _status_of(http: aiohttp.ClientSession, delivery: Delivery) -> str | None:
    """Return what is wrong with the answer, None if it is a success. Read nothing of it but its status."""
    headers = {"Content-Type": "application/json; charset=utf-8", **delivery.headers}
    url = http_url(delivery.url)
    async with http.post(url, headers=headers, data=delivery.body, allow_redirects=False) as response:
        return None if 200 <= response.status < 300 else f"it answered {response.status}"


async def _is_done_soon(task: asyncio.Task[T], clock: Clock) -> bool:
    """Return whether a task is done within SLOW_AFTER, or somewhat later if the event loop was blocked meanwhile.

    Where a clock jumps, as much of its time passes before a task is late: a receiver of this process answers before the
    clock moves on, however little time a busy machine gives to both.
    """
    start = clock.monotonic()
    for _ in range(MOST_WAITS):
        began = time.monotonic()  # real: its receiver is
        await asyncio.wait([task], timeout=SLOW_AFTER)  # real: its receiver is
        stalled = time.monotonic() - began > 2 * SLOW_AFTER  # real: its receiver is
        if task.done() or not stalled:
            break
    while not task.done() and clock.jumps and clock.monotonic() - start < SLOW_AFTER:
        await asyncio.wait([task], timeout=SLOW_AFTER)  # real: its receiver is
    return task.done()


@asynccontextmanager
async def _running(work: Coroutine[object, object, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Run `work` as a task that is cancelled at the end of the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        await cancel_and_wait(task)
