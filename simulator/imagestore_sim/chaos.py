"""The lab's API for container hosts: the service of the profile `chaos` in docker-compose.yml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aiodocker

from imagestore_sim.clock import Clock
from imagestore_sim.containers.compose_host import ComposeHost
from imagestore_sim.containers.compose_project import ComposeProject, own_project
from imagestore_sim.containers.engine import connect, engine_errors
from imagestore_sim.faults.target import AgentState
from imagestore_sim.lab_api import Guard, HostsRoutes, HostsService
from imagestore_sim.lab_api.host_shapes import FormShape

DESCRIPTION = "The hosts of a lab in containers, and what is wrong with them."
STOP_SECONDS = 28.0
"""Until a stop gives up to heal faults. docker-compose.yml kills the service two seconds later."""


@dataclass(frozen=True, slots=True)
class ContainerHosts:
    """The hosts of a Compose project, as the lab's API asks for them (`lab_api.hosts.Hosts`)."""

    project: ComposeProject

    async def all(self) -> list[ComposeHost]:
        """Return every host, by name. Raise ContainerProblem."""
        return await self.project.hosts()

    async def host(self, name: str) -> ComposeHost:
        """Return the host of that name. Raise KeyError, ContainerProblem."""
        return await self.project.host(name)

    async def host_to_change(self, name: str) -> ComposeHost:
        """Return the host of that name: containers stay until Compose removes them. Raise as `host`."""
        return await self.project.host(name)

    async def agent(self, name: str) -> AgentState:
        """Return the agent of the host of that name. Raise ValueError while that is stopped, and as `host`."""
        return await (await self.project.host(name)).agent_state()

    async def container_forms(self) -> Mapping[str, FormShape]:
        """Return how containers get each kind of fault. Raise ContainerProblem."""
        support = await self.project.support()
        return {kind: FormShape(how=one.means, why_not=one.refusal, hosts=one.hosts) for kind, one in support.items()}


class Chaos:
    """Serves `/lab/v1/hosts` and `/lab/v1/faults` for containers, and heals their faults when it stops."""

    def __init__(self, host: str, port: int, project: str | None, clock: Clock, guard: Guard) -> None:
        """`project` is Compose's name of the lab; None: the project of the container that this runs in."""
        self._guard = guard
        self._host = host
        self._port = port
        self._project_name = project
        self._clock = clock
        self._docker: aiodocker.Docker | None = None
        self._service: HostsService | None = None
        self._project: ComposeProject | None = None
        self.url = ""

    async def start(self) -> None:
        """Find the hosts, and listen. Raise EngineProblem without an engine or a project; OSError."""
        self._docker = await connect("chaos", "start one, or mount its socket at /var/run/docker.sock")
        with engine_errors("looking for the lab"):
            name = self._project_name or await own_project(self._docker)
        self._project = ComposeProject(self._docker, name, self._clock)
        await self._project.hosts()
        self._service = HostsService(HostsRoutes(ContainerHosts(self._project)).routes(), self._guard, DESCRIPTION)
        await self._service.listen(self._host, self._port)
        self.url = self._service.url

    def openings(self) -> list[str]:
        """Return what other machines can do here, a line each; none if it listens on loopback only."""
        return [] if self._service is None else self._service.openings()

    async def stop(self) -> None:
        """Stop listening, heal every fault, and close the connection to the engine."""
        if self._service is not None:
            await self._service.close()
        if self._project is not None:
            await self._project.heal()
        if self._docker is not None:
            await self._docker.close()
