"""A cluster in containers: three nodes over Galera behind a proxy, what breaks them, and who pinged which host when."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import aiodocker
from typing_extensions import override

from compose.compose_lab import BUILD_SECONDS, HOSTS, ComposeLab, free_port, run, succeed
from imagestore_sim.clock import RealClock
from imagestore_sim.containers.container import Container
from imagestore_sim.containers.disks import MemoryDisk
from imagestore_sim.containers.faults.firewall import add_rules
from imagestore_sim.containers.host import ContainerHost
from imagestore_sim.containers.image_builds import HOST_IMAGE, build_images, image_tag
from imagestore_sim.containers.spec import HostSpec

NODES = ("mn-1", "mn-2", "mn-3")
SERVERS = ("mariadb-1", "mariadb-2", "mariadb-3")
BUILT = (*HOSTS, *NODES, *SERVERS, "proxy", "database")
START_SECONDS = 480.0
WITHIN = 180.0
"""Real seconds until something must have happened, on a machine with much other work."""
CLIENT = "client"
"""The account of the client's storages on each host, so that the host's log tells them from the lab's own."""
_LOGIN = re.compile(r"(\S+) Accepted password for (\S+) from (\S+) port (\d+)")
_BEGIN = re.compile(r"(\S+) Connection from (\S+) port (\d+)")
_END = re.compile(
    r"(\S+) (?:Disconnected from|Connection closed by|Connection reset by|Received disconnect from|Close session:).*?"
    r"(\d+\.\d+\.\d+\.\d+) port (\d+)"
)


@dataclass(frozen=True, slots=True)
class Halt:
    """From when to when a node did nothing at all, since it was killed or paused; times in epoch seconds."""

    node: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Ping:
    """A connection of a node to a host, as the host has logged it; times in epoch seconds."""

    node: str
    user: str
    began: float
    ended: float


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
        await asyncio.gather(*(self._log_connections(host) for host in HOSTS))

    async def _log_connections(self, host: str) -> None:
        """Let a host's sshd log when connections begin, and add the account of the client's storages."""
        await self.execute(host, "useradd", "--no-create-home", "--shell", "/bin/bash", CLIENT)
        await self.execute(host, "chpasswd", given=f"{CLIENT}:{CLIENT}\n")
        log = "echo LogLevel VERBOSE >/etc/ssh/sshd_config.d/00-log.conf; kill -HUP 1"
        await self.execute(host, "sh", "-c", log)

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

    async def pings(self, host: str, nodes: Mapping[str, str], since: float) -> list[Ping]:
        """Return the pings of a host's own storage, in the order in which they began. `nodes` are by address."""
        done = await run("docker", "logs", "--timestamps", "--since", f"{since:.3f}", await self.container(host))
        open_: dict[tuple[str, str], Ping] = {}
        found: list[Ping] = []
        for line in (done.output + done.errors).splitlines():
            if begun := _BEGIN.match(line):
                node = nodes.get(begun[2], begun[2])
                open_[begun[2], begun[3]] = Ping(node, "", _time(begun[1]), float("inf"))
            elif (login := _LOGIN.match(line)) and (login[3], login[4]) in open_:
                open_[login[3], login[4]] = replace(open_[login[3], login[4]], user=login[2])
            elif (ended := _END.match(line)) and (ended[2], ended[3]) in open_:
                found.append(replace(open_.pop((ended[2], ended[3])), ended=_time(ended[1])))
        own = f"store-{host[-1]}"
        return sorted((one for one in (*found, *open_.values()) if one.user == own), key=lambda one: one.began)

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


def _time(text: str) -> float:
    """Return the epoch seconds of one of the engine's times, which have nine digits after the point."""
    whole, fraction = text.rstrip("Z").split(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction}")


def longest_overlap(pings: Sequence[Ping], halted: Sequence[Halt]) -> float:
    """Return for how long, in seconds, two nodes pinged one host at once. What a halted node has open has ended."""
    pairs = itertools.combinations([replace(one, ended=_end(one, halted)) for one in pings], 2)
    both = [min(one.ended, other.ended) - other.began for one, other in pairs if one.node != other.node]
    return max([0.0, *both])


def _end(ping: Ping, halted: Sequence[Halt]) -> float:
    halts = [
        one.began for one in halted if one.node == ping.node and ping.began <= one.ended and one.began < ping.ended
    ]
    return min([ping.ended, *(max(began, ping.began) for began in halts)])


async def until(what: str, condition: Callable[[], Awaitable[bool]], within: float = WITHIN) -> float:
    """Wait until an async condition holds, and return the seconds that took."""
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() - began < within, f"{what}: not within {within:g} s"
        await asyncio.sleep(0.3)
    return time.monotonic() - began
