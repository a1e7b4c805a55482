"""The lab's API for the hosts of a lab in containers that runs: the profile `chaos` of docker-compose.yml."""

from __future__ import annotations

import aiodocker
from aiohttp import web

from imagestore_sim.clock import Clock
from imagestore_sim.containers.compose_project import Project, own_project
from imagestore_sim.containers.container import engine_errors
from imagestore_sim.containers.engine import connect
from imagestore_sim.exposure import LAB_API, NO_TLS, is_exposed
from imagestore_sim.lab_api import Guard, HostsRoutes
from imagestore_sim.lab_api.openapi import lab_api
from imagestore_sim.web_server import Runner, http_url

DESCRIPTION = "The hosts of a lab in containers, and what is wrong with them."
SHUTDOWN_SECONDS = 5.0
"""That a request which is under way has: a fault that is half on a host cannot be healed."""
STOP_SECONDS = 28.0
"""In which faults are healed and all is closed; docker-compose.yml gives it a little more."""


class Chaos:
    """Serves `/lab/v1/hosts` and `/lab/v1/faults` for containers, and heals them in the end."""

    def __init__(self, host: str, port: int, project: str | None, clock: Clock, guard: Guard) -> None:
        """`project` is Compose's name of the lab; None: that of the container that this runs in."""
        self._guard = guard
        self._host = host
        self._port = port
        self._wanted = project
        self._clock = clock
        self._docker: aiodocker.Docker | None = None
        self._runner: Runner | None = None
        self._project: Project | None = None
        self.url = ""

    async def start(self) -> None:
        """Find the hosts, and listen. Raises EngineProblem without an engine or a project, OSError."""
        self._docker = await connect("chaos", "start one, or mount its socket at /var/run/docker.sock")
        with engine_errors("looking for the lab"):
            name = self._wanted or await own_project(self._docker)
        self._project = Project(self._docker, name, self._clock)
        await self._project.all()
        application = web.Application()
        for path in ("/healthz", "/readyz"):
            application.router.add_get(path, _ready)
        application.add_routes(lab_api(HostsRoutes(self._project).routes(), self._guard, DESCRIPTION))
        self._runner = Runner(application, before=self._guard.before, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        self.url = http_url(self._host, await self._runner.listen(self._host, self._port))

    def openings(self) -> list[str]:
        """What other machines can do here, a line each; none if it listens on loopback alone."""
        if self._runner is None or not is_exposed(self._runner.addresses):
            return []
        return [NO_TLS] if self._guard.needs_token else [NO_TLS, f"{LAB_API} --lab-token"]

    async def stop(self) -> None:
        """Listen no more, heal every fault, and close what is open."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._project is not None:
            await self._project.heal()
        if self._docker is not None:
            await self._docker.close()


async def _ready(request: web.Request) -> web.Response:
    return web.json_response({"alive": True, "ready": True, "waitingFor": []})
