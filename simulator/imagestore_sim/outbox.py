"""Posts to web hooks: again and again for a while, each receiver at its own pace, so that one that hangs holds up none.

A receiver that has not answered within PATIENCE makes room for the others: it is waited for in places for such alone,
and has its next turn after SLOW_SECONDS, one letter at a time, until it answers in time again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp

from imagestore_sim.clock import Clock
from imagestore_sim.masking import masked_path, on_one_line
from imagestore_sim.plain_reasons import plain_reason
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
T = TypeVar("T")
AT_ONCE = 256
SLOW_AT_ONCE = 256
"""The attempts that are under way at once, to receivers that answer and to those that do not."""
AT_ONCE_TO_ONE = 4
PATIENCE = 0.5  # real seconds, as the next
SLOW_SECONDS = 5.0
MOST_GOES = 3
MOST_TO_ONE = 1000
MOST = 10_000
"""What may wait for one receiver, and for all of them; what is more is dropped, and that is logged."""
CROWDED = "too many receivers have not answered yet"


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is posted, the seconds between two attempts, and those that one may take; by the clock."""

    attempts: int
    between: float
    an_attempt: float


@dataclass(frozen=True, slots=True)
class Letter:
    """What is posted to whom; `about` says in the log what it is."""

    url: str
    body: bytes
    about: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def receiver(self) -> str:
        """The URL as a log line shows it: clients may have sent anything, a token in its query string say."""
        return on_one_line(masked_path(self.url))


class _Receiver:
    """Somebody at a URL."""

    def __init__(self) -> None:
        self.waiting = 0
        self.places = asyncio.Semaphore(AT_ONCE_TO_ONE)
        self.slow_place = asyncio.Lock()
        self._slow_until = 0.0

    @property
    def seconds_slow(self) -> float:
        """For how long it is still taken to be slow, in seconds of the machine's."""
        return max(0.0, self._slow_until - time.monotonic())  # real: it is

    @property
    def is_slow(self) -> bool:
        """Whether it has not answered in time of late."""
        return self.seconds_slow > 0

    @is_slow.setter
    def is_slow(self, slow: bool) -> None:
        self._slow_until = time.monotonic() + SLOW_SECONDS if slow else 0.0  # real: it is


class Outbox:
    """Delivers letters."""

    def __init__(self, clock: Clock, patience: Patience) -> None:
        self._clock = clock
        self._patience = patience
        self._tasks = Tasks()
        self._http: aiohttp.ClientSession | None = None
        self._receivers: dict[str, _Receiver] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._slow_places = asyncio.Semaphore(SLOW_AT_ONCE)

    async def close(self) -> None:
        """Give up what has not been delivered yet."""
        await self._tasks.close()
        if self._http is not None:
            await self._http.close()
            self._http = None

    def post(self, letter: Letter) -> None:
        """Begin to deliver a letter."""
        receiver = self._receivers.setdefault(letter.url, _Receiver())
        if receiver.waiting >= MOST_TO_ONE or len(self._tasks) >= MOST:
            logger.warning(
                "web hook %s: %s was dropped: %d wait already", letter.receiver, letter.about, receiver.waiting
            )
            return
        receiver.waiting += 1
        self._tasks.begin(self._deliver(letter, receiver), f"{letter.about} to {letter.receiver}")

    async def _deliver(self, letter: Letter, receiver: _Receiver) -> None:
        try:
            for attempt in range(self._patience.attempts):
                if attempt:
                    await self._clock.sleep(self._patience.between)
                problem = await self._attempt(letter, receiver)
                if problem is None:
                    return
                logger.info("web hook %s, %s: attempt %d: %s", letter.receiver, letter.about, attempt + 1, problem)
            logger.warning(
                "web hook %s, %s: given up after %d attempts", letter.receiver, letter.about, self._patience.attempts
            )
        finally:
            receiver.waiting -= 1
            if not receiver.waiting:
                self._receivers.pop(letter.url, None)

    async def _attempt(self, letter: Letter, receiver: _Receiver) -> str | None:
        """Post once; return what kept the other side from taking it, None if nothing did."""
        async with receiver.places:
            if not receiver.is_slow:
                return await self._try(letter, receiver)
            async with receiver.slow_place:  # one at a time
                await asyncio.sleep(receiver.seconds_slow)  # real: its receiver is
                return await self._try(letter, receiver)

    async def _try(self, letter: Letter, receiver: _Receiver) -> str | None:
        async with AsyncExitStack() as stack:
            async with self._places:
                posting = await stack.enter_async_context(_running(self._post(letter)))
                receiver.is_slow = not await _is_done_soon(posting)
            if not receiver.is_slow:
                return posting.result()
            if self._slow_places.locked():
                return CROWDED
            async with self._slow_places:
                return await posting

    async def _post(self, letter: Letter) -> str | None:
        if self._http is None:
            # As ZStack does, without a look at certificates: hooks stand in test networks. Places bound connections.
            connector = aiohttp.TCPConnector(ssl=False, limit=0)
            self._http = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        try:
            with self._reaching(letter.url):
                return await self._clock.wait_for(_status_of(self._http, letter), self._patience.an_attempt)
        except TimeoutError:
            return f"no answer within {self._patience.an_attempt:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return plain_reason(error)

    def _reaching(self, url: str) -> AbstractContextManager[None]:
        """Time flows as the machine's does for a receiver that is not on it."""
        try:
            host = urlsplit(url).hostname or ""
            here = host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            here = False
        return nullcontext() if here else self._clock.outside()


async def _status_of(http: aiohttp.ClientSession, letter: Letter) -> str | None:
    """What is wrong with the answer, of which nothing but the status is read."""
    headers = {"Content-Type": "application/json; charset=utf-8", **letter.headers}
    async with http.post(letter.url, headers=headers, data=letter.body, allow_redirects=False) as response:
        return None if 200 <= response.status < 300 else f"it answered {response.status}"


async def _is_done_soon(task: asyncio.Task[T]) -> bool:
    """Whether a task is done within PATIENCE, or a little later if the loop could not attend to it meanwhile."""
    for _ in range(MOST_GOES):
        began = time.monotonic()  # real: its receiver is
        await asyncio.wait([task], timeout=PATIENCE)  # real: its receiver is
        stalled = time.monotonic() - began > 2 * PATIENCE  # real: its receiver is
        if task.done() or not stalled:
            break
    return task.done()


@asynccontextmanager
async def _running(work: Coroutine[object, object, T]) -> AsyncIterator[asyncio.Task[T]]:
    """A task that does not outlive the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
