"""The hosts of a lab in containers that Compose has started."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiodocker

from imagestore_sim.clock import Clock
from imagestore_sim.containers.compose_host import ComposeHost
from imagestore_sim.containers.engine import engine_errors
from imagestore_sim.containers.errors import EngineProblem
from imagestore_sim.containers.faults import Requirements, implementation_of
from imagestore_sim.containers.host import heal_hosts
from imagestore_sim.containers.labels import HOST, PROJECT
from imagestore_sim.faults import FAULTS
from imagestore_sim.tasks import together

logger = logging.getLogger(__name__)
MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Support:
    """How the hosts of a project get a kind of fault."""

    means: str | None
    """None: no container can have it."""
    refusal: str | None
    """Why no container can have it."""
    hosts: list[str]
    """The hosts that have the privileges it needs."""


class ComposeProject:
    """The hosts of a Compose project, as they are found at each call. Failures: ContainerProblem."""

    def __init__(self, docker: aiodocker.Docker, name: str, clock: Clock) -> None:
        self.name = name
        self._docker = docker
        self._clock = clock
        self._hosts: dict[str, ComposeHost] = {}
        """By their names in lower case."""
        self._lock = asyncio.Lock()

    async def hosts(self) -> list[ComposeHost]:
        """Return every host, in the order of their names, where imagestore-10 comes after imagestore-9."""
        await self._update()
        return self._sorted()

    async def host(self, name: str) -> ComposeHost:
        """Return the host of that name, in any case. Raise KeyError."""
        await self._update()
        return self._hosts[name.lower()]

    async def support(self) -> dict[str, Support]:
        """Return how its hosts get each kind of fault, and which of them can, by kind."""
        await self._update()
        return {kind: self._support(kind) for kind in FAULTS}

    def _support(self, kind: str) -> Support:
        found = implementation_of(kind, memory_disk=True)
        if found.apply is None:
            return Support(None, found.means, [])
        return Support(found.means, None, self._equipped(found.requirements))

    def _equipped(self, requirements: Requirements) -> list[str]:
        return [host.name for host in self._sorted() if not host.missing(requirements)]

    def _sorted(self) -> list[ComposeHost]:
        return [self._hosts[name] for name in sorted(self._hosts, key=_natural_order)]

    async def heal(self) -> None:
        """Heal all hosts, and remove what faults needed on them. Log what cannot be healed."""
        async with self._lock:
            await heal_hosts(self._hosts.values())

    async def _update(self) -> None:
        """Take over which containers there are now, and what others have done to them."""
        async with self._lock:
            found = await self._inspect_containers()
            for name in [name for name, host in self._hosts.items() if found.get(name, {}).get("Id") != host.id]:
                host = self._hosts.pop(name)
                for applied in host.faults:
                    logger.warning("%s: its container is gone, and %s with it", name, applied.fault.kind)
                await host.forget()
            for name, details in found.items():
                if name not in self._hosts:
                    self._hosts[name] = await self._new_host(details)
            await together(*(self._hosts[name].update(details) for name, details in found.items()))

    async def _inspect_containers(self) -> dict[str, dict[str, Any]]:
        """Return the engine's descriptions of all hosts, by name in lower case."""
        filters = aiodocker.utils.clean_filters({"label": [f"{PROJECT}={self.name}", HOST]})
        with engine_errors(f"looking for the hosts of {self.name}"):
            containers = await self._docker.containers.list(all="true", filters=filters)
            descriptions = await together(*(one.show() for one in containers))
        return {str(one["Config"]["Hostname"]).lower(): one for one in descriptions}

    async def _new_host(self, details: Mapping[str, Any]) -> ComposeHost:
        network = None
        for one in details["NetworkSettings"]["Networks"].values():
            with engine_errors(f"looking for the network of {details['Name']}"):
                network = await self._docker.networks.get(one["NetworkID"])
        container = self._docker.containers.container(details["Id"])
        return ComposeHost(container, network, details, self._clock, self._equipped)


def _natural_order(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


async def own_project(docker: aiodocker.Docker) -> str:
    """Return the Compose project of the container that this process runs in. Raise EngineProblem."""
    for container_id in dict.fromkeys(_container_ids(await asyncio.to_thread(MOUNTS.read_text))):
        try:
            details = await docker.containers.container(container_id).show()
        except aiodocker.DockerError:
            continue  # a container of another engine
        if project := details["Config"]["Labels"].get(PROJECT):
            return str(project)
    raise EngineProblem("this does not run in a container of a Compose project; name one with --project")


def _container_ids(mounts: str) -> Iterator[str]:
    """Yield the ids in the mounts of a container: files such as /etc/hostname are mounted from a folder named by it."""
    return (found[1] for found in re.finditer(r"/containers/([0-9a-f]{64})/", mounts))
