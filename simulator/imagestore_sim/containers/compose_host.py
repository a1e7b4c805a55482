"""A host of a lab in containers that Compose has started: found by its labels, and broken by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from imagestore_sim.clock import Clock
from imagestore_sim.containers.applied_faults import ContainerFault
from imagestore_sim.containers.container import Container, address_in
from imagestore_sim.containers.disks import MemoryDisk
from imagestore_sim.containers.errors import ContainerProblem
from imagestore_sim.containers.faults import Requirements, requirements_of
from imagestore_sim.containers.faults.state_files import PROGRAMS, STATE
from imagestore_sim.containers.host import ContainerHost
from imagestore_sim.containers.image_builds import HOST_IMAGE, IMAGES
from imagestore_sim.containers.observation import SECONDS
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.faults import Fault, FaultProblem

if TYPE_CHECKING:
    from aiodocker.containers import DockerContainer
    from aiodocker.networks import DockerNetwork

logger = logging.getLogger(__name__)
TOOLS = IMAGES / HOST_IMAGE / "faults"
MARK = f"{STATE}/by-hand"
"""A file that exists while the host may have faults. A process that was killed leaves it."""


class ComposeHost(ContainerHost):
    """A container from when it is found until it is gone. Others may start and stop it too.

    Before its first fault it gets the programs that faults need; `leave` takes them away. Its disk is measured after
    each start, since its size is its owner's choice.
    """

    def __init__(
        self,
        container: DockerContainer,
        network: DockerNetwork | None,
        details: Mapping[str, Any],
        clock: Clock,
        equipped: Callable[[Requirements], Sequence[str]],
    ) -> None:
        """`details` are the engine's; `equipped` returns the hosts that have what a fault needs, for error texts."""
        name = str(details["Config"]["Hostname"])
        spec = _spec(dict(one.split("=", 1) for one in details["Config"]["Env"]))
        found = Container(container, name, network, aliases=_aliases(details))
        super().__init__(found, spec, MemoryDisk(found, spec.disk_path, 0, 0), clock, running=True)
        self._equipment = _equipment(details["HostConfig"])
        self._equipped = equipped
        self._measured_disk: MemoryDisk | None = None
        """The disk that it has since its last start; None: not measured yet."""
        self._started_at = ""
        """The engine's time of its last start that is known here."""
        self._prepared = False
        self._has_our_tools = False
        self._changing = asyncio.Lock()

    @property
    def id(self) -> str:
        """The engine's id of the container."""
        return self.container.id

    def missing(self, requirements: Requirements) -> list[str]:
        """Return the capabilities and devices that it lacks for a fault."""
        have = self._equipment
        return sorted(requirements.capabilities - have.capabilities) + sorted(requirements.devices - have.devices)

    async def update(self, details: Mapping[str, Any]) -> None:
        """Take over what others have done to it since the last call, from the engine's description."""
        async with self._changing:
            self.address = address_in(details) or self.address
            state = details["State"]
            await self._take_over(running=bool(state["Running"]), started_at=str(state["StartedAt"]))

    async def _take_over(self, *, running: bool, started_at: str) -> None:
        if running == self._running and started_at == self._started_at:
            return
        if started_at != self._started_at and self._measured_disk is not None:
            self._measured_disk.close()
            self._measured_disk = None
        self._started_at = started_at
        if running and self.faults:
            await self._measure()
        async with self._lock:
            if self._running:
                self._faults.drop_lost()
            self._running = running
            if running:
                await self._catch_up()

    async def _catch_up(self) -> None:
        """Put on and take off what waited for a start, and restart the timers that expired meanwhile."""
        await self._faults.take_off_healed()
        for applied in self._faults:
            if not applied.in_place:
                await applied.put_on()
            if applied.expires_by(self.clock.monotonic()):
                self._faults.begin_timer(applied)

    async def _measure(self) -> None:
        if self._measured_disk is None:
            disk = (await self._observe()).disk
            if disk is None:
                raise ContainerProblem(f"{self.name}: {self.spec.disk_path} cannot be asked how big it is")
            self.disk = self._measured_disk = MemoryDisk(self.container, self.spec.disk_path, disk.size, disk.used)

    @override
    async def apply(self, fault: Fault) -> ContainerFault:
        requirements = requirements_of(fault, self.spec)
        if missing := self.missing(requirements):
            equipped = self._equipped(requirements)
            others = f"; {_enumerate(equipped)} may" if equipped else "; no host here may"
            raise FaultProblem(f"fault {fault.kind}: not on {self.name}, which has no {_enumerate(missing)}{others}")
        async with self._changing:
            if not self._prepared:
                await self._prepare()
            if self._running:
                await self._measure()
        return await super().apply(fault)

    async def _prepare(self) -> None:
        """Mark the host as one with faults, and install the tools that it lacks."""
        if not self._running:
            raise ContainerProblem(f"{self.name} has to run to get its first fault")
        script = f"[ ! -e {MARK} ] || echo faults; [ -e {PROGRAMS}/tools ] || echo tools"
        printed = (await self.run(script, seconds=SECONDS)).split()
        if "faults" in printed:
            raise ContainerProblem(
                f"{self.name} has faults that an earlier process left, and cannot be healed; recreate it with"
                f" `docker-compose up -d --force-recreate --no-deps {self.name}`"
            )
        if "tools" in printed:
            await self.run(f"mkdir -p {PROGRAMS}")
            await self.container.put(TOOLS, PROGRAMS)
            await self.run(f"sh {PROGRAMS}/tools install")
            self._has_our_tools = True
        await self.run(f"touch {MARK}")
        self._prepared = True

    @override
    async def start(self) -> None:
        async with self._changing:
            try:
                await super().start()
            finally:
                self._started_at = str((await self.container.inspect())["State"]["StartedAt"])

    @override
    async def stop(self) -> None:
        async with self._changing:
            await super().stop()

    async def forget(self) -> None:
        """Drop its faults: the container is gone."""
        if self._measured_disk is not None:
            self._measured_disk.close()
        await self._faults.stop_timers()
        self._faults.forget()

    @override
    async def heal_all(self) -> None:
        """Heal every fault, then remove all that faults needed. Log what cannot be done."""
        await super().heal_all()
        if not self._prepared:
            return
        if not self._running:
            logger.warning("%s is stopped: what is left of faults on it stays there", self.name)
            return
        try:
            if self._measured_disk is not None:
                await self._measured_disk.release()
            await self.run(f"rm -f {MARK}")
            if self._has_our_tools:
                await self.run(f"sh {PROGRAMS}/tools remove")
        except ContainerProblem as problem:
            logger.warning("%s", problem)


def _spec(environment: Mapping[str, str]) -> HostSpec:
    """Return what a host of docker-compose.yml is, from its environment."""
    url = environment["STORE_URL"]
    return HostSpec(
        port=int(environment.get("STORE_PORT", "22")),
        username=environment["STORE_USER"],
        urls=(url,),
        mount=url,
        disk_path=url,
        memory_disk=True,
    )


def _equipment(host_config: Mapping[str, Any]) -> Requirements:
    """Return the capabilities and devices that a container was given."""
    return Requirements(
        frozenset(str(one).removeprefix("CAP_") for one in host_config["CapAdd"] or ()),
        frozenset(one["PathOnHost"] for one in host_config["Devices"] or ()),
    )


def _aliases(details: Mapping[str, Any]) -> list[str]:
    """Return the names that Compose gave it in its network, without the engine's own."""
    return [
        alias
        for network in details["NetworkSettings"]["Networks"].values()
        for alias in network["Aliases"] or ()
        if not details["Id"].startswith(alias)
    ]


def _enumerate(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
