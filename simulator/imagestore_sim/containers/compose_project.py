"""The hosts of a lab in containers that runs: found by their labels, and broken by hand."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiodocker

from imagestore_sim.clock import Clock
from imagestore_sim.containers import faults as forms
from imagestore_sim.containers.compose_project_host import ProjectHost
from imagestore_sim.containers.container import engine_errors
from imagestore_sim.containers.engine import EngineProblem
from imagestore_sim.containers.labels import HOST, PROJECT
from imagestore_sim.faults import FAULTS, Fault, HostState
from imagestore_sim.lab_api.hosts import FormShape

if TYPE_CHECKING:
    from imagestore_sim.containers.applied_faults import ContainerFault
    from imagestore_sim.containers.faults import Needs

logger = logging.getLogger(__name__)
MOUNTS = Path("/proc/self/mountinfo")
HEALING_SECONDS = 20.0


class Project:
    """The hosts of a Compose project, as the lab's API asks for them. Failures of the engine: ContainerProblem."""

    def __init__(self, docker: aiodocker.Docker, name: str, clock: Clock) -> None:
        self.name = name
        self._docker = docker
        self._clock = clock
        self._hosts: dict[str, ProjectHost] = {}
        self._turn = asyncio.Lock()

    async def all(self) -> list[LabHost]:
        """Every host, by name. Raises ContainerProblem."""
        await self._look()
        return [LabHost(self, self._hosts[name]) for name in sorted(self._hosts, key=_in_order)]

    async def host(self, name: str) -> LabHost:
        """The one of that name. Raises KeyError, ContainerProblem."""
        await self._look()
        return LabHost(self, self._hosts[name.lower()])

    async def host_to_change(self, name: str) -> LabHost:
        """Return the host of that name: containers stay until Compose removes them. Raise as `host`."""
        return await self.host(name)

    async def forms(self) -> Mapping[str, FormShape]:
        """What each kind of fault is on them, and which of them can have it. Raises ContainerProblem."""
        hosts = [one.host for one in await self.all()]
        return {kind: _shape(kind, hosts) for kind in FAULTS}

    def able(self, needs: Needs) -> list[str]:
        """Those that may do what a fault takes."""
        return [name for name in sorted(self._hosts, key=_in_order) if not self._hosts[name].lacks(needs)]

    async def heal(self) -> None:
        """Heal all that was put on them, and leave nothing else there. What cannot be is logged."""
        async with self._turn:
            try:
                # Whoever stops this waits no longer
                async with asyncio.timeout(HEALING_SECONDS):  # real: see above
                    await asyncio.gather(*(host.leave() for host in self._hosts.values()))
            except TimeoutError:
                logger.warning("not all faults could be healed within %g s", HEALING_SECONDS)

    async def _look(self) -> None:
        """See which containers there are now, and what others have done to them."""
        async with self._turn:
            filters = aiodocker.utils.clean_filters({"label": [f"{PROJECT}={self.name}", HOST]})
            with engine_errors(f"looking for the hosts of {self.name}"):
                found = await self._docker.containers.list(all="true", filters=filters)
                details = await asyncio.gather(*(one.show() for one in found))
            there = {str(one["Config"]["Hostname"]).lower(): one for one in details}
            for name in [name for name, host in self._hosts.items() if there.get(name, {}).get("Id") != host.id]:
                host = self._hosts.pop(name)
                for applied in host.faults:
                    logger.warning("%s: its container has gone, and %s with it", name, applied.fault.kind)
                await host.forget()
            for name, one in there.items():
                if name not in self._hosts:
                    self._hosts[name] = await self._new_host(one)
            await asyncio.gather(*(self._hosts[name].look(one) for name, one in there.items()))

    async def _new_host(self, details: Mapping[str, Any]) -> ProjectHost:
        networks = details["NetworkSettings"]["Networks"]
        network = None
        for one in networks.values():
            with engine_errors(f"looking for the network of {details['Name']}"):
                network = await self._docker.networks.get(one["NetworkID"])
        return ProjectHost(self._docker.containers.container(details["Id"]), network, details, self._clock)


class LabHost:
    """A host in a container, as the lab's API asks for it."""

    def __init__(self, project: Project, host: ProjectHost) -> None:
        self._project = project
        self.host = host

    @property
    def name(self) -> str:
        """By which it is known."""
        return self.host.name

    @property
    def faults(self) -> list[ContainerFault]:
        """Those that are on it, the oldest first."""
        return self.host.faults

    async def state(self) -> HostState:
        """Return how it is now. Raise ContainerProblem."""
        return await self.host.state()

    async def start(self) -> None:
        """Start its container. Raises ContainerProblem."""
        await self.host.start()

    async def stop(self) -> None:
        """Stop its container. Raises ContainerProblem."""
        await self.host.stop()

    async def apply(self, fault: Fault) -> ContainerFault:
        """Put a fault on it. Raises ValueError where it cannot have it, ContainerProblem."""
        needs = self.host.needs(fault)
        if missing := self.host.lacks(needs):
            able = self._project.able(needs)
            others = f"; {_and(able)} may" if able else "; no host here may"
            raise ValueError(f"fault {fault.kind}: not on {self.name}, which has no {_and(missing)}{others}")
        return await self.host.apply(fault)


def _shape(kind: str, hosts: list[ProjectHost]) -> FormShape:
    form = forms.form_of(kind, in_memory=True)
    if form.begin is None:
        return FormShape(how=None, why_not=form.how, hosts=[])
    return FormShape(how=form.how, why_not=None, hosts=[one.name for one in hosts if not one.lacks(form.needs)])


def _and(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _in_order(name: str) -> list[tuple[int, str]]:
    """imagestore-10 after imagestore-9."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


async def own_project(docker: aiodocker.Docker) -> str:
    """The Compose project of the container that this process runs in. Raises EngineProblem."""
    for number in dict.fromkeys(_containers(await asyncio.to_thread(MOUNTS.read_text))):
        try:
            details = await docker.containers.container(number).show()
        except aiodocker.DockerError:
            continue  # of another engine
        if project := details["Config"]["Labels"].get(PROJECT):
            return str(project)
    raise EngineProblem("this does not run in a container of a Compose project; name one with --project")


def _containers(mounts: str) -> Iterator[str]:
    """The engine mounts some files of a container's own folder, such as /etc/hostname."""
    return (found[1] for found in re.finditer(r"/containers/([0-9a-f]{64})/", mounts))
