"""The world of container hosts: a Docker engine has the hosts, and this process the node."""

from __future__ import annotations

import asyncio
import shlex
import socket
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from typing_extensions import override

from imagestore_sim.clock import Clock
from imagestore_sim.containers.container import Container
from imagestore_sim.containers.disks import XFS, Disk, MemoryDisk, XfsDisk
from imagestore_sim.containers.errors import EngineProblem
from imagestore_sim.containers.faults import requirements_of
from imagestore_sim.containers.host import ContainerHost, heal_hosts
from imagestore_sim.containers.image_builds import DISKS, HOST, image_tag
from imagestore_sim.containers.run_project import Mount, Privileges, RunProject
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.scenario.format.model import Host, Scenario
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.scenario.format.steps import FaultStep
from imagestore_sim.scenario.play.world import OnEvent, WorldProblem
from imagestore_sim.scenario.worlds.container_specs import container_spec
from imagestore_sim.scenario.worlds.local_node import LocalNodeWorld

SSHD_CAPABILITIES = frozenset({"AUDIT_WRITE", "CHOWN", "KILL", "SETGID", "SETUID", "SYS_CHROOT"})
"""What sshd needs, as in docker-compose.yml. Faults may need more."""
NO_NEW_PRIVILEGES = "no-new-privileges:true"
UNCONFINED = "apparmor=unconfined"
"""For containers that mount something: AppArmor's profile for containers forbids that."""
DISKS_PRIVILEGES = Privileges(
    capabilities=("DAC_OVERRIDE", "MKNOD", "SYS_ADMIN"),
    device_rules=("b 7:* rwm", "c 10:237 rwm"),  # loop devices, and /dev/loop-control
    security_options=(NO_NEW_PRIVILEGES, UNCONFINED),
)


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
    async def _start_hosts(self) -> None:
        try:
            await self._connection.enter_async_context(self._project)
            holder_image, host_image = image_tag(DISKS), image_tag(HOST)
        except EngineProblem as problem:
            raise WorldProblem(str(problem)) from problem
        hosts = self.scenario.all_hosts()
        await self._project.create_network(len(hosts))
        holder = await self._start_disk_holder(holder_image)
        try:
            async with asyncio.TaskGroup() as starting:
                tasks = [
                    starting.create_task(self._start_host(holder, host_image, name, host))
                    for name, host in hosts.items()
                ]
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None
        for started in (task.result() for task in tasks):
            self.hosts[started.name] = started
            self._addresses[started.name.lower()] = started.address

    async def _start_disk_holder(self, image: str) -> Container:
        """Start the container that holds the disks of all hosts."""
        folder = f"/{self._project.name}"  # so that the loop devices of the machine show whose they are
        holder = await self._project.create_container(
            DISKS,
            image,
            privileges=DISKS_PRIVILEGES,
            environment={"IMAGES": folder},
            tmpfs={folder: "mode=0700"},
            networked=False,
        )
        await holder.start()
        return holder

    async def _start_host(self, holder: Container, image: str, name: str, host: Host) -> ContainerHost:
        spec = container_spec(self.scenario, name, host)
        path, used = spec.disk_path, host.used.of(host.size)
        disk: Disk
        if spec.memory_disk:
            tmpfs = {path: f"size={host.size},nr_inodes={host.inodes},mode=0755"}
            container = await self._create_container(name, image, spec, host, tmpfs=tmpfs)
            disk = MemoryDisk(container, path, host.size, used)
        else:
            disk = XfsDisk(holder, name, host.size, used, host.reserved.of(host.size))
            mount = Mount(await self._project.create_volume(name, XFS, await disk.make()), path)
            container = await self._create_container(name, image, spec, host, mounts=(mount,))
        started = ContainerHost(container, spec, disk, self.clock, running=False)
        await started.start()
        await started.run(f"chown -- {shlex.quote(spec.username)}: {shlex.quote(path)}")
        await disk.fill(used)
        return started

    async def _create_container(
        self,
        name: str,
        image: str,
        spec: HostSpec,
        host: Host,
        *,
        mounts: Sequence[Mount] = (),
        tmpfs: Mapping[str, str] | None = None,
    ) -> Container:
        return await self._project.create_container(
            name,
            image,
            privileges=self._privileges(name, spec),
            environment=_environment(host),
            mounts=mounts,
            tmpfs=tmpfs,
        )

    def _privileges(self, name: str, spec: HostSpec) -> Privileges:
        """Return what sshd needs and what the faults of the scenario need on a host, and no more."""
        required = [
            requirements_of(step.what.fault, spec)
            for step in self.scenario.timeline
            if isinstance(step.what, FaultStep) and any(matching(step.what.host, [name]))
        ]
        capabilities = SSHD_CAPABILITIES.union(*(one.capabilities for one in required))
        mounts = "SYS_ADMIN" in capabilities
        return Privileges(
            capabilities=tuple(capabilities),
            device_files=tuple(sorted({device for one in required for device in one.devices})),
            security_options=(NO_NEW_PRIVILEGES, UNCONFINED) if mounts else (NO_NEW_PRIVILEGES,),
        )

    @override
    async def settle(self) -> None:
        await asyncio.gather(*(host.settle() for host in self.hosts.values()))

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


def _environment(host: Host) -> dict[str, str]:
    """Return the environment that `images/host/start` reads."""
    return {
        "STORE_USER": host.username,
        "STORE_PASSWORD": host.password,
        "STORE_URL": "",
        "STORE_PORT": str(host.port),
        "STORE_SFTP": "no" if not host.sftp else "yes" if host.statvfs else "no-statvfs",
    }


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
