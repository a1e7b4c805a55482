"""A web server that says how long the file of an image is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def web_server(length: int) -> AsyncIterator[str]:
    """Serve `/image`, which has that length; nothing else is there. Return the server's URL."""

    async def image(_: web.Request) -> web.Response:
        return web.Response(body=b"", headers={"Content-Length": str(length)})

    application = web.Application()
    application.router.add_route("HEAD", "/image", image)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
