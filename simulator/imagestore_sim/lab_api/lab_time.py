"""The lab's time, moved by clients: `X-Lab-Time` on a request makes the clock catch up before the request is served."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from imagestore_sim.clock import AdjustableClock, Clock, is_adjustable
from imagestore_sim.lab_api.guard import Guard, HandleRequest, NotAdmitted, response_to
from imagestore_sim.tasks import cancel_and_wait
from imagestore_sim.units import parse_time
from imagestore_sim.web_server import Connection, connection_of

TIME_HEADER = "X-Lab-Time"
SETTLED_HEADER = "X-Lab-Settled"
LONGEST_STEP = 31 * 86400.0
"""Seconds by which one request moves a clock at most."""
MOST_WAITING = 1000
"""Requests that wait for their turn to move the clock."""
SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,20})?", re.ASCII)
ENDED = "the lab was reset, which ended this step of its clock before its time"
NOT_ADJUSTABLE = "the clock of this node cannot be changed"


class LabTime:
    """Moves a node's clock for its clients, one step after the other, in the order in which they come."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._one_step = asyncio.Lock()
        self._moves: dict[asyncio.Task[None], None] = {}
        """What moves the clock, or waits for its turn, in the order in which it came."""
        self.settled = True
        """Whether the last step left nothing under way at any due time."""
        self._followed: Callable[[], float] | None = None

    @property
    def clock(self) -> AdjustableClock:
        """The clock. Raise NotAdmitted if it cannot be changed."""
        if not is_adjustable(self._clock):
            raise NotAdmitted(404, NOT_ADJUSTABLE)
        return self._clock

    @property
    def elapsed(self) -> float:
        """Seconds since the lab began."""
        return self._clock.monotonic() - self._began

    def elapsed_at(self, time: float) -> float:
        """Return the seconds since the lab began at a time in epoch seconds."""
        return self.elapsed + time - self._clock.time()

    async def step(self, seconds: float, connection: Connection | None) -> None:
        """Let `seconds` pass, after the steps before. Raise ValueError, NotAdmitted, and what `catch_up` raises."""
        await self._move(partial(self._step, seconds), connection)

    async def catch_up(self, elapsed: float, connection: Connection | None) -> None:
        """Let time pass until `elapsed` seconds since the lab began, then wait until nothing is under way.

        A time in the past moves nothing. If the client of `connection` leaves, stop where the clock is, and raise
        ConnectionResetError. Raise ValueError for a time that is too far ahead, NotAdmitted for too many requests and
        after `restart`.
        """
        await self._move(partial(self._catch_up, elapsed), connection)

    async def end_steps(self) -> None:
        """End the step that is under way where the clock is, and those that wait for it; their clients get a 409."""
        if moves := list(self._moves):
            await cancel_and_wait(*moves)

    async def restart(self) -> None:
        """Let the clock go on as it began, without any step. The time itself does not go back."""
        await self.end_steps()
        self.settled = True
        if is_adjustable(self._clock):
            self._clock.restart()

    async def _catch_up(self, elapsed: float) -> None:
        ahead = elapsed - self.elapsed
        if ahead > LONGEST_STEP:
            text = f"it is {ahead:.0f} s ahead of the lab's clock, which one request moves by"
            raise ValueError(f"{text} {LONGEST_STEP:.0f} s at most")
        await self._step(ahead)

    async def _step(self, seconds: float) -> None:
        if seconds > 0:
            self.settled = await self.clock.step(seconds)
        elif self.clock.paused:
            self.settled = await self.clock.settle()

    async def _move(self, work: Callable[[], Awaitable[None]], connection: Connection | None) -> None:
        """Do `work` after the moves before it, unless the client of `connection` leaves, or `end_steps` ends it."""
        if len(self._moves) >= MOST_WAITING:
            raise NotAdmitted(503, f"{MOST_WAITING} requests wait to move the lab's clock already")
        move = asyncio.ensure_future(self._in_turn(work))
        self._moves[move] = None
        left = () if connection is None else (connection.left(),)
        try:
            await asyncio.wait([move, *left], return_when=asyncio.FIRST_COMPLETED)
            if not move.done():
                raise ConnectionResetError("the client has left")
        finally:
            if not move.done():
                await cancel_and_wait(move)
            del self._moves[move]
        if move.cancelled():
            raise NotAdmitted(409, ENDED)
        move.result()

    async def _in_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        async with self._one_step:
            await work()

    # A clock of the test that runs the lab in its own process

    def follow(self, seconds: Callable[[], float] | None) -> None:
        """Catch up with `seconds`, the lab's time since it began, before each request; with None no longer.

        It is for the program that runs the lab: a request that has the header goes by that.
        """
        self._followed = seconds

    @property
    def is_followed(self) -> bool:
        """Whether it catches up with the clock of another program before each request."""
        return self._followed is not None

    async def catch_up_with_followed(self) -> None:
        """Catch up with the clock that is followed, if one is. Raise what `catch_up` raises."""
        if self._followed is not None:
            await self.catch_up(self._followed(), None)

    # The header

    def before(self, guard: Guard, is_ready: Callable[[], bool], handle: HandleRequest) -> HandleRequest:
        """Return `handle` with the catching up before it, for a request that has the header to a node that is ready.

        Refuse a client that may not change the lab over `/lab/v1`.
        """

        async def on_time(request: web.BaseRequest) -> web.StreamResponse:
            given = request.headers.get(TIME_HEADER)
            if (given is None and self._followed is None) or not is_ready():
                return await handle(request)
            if given is None:
                return await self._after_followed(request, handle)
            try:
                guard.check_lab(request, changes=True)
                await self._catch_up_to(given.strip(), request)
            except NotAdmitted as refusal:
                return response_to(request, refusal)
            headers = {TIME_HEADER: f"{self.elapsed:.6f}", SETTLED_HEADER: str(self.settled).lower()}
            response = await handle(request)
            if not response.prepared:
                response.headers.update(headers)
            return response

        return on_time

    async def _after_followed(self, request: web.BaseRequest, handle: HandleRequest) -> web.StreamResponse:
        try:
            await self.catch_up_with_followed()
        except ValueError as error:
            return response_to(request, NotAdmitted(400, f"the clock that the lab follows: {error}"))
        except NotAdmitted as refusal:
            return response_to(request, refusal)
        return await handle(request)

    async def _catch_up_to(self, text: str, request: web.BaseRequest) -> None:
        try:
            elapsed = float(text) if SECONDS.fullmatch(text) else self.elapsed_at(_absolute(text))
            await self.catch_up(elapsed, connection_of(request))
        except ValueError as error:
            raise NotAdmitted(400, f"{TIME_HEADER}: {error}") from None


def _absolute(text: str) -> float:
    try:
        return parse_time(text)
    except ValueError as error:
        raise ValueError(f"expected seconds since the lab began, or a time; {error}") from None
