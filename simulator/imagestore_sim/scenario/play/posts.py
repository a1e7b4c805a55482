"""What a client under test gets by web hooks: the results of its jobs, posted to an address of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from imagestore_sim.context_managers import Closeable
from imagestore_sim.testing.client import Answer

LOOPBACK = "127.0.0.1"
PATH = "/results"


class Posts(Closeable):
    """Receives posts on a free port of this machine, from the first call of `url` on."""

    def __init__(self, on_post: Callable[[Answer], None]) -> None:
        """`on_post` is called with each post that arrives: its status is that of a poll for the job."""
        self._on_post = on_post
        self._runner: web.AppRunner | None = None
        self._results: dict[str, Answer] = {}
        self._arrived = asyncio.Condition()
        self.count = 0
        """How many have arrived."""

    async def url(self) -> str:
        """Return the address to post to."""
        if self._runner is None:
            application = web.Application()
            application.router.add_post(PATH, self._take)
            self._runner = web.AppRunner(application)
            await self._runner.setup()
            await web.TCPSite(self._runner, LOOPBACK, 0).start()
        return f"http://{LOOPBACK}:{self._runner.addresses[0][1]}{PATH}"

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def result_of(self, job: str) -> Answer:
        """Wait until the result of a job is there, and return the first that arrived."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: job in self._results)
            return self._results[job]

    async def _take(self, request: web.Request) -> web.Response:
        is_success = request.headers.get("X-Job-Success") == "true"
        result = Answer(200 if is_success else 503, request.headers, await request.text())
        async with self._arrived:
            self.count += 1
            self._results.setdefault(request.headers.get("X-Job-UUID", ""), result)
            self._on_post(result)
            self._arrived.notify_all()
        return web.Response()
