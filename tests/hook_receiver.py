"""A receiver of web hooks over a real socket, for tests of a lab."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiohttp import web

from imagestore_sim.clock import Clock

Json = dict[str, Any]


class HasClock(Protocol):
    """A lab, or anything else with a clock."""

    @property
    def clock(self) -> Clock:
        """Its time."""


class Receiver:
    """Accepts what is posted to it, after a number of refusals."""

    def __init__(self) -> None:
        self.url = ""
        self.refusals = 0
        self.tried: list[float] = []
        self.bodies: list[Json] = []
        self.clock: Any = None

    async def take(self, request: web.Request) -> web.Response:
        self.tried.append(self.clock.monotonic())
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=500)
        self.bodies.append(await request.json())
        return web.Response()


@asynccontextmanager
async def open_receiver(lab: HasClock) -> AsyncIterator[Receiver]:
    """Listen on a free port; `url` is the address to post to."""
    receiver = Receiver()
    receiver.clock = lab.clock
    application = web.Application()
    application.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
