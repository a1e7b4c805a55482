"""The world of container hosts: a Docker engine has the hosts, and this process the node."""

from __future__ import annotations

import asyncio
import shlex
import socket
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from typing_extensions import override

from imagestore_sim.clock import Clock
from imagestore_sim.containers.errors import EngineProblem
from imagestore_sim.containers.host import ContainerHost, heal_hosts
from imagestore_sim.containers.launch import launch
from imagestore_sim.containers.run_project import RunProject
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.play.world import OnEvent, WorldProblem
from imagestore_sim.scenario.worlds.container_specs import new_host
from imagestore_sim.scenario.worlds.local_node import LocalNodeWorld
from imagestore_sim.tasks import together


class ContainersWorld(LocalNodeWorld):
    """Hosts in containers, and a node in this process, which reaches them at their own addresses."""

    def __init__(self, scenario: Scenario, clock: Clock, seed: int, on_event: OnEvent, *, keep: bool = False) -> None:
        """`on_event` is called with every event, one at a time; `keep` leaves the containers running at the end."""
        super().__init__(scenario, clock, seed, on_event)
        self.hosts: dict[str, ContainerHost] = {}
        self._project = RunProject(self.folder, keep=keep)
        self._addresses: dict[str, str] = {}
        """By host name in lower case."""
        self._connection = AsyncExitStack()

    async def resolve(self, hostname: str, port: int) -> tuple[str, int]:
        """Return the address of a host's container. Raise socket.gaierror."""
        if (address := self._addresses.get(hostname.lower())) is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return address, port

    @override
    async def file_size(self, host: str, path: str) -> int:
        try:
            found = await self.hosts[host].run(f"stat --format %s -- {shlex.quote(path)} 2>/dev/null || echo 0")
        except EngineProblem as problem:
            raise WorldProblem(str(problem)) from problem
        return int(found)

    @override
    async def _start_hosts(self) -> None:
        hosts = [new_host(self.scenario, name, host) for name, host in self.scenario.all_hosts().items()]
        try:
            await self._connection.enter_async_context(self._project)
            started = await launch(self._project, hosts, self.clock)
        except EngineProblem as problem:
            raise WorldProblem(str(problem)) from problem
        for one in started:
            self.hosts[one.name] = one
            self._addresses[one.name.lower()] = one.address

    @override
    async def settle(self) -> None:
        await together(*(host.settle() for host in self.hosts.values()))

    @override
    async def _heal_hosts(self) -> None:
        await heal_hosts(self.hosts.values())

    @override
    async def _stop_hosts(self) -> None:
        await _finish(self._connection.aclose())
        if self._project.keep:
            print(_how_to_remove(self._project.name), file=sys.stderr)


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end even when cancelled, and raise CancelledError only then."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError


def _how_to_remove(project: str) -> str:
    chosen = f"--filter label=com.docker.compose.project={project}"
    return (
        f"kept: the containers of {project}; look at them with\n"
        f"  docker ps --all {chosen}\n"
        "and remove them with\n"
        f"  docker rm --force --volumes $(docker ps --all --quiet {chosen})\n"
        f"  docker network rm $(docker network ls --quiet {chosen})\n"
        f"  docker volume rm $(docker volume ls --quiet {chosen})"
    )
