"""Where a scenario is played on containers: its hosts in a Docker engine, and the node in this process."""

from __future__ import annotations

import asyncio
import logging
import os.path
import shlex
import socket
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from imagestore_sim.clock import Clock
from imagestore_sim.containers import faults as forms
from imagestore_sim.containers.applied_faults import FaultyHost
from imagestore_sim.containers.container import Container
from imagestore_sim.containers.disk import FILE_SYSTEM, ContainerDisk
from imagestore_sim.containers.disk_in_memory import DiskInMemory
from imagestore_sim.containers.engine import Engine, Mount, Rights, image
from imagestore_sim.containers.host import ContainerHost, Disk
from imagestore_sim.scenario.format.model import Host, Scenario
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.scenario.format.steps import FaultStep
from imagestore_sim.scenario.play.world import OnEvent
from imagestore_sim.scenario.worlds.local_node import LocalNodeWorld

logger = logging.getLogger(__name__)

CAPABILITIES = frozenset({"AUDIT_WRITE", "CHOWN", "KILL", "SETGID", "SETUID", "SYS_CHROOT"})
"""What sshd needs, as in docker-compose.yml; faults may need more."""
NO_MORE = "no-new-privileges:true"
UNCONFINED = "apparmor=unconfined"
"""Of whoever mounts something: AppArmor's profile for containers forbids that."""
DISKS = "disks"
OF_DISKS = Rights(
    capabilities=("DAC_OVERRIDE", "MKNOD", "SYS_ADMIN"),
    devices=("b 7:* rwm", "c 10:237 rwm"),  # loop devices, and what makes them
    options=(NO_MORE, UNCONFINED),
)
URL = "/Cloud_bs"
HEALING_SECONDS = 20.0


class ContainersWorld(LocalNodeWorld):
    """Hosts in containers, and a node beside the engine."""

    def __init__(self, scenario: Scenario, clock: Clock, seed: int, on_event: OnEvent, *, keep: bool = False) -> None:
        """`on_event` is called with every event, one at a time; `keep` leaves the containers where they are."""
        super().__init__(scenario, clock, seed, on_event)
        self.hosts: dict[str, FaultyHost] = {}
        self.engine = Engine(self.folder, keep=keep)
        self._image_of_disks, self._image_of_hosts = image(DISKS), image("host")
        self._addresses: dict[str, str] = {}
        self._connected = AsyncExitStack()

    async def resolve(self, hostname: str, port: int) -> tuple[str, int]:
        """The address of a host's container. Raises socket.gaierror."""
        if (address := self._addresses.get(hostname.lower())) is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return address, port

    async def _start_hosts(self) -> None:
        await self._connected.enter_async_context(self.engine)
        specs = self.scenario.all_hosts()
        await self.engine.create_network(len(specs))
        holder = await self.engine.create_container(
            DISKS,
            self._image_of_disks,
            rights=OF_DISKS,
            environment={"IMAGES": f"/{self.engine.project}"},  # so that the machine's list of loop devices tells whose
            memory={f"/{self.engine.project}": "mode=0700"},
            networked=False,
        )
        await holder.start()
        try:
            async with asyncio.TaskGroup() as starting:
                tasks = [starting.create_task(self._start_host(holder, name, spec)) for name, spec in specs.items()]
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None
        for host in (task.result() for task in tasks):
            self.hosts[host.name] = FaultyHost(host)
            self._addresses[host.name.lower()] = host.address

    async def _start_host(self, holder: Container, name: str, spec: Host) -> ContainerHost:
        paths = paths_on(self.scenario, name)
        path = disk_of(spec, paths)
        volume: Disk
        if is_in_memory(spec):
            memory = {path: f"size={spec.size},nr_inodes={spec.inodes},mode=0755"}
            container = await self._create_host(name, spec, memory=memory)
            volume = DiskInMemory(container, path, spec.size, spec.used.of(spec.size))
        else:
            volume = ContainerDisk(holder, name, spec.size, spec.used.of(spec.size), spec.reserved.of(spec.size))
            mount = Mount(await self.engine.create_volume(name, FILE_SYSTEM, await volume.make()), path)
            container = await self._create_host(name, spec, mounts=(mount,))
        host = ContainerHost(name, spec, paths, path, container.address, self.clock, volume, container)
        await host.start()
        await host.run(f"chown -- {shlex.quote(spec.username)}: {shlex.quote(path)}")
        await volume.fill(volume.used)
        return host

    async def _create_host(
        self, name: str, spec: Host, *, mounts: Sequence[Mount] = (), memory: Mapping[str, str] | None = None
    ) -> Container:
        return await self.engine.create_container(
            name,
            self._image_of_hosts,
            rights=self._rights(name, spec),
            environment=_environment(spec),
            mounts=mounts,
            memory=memory,
        )

    def _rights(self, name: str, spec: Host) -> Rights:
        needs = [
            forms.check(step.what.fault, spec, in_memory=is_in_memory(spec))
            for step in self.scenario.timeline
            if isinstance(step.what, FaultStep) and any(matching(step.what.host, [name]))
        ]
        capabilities = CAPABILITIES.union(*(one.capabilities for one in needs))
        return Rights(
            capabilities=tuple(capabilities),
            device_files=tuple(sorted({device for one in needs for device in one.devices})),
            options=(NO_MORE, UNCONFINED) if "SYS_ADMIN" in capabilities else (NO_MORE,),
        )

    async def settle(self) -> None:
        """Returns when what is to be healed by now has been."""
        await asyncio.gather(*(host.settle() for host in self.hosts.values()))

    async def _heal_hosts(self) -> None:
        try:
            # Whatever has become of the engine, the containers are to be removed next
            async with asyncio.timeout(HEALING_SECONDS):  # real: see above
                await asyncio.gather(*(host.heal_all() for host in self.hosts.values()))
        except TimeoutError:
            logger.warning("not all faults could be healed within %g s", HEALING_SECONDS)

    async def _stop_hosts(self) -> None:
        await finished(self._connected.aclose())
        if self.engine.keep:
            print(_how_to_remove(self.engine.project), file=sys.stderr)


async def finished(work: Coroutine[Any, Any, None]) -> None:
    """Do some work to its end, whoever cancels; then the cancellation goes on."""
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


def paths_on(scenario: Scenario, name: str) -> tuple[str, ...]:
    """The urls of the storages on a host."""
    return tuple(dict.fromkeys(one.url for one in scenario.all_storages() if one.hostname == name))


def disk_of(spec: Host, paths: tuple[str, ...]) -> str:
    """Where a host's disk is mounted; `/` if that cannot be."""
    if spec.mount is not None and spec.mount != "/":
        return spec.mount
    return os.path.commonpath(paths) if paths else URL


def is_in_memory(spec: Host) -> bool:
    """Whether a host's disk is a tmpfs: only that has a number of inodes."""
    return "inodes" in spec.model_fields_set


def _environment(spec: Host) -> dict[str, str]:
    return {
        "STORE_USER": spec.username,
        "STORE_PASSWORD": spec.password,
        "STORE_URL": "",
        "STORE_PORT": str(spec.port),
        "STORE_SFTP": "no" if not spec.sftp else "yes" if spec.statvfs else "no-statvfs",
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
