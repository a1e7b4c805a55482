"""A cluster in containers: three nodes over Galera behind a proxy, and what breaks them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiodocker
from typing_extensions import override

from compose.compose_lab import BUILD_SECONDS, HOSTS, ComposeLab, free_port, succeed
from compose.wire import Wire, watching
from imagestore_sim.clock import RealClock
from imagestore_sim.containers.container import Container
from imagestore_sim.containers.disks import MemoryDisk
from imagestore_sim.containers.faults.firewall import add_rules
from imagestore_sim.containers.host import ContainerHost
from imagestore_sim.containers.image_builds import HOST_IMAGE, build_images, image_tag
from imagestore_sim.containers.spec import HostSpec

NODES = ("mn-1", "mn-2", "mn-3")
SERVERS = ("mariadb-1", "mariadb-2", "mariadb-3")
MEASURED, CLIENT_HOST = HOSTS[:2], HOSTS[2]
"""The hosts of one storage each, whose wire shows its pings alone, and that of the client's storages."""
BUILT = (*HOSTS, *NODES, *SERVERS, "proxy", "database")
START_SECONDS = 480.0
WITHIN = 300.0
"""Real seconds until something must have happened, on a machine with much other work."""
CLIENT = "client"
"""The account of the client's storages on its host."""


class ClusterLab(ComposeLab):
    """Three management nodes over a Galera cluster, behind a proxy at `url`. Nodes log in afresh for each ping."""

    def __init__(self, folder: Path, **variables: str) -> None:
        port = free_port()
        super().__init__(folder, COMPOSE_PROFILES="cluster", CLUSTER_PORT=str(port), **variables)
        self.url = f"http://127.0.0.1:{port}"

    @override
    def overrides(self) -> dict[str, Any]:
        fresh = {"environment": {"IMAGESTORE_SIM_PROBE_CONNECTION": "fresh"}}
        return super().overrides() | dict.fromkeys(NODES, fresh)

    @override
    async def up(self) -> None:
        await self.compose("build", *BUILT, seconds=2 * BUILD_SECONDS)
        await self.compose("up", "-d", "proxy", seconds=START_SECONDS)
        await self.execute(CLIENT_HOST, "useradd", "--no-create-home", "--shell", "/bin/bash", CLIENT)
        await self.execute(CLIENT_HOST, "chpasswd", given=f"{CLIENT}:{CLIENT}\n")

    async def address(self, service: str) -> str:
        """Return the address of a service in the network of the lab."""
        [network] = (await self.inspect(service))["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    async def addresses(self, services: Iterable[str]) -> dict[str, str]:
        """Return the services that run by their addresses."""
        found = [(await self.address(service), service) for service in services]
        return {address: service for address, service in found if address}

    @asynccontextmanager
    async def without(self, service: str, ends: str, brings_back: str) -> AsyncIterator[None]:
        """Run `docker kill`, `stop` or `pause` on a service before the block, and `start` or `unpause` after it."""
        container = await self.container(service)
        await succeed("docker", ends, container)
        yield
        await succeed("docker", brings_back, container)

    @asynccontextmanager
    async def watching(self, host: str) -> AsyncIterator[Wire]:
        """Watch what nodes and the sshd of a host send each other."""
        image = str((await self.inspect(NODES[0]))["Image"])
        async with watching(await self.container(host), image) as wire:
            yield wire

    @asynccontextmanager
    async def cut_off(self, node: str, *others: str) -> AsyncIterator[None]:
        """Let the firewall of a node drop every packet from and to other services for the block.

        The rules are those of faults of container hosts; a container beside the node, in its network, puts them there.
        """
        addresses = [await self.address(other) for other in others]
        docker = aiodocker.Docker()
        try:
            await build_images(docker)
            network = f"container:{await self.container(node)}"
            beside = await docker.containers.create(
                {
                    "Image": image_tag(HOST_IMAGE),
                    "Entrypoint": ["sleep", "infinity"],
                    "HostConfig": {"NetworkMode": network, "CapAdd": ["NET_ADMIN"], "AutoRemove": True},
                }
            )
            await beside.start()
            try:
                host = _as_host(Container(beside, f"beside-{node}", None))
                rules = [f"{rule} {one} -j DROP" for one in addresses for rule in ("INPUT -s", "OUTPUT -d")]
                heal = await add_rules(host, *rules)
                yield
                await heal()
            finally:
                await beside.kill()
        finally:
            await docker.close()


def _as_host(container: Container) -> ContainerHost:
    spec = HostSpec(port=22, username="root", urls=("/",), mount="/", disk_path="/", memory_disk=True)
    return ContainerHost(container, spec, MemoryDisk(container, "/", 0, 0), RealClock(), running=True)


async def until(what: str, condition: Callable[[], Awaitable[bool]], within: float = WITHIN) -> float:
    """Wait until an async condition holds, and return the seconds that took."""
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() - began < within, f"{what}: not within {within:g} s"
        await asyncio.sleep(0.3)
    return time.monotonic() - began
