"""The smallest aiohttp server: one route with a constant body of SIZE bytes. Prints `ready URL`."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web


async def serve(size: int) -> None:
    """Answer each request with `size` bytes until the process is stopped."""
    body = b"x" * size

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"ready http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
