"""One host of a lab in containers that runs: what it may do, what it is given before its first fault, how it is."""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from imagestore_sim.clock import Clock
from imagestore_sim.containers import faults as forms
from imagestore_sim.containers.applied_faults import ContainerFault, FaultyHost
from imagestore_sim.containers.container import Container
from imagestore_sim.containers.disk_in_memory import DiskInMemory
from imagestore_sim.containers.engine import IMAGES
from imagestore_sim.containers.faults.state_files import FOLDER, PROGRAMS
from imagestore_sim.containers.host import ContainerHost, ContainerProblem
from imagestore_sim.faults import DiskState, Fault, HostState
from imagestore_sim.scenario.format import model

if TYPE_CHECKING:
    from aiodocker.containers import DockerContainer
    from aiodocker.networks import DockerNetwork

logger = logging.getLogger(__name__)
TOOLS = IMAGES / "host" / "faults"
MARK = f"{FOLDER}/by-hand"
"""Is there for as long as faults may be; one that was killed has left it."""
SHOWING_SECONDS = 5.0
BUSYBOX = "/bin/busybox"

# Faults may have taken every command but this one, and the disk may hang.
_NUMBERS = f"""
{BUSYBOX} timeout -s KILL 1 {BUSYBOX} stat -f -c '%S %b %f %a %c %d' "$0" 2>/dev/null || echo
{BUSYBOX} awk -v path="$0" '$2 == path {{ last = $4 }} END {{ print last }}' /proc/mounts
{BUSYBOX} awk -v port="$1" '$4 == "01" && $2 ~ port "$"' /proc/net/tcp /proc/net/tcp6 | {BUSYBOX} wc -l
"""


@dataclass(frozen=True, slots=True)
class Disk:
    """What a host says of its disk: bytes."""

    size: int
    free: int
    available: int
    inodes: int
    free_inodes: int

    @classmethod
    def read(cls, line: str) -> Self | None:
        """From what stat prints, in blocks after the bytes of one; None if it prints nothing."""
        if not line:
            return None
        unit, size, free, available, inodes, free_inodes = (int(word) for word in line.split())
        return cls(size * unit, free * unit, available * unit, inodes, free_inodes)

    def state(self, *, read_only: bool) -> DiskState:
        """Return it in the terms of all hosts."""
        return DiskState(
            size=self.size,
            used=self.size - self.free,
            reserved=self.free - self.available,
            available=self.available,
            inodes=self.inodes,
            free_inodes=self.free_inodes,
            read_only=read_only,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What a host says of itself."""

    disk: Disk | None
    options: Sequence[str]
    """Those that its disk is mounted with."""
    connections: int


class ProjectHost:
    """A container, from when it is found until it is gone. Failures: ContainerProblem."""

    def __init__(
        self, container: DockerContainer, network: DockerNetwork | None, details: Mapping[str, Any], clock: Clock
    ) -> None:
        """`details` are the engine's."""
        self.id = str(details["Id"])
        self.name = str(details["Config"]["Hostname"])
        self._rights = _rights(details["HostConfig"])
        self._container = Container(container, self.name, network, aliases=_aliases(details))
        self._clock = clock
        environment = dict(one.split("=", 1) for one in details["Config"]["Env"])
        self._url = environment["STORE_URL"]
        spec = model.Host(
            mount=self._url,
            port=int(environment.get("STORE_PORT", "22")),
            username=environment["STORE_USER"],
            password=environment["STORE_PASSWORD"],
        )
        disk = DiskInMemory(self._container, self._url, 0, 0)
        self._host = ContainerHost(self.name, spec, (self._url,), self._url, "", clock, disk, self._container)
        self._disk: DiskInMemory | None = None
        self._faulty = FaultyHost(self._host)
        self._started = ""
        self._marked = False
        self._given_tools = False
        self._turn = asyncio.Lock()

    @property
    def faults(self) -> list[ContainerFault]:
        """Those that are on it, the oldest first."""
        return self._faulty.faults

    def needs(self, fault: Fault) -> forms.Needs:
        """What it must have for a fault. Raises forms.Refused where no host can have it."""
        return forms.check(fault, self._host.spec, in_memory=True)

    def lacks(self, needs: forms.Needs) -> list[str]:
        """What of that it has not."""
        return sorted(needs.capabilities - self._rights.capabilities) + sorted(needs.devices - self._rights.devices)

    async def look(self, details: Mapping[str, Any]) -> None:
        """See what others have done to it. Raises ContainerProblem."""
        async with self._turn:
            self._host.address = _address(details) or self._host.address
            await self._see(details["State"])

    async def _see(self, state: Mapping[str, Any]) -> None:
        running, started = bool(state["Running"]), str(state["StartedAt"])
        if running == self._faulty.running and started == self._started:
            return
        if started != self._started and self._disk is not None:
            self._disk.close()
            self._disk = None
        self._started = started
        if running and self.faults:
            await self._measure()
        await self._faulty.was_found(running=running)

    async def _measure(self) -> None:
        """Know the disk that it has since its start."""
        if self._disk is None:
            disk = (await self._ask()).disk
            if disk is None:
                raise ContainerProblem(f"{self.name}: {self._url} cannot be asked how big it is")
            self._host.volume = self._disk = DiskInMemory(self._container, self._url, disk.size, disk.size - disk.free)

    async def apply(self, fault: Fault) -> ContainerFault:
        """Put a fault on it, beside those that are on it. Raises ContainerProblem, ValueError."""
        async with self._turn:
            await self._prepare()
        return await self._faulty.apply(fault)

    async def _prepare(self) -> None:
        if not self._marked:
            if not self._faulty.running:
                raise ContainerProblem(f"{self.name} has to run to get its first fault")
            script = f"[ ! -e {MARK} ] || echo faults; [ -e {PROGRAMS}/tools ] || echo tools"
            said = (await self._container.run(script, seconds=SHOWING_SECONDS)).split()
            if "faults" in said:
                raise ContainerProblem(
                    f"{self.name} has faults from before, which nobody knows any more; make it anew with"
                    f" `docker-compose up -d --force-recreate --no-deps {self.name}`"
                )
            if "tools" in said:
                await self._host.run(f"mkdir -p {PROGRAMS}")
                await self._container.put(TOOLS, PROGRAMS)
                await self._host.run(f"sh {PROGRAMS}/tools install")
                self._given_tools = True
            await self._host.run(f"touch {MARK}")
            self._marked = True
        if self._faulty.running:
            await self._measure()

    async def start(self) -> None:
        """Start it, if it does not run, with the faults that are on it. Raises ContainerProblem."""
        async with self._turn:
            try:
                await self._faulty.start()
            finally:
                self._started = str((await self._container.inspect())["State"]["StartedAt"])

    async def stop(self) -> None:
        """Shut it down, if it runs; its faults stay, what was on its disk does not. Raises ContainerProblem."""
        async with self._turn:
            await self._faulty.stop()

    async def forget(self) -> None:
        """Its container is gone: nothing is healed any more."""
        if self._disk is not None:
            self._disk.close()
        await self._faulty.forget()

    async def leave(self) -> None:
        """Heal it of all, and take away what it was given. What cannot be done is logged."""
        await self._faulty.heal_all()
        if not self._marked:
            return
        if not self._faulty.running:
            logger.warning("%s is stopped: what is left of faults on it stays there", self.name)
            return
        try:
            if self._disk is not None:
                await self._disk.release()
            await self._host.run(f"rm -f {MARK}")
            if self._given_tools:
                await self._host.run(f"sh {PROGRAMS}/tools remove")
        except ContainerProblem as problem:
            logger.warning("%s", problem)

    async def state(self) -> HostState:
        """Return how it is now; what it does not say within SHOWING_SECONDS is unknown. Raise ContainerProblem."""
        details = await self._container.inspect()
        running = bool(details["State"]["Running"])
        seen = None
        if running:
            try:
                seen = await self._ask()
            except ContainerProblem as problem:  # it may be paused
                logger.info("%s", problem)
        disk = seen.disk if seen else None
        return HostState(
            at=self._clock.monotonic(),
            name=self.name,
            port=self._host.spec.port,
            listening=running,
            address=f"{_address(details) or self._host.address}:{self._host.spec.port}",
            disk=disk.state(read_only="ro" in seen.options) if seen and disk else None,
            logins=None,
            connections=seen.connections if seen else None,
            username=self._host.spec.username,
            faults=self.faults,
        )

    async def _ask(self) -> Seen:
        port = f":{self._host.spec.port:04X}"
        script = f"exec {BUSYBOX} sh -c {shlex.quote(_NUMBERS)} {shlex.quote(self._url)} {port}"
        disk, options, connections = (await self._container.run(script, seconds=SHOWING_SECONDS)).splitlines()
        return Seen(Disk.read(disk), options.split(","), int(connections))


def _rights(host: Mapping[str, Any]) -> forms.Needs:
    return forms.Needs(
        frozenset(str(one).removeprefix("CAP_") for one in host["CapAdd"] or ()),
        frozenset(one["PathOnHost"] for one in host["Devices"] or ()),
    )


def _aliases(details: Mapping[str, Any]) -> list[str]:
    """The names that Compose gave it in its network, beside the engine's own for it."""
    return [
        alias
        for network in details["NetworkSettings"]["Networks"].values()
        for alias in network["Aliases"] or ()
        if not details["Id"].startswith(alias)
    ]


def _address(details: Mapping[str, Any]) -> str:
    networks = details["NetworkSettings"]["Networks"].values()
    return next((str(one["IPAddress"]) for one in networks if one["IPAddress"]), "")
