"""The lab's API for hosts without a management node: `/lab/v1/hosts` and `/lab/v1/faults` on a port of their own."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from imagestore_sim.exposure import LAB_API, NO_TLS, is_exposed
from imagestore_sim.lab_api.guard import Guard
from imagestore_sim.lab_api.openapi import lab_api_routes
from imagestore_sim.lab_api.routes import Route
from imagestore_sim.web_server import Runner, allowing, http_url, json_line, problem

REQUEST_SECONDS = 5.0
"""Until a request under way is cut off at a stop. A fault that is half applied could not be healed."""


class HostsService:
    """Serves calls of the lab's API, and `/healthz` and `/readyz` beside them."""

    def __init__(self, routes: Sequence[Route], guard: Guard, description: str) -> None:
        """Take the calls, and the `description` that their OpenAPI document begins with."""
        self._guard = guard
        application = web.Application()
        for path in ("/healthz", "/readyz"):
            application.router.add_get(path, _ready)
            application.router.add_route("*", path, allowing("GET", "HEAD"))
        application.add_routes(lab_api_routes(routes, guard, description))
        application.router.add_route("*", "/{path:.*}", _refuse)
        self._runner = Runner(application, before=guard.before, shutdown_timeout=REQUEST_SECONDS)
        self.url = ""

    async def listen(self, host: str, port: int) -> None:
        """Listen on every address of a host; with port 0 any that is free. Raise OSError."""
        await self._runner.setup()
        self.url = http_url(host, await self._runner.listen(host, port))

    def openings(self) -> list[str]:
        """Return what other machines can do here, a line each; none if it listens on loopback only."""
        if not is_exposed(self._runner.addresses):
            return []
        return [NO_TLS] if self._guard.needs_token else [NO_TLS, f"{LAB_API} --lab-token"]

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()


async def _ready(request: web.Request) -> web.Response:
    return json_line(200, {"alive": True, "ready": True, "waitingFor": []})


async def _refuse(request: web.Request) -> web.Response:
    return problem(404, f"nothing is served at {request.path}; the lab's API is below /lab/v1")
