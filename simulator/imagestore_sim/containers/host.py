"""A host in a container, which faults can be put on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from imagestore_sim.clock import Clock
from imagestore_sim.containers.applied_faults import ContainerFault, ContainerFaults
from imagestore_sim.containers.container import Container, address_in
from imagestore_sim.containers.errors import ContainerProblem
from imagestore_sim.containers.observation import Observation, observe, observe_agent
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.faults import Fault, HostState
from imagestore_sim.faults.target import AgentState
from imagestore_sim.tasks import together

if TYPE_CHECKING:
    from imagestore_sim.containers.disks import Disk

logger = logging.getLogger(__name__)

SCRIPT_SECONDS = 30.0
START_SECONDS = 60.0
"""Until sshd answers, which makes its keys before. docker-compose.yml gives it as long."""
STOP_SECONDS = 1
"""Until sshd is killed."""
HEAL_SECONDS = 20.0
"""Until the faults of all hosts are healed."""
TOLERANCE = 0.25
"""Seconds by which a fault may expire after a step that a scenario has at the same time."""


class ContainerHost:
    """A host in a container (a `faults.Host`). Failures: ContainerProblem.

    What the container loses when it is stopped is put on it again when it is started.
    """

    def __init__(self, container: Container, spec: HostSpec, disk: Disk, clock: Clock, *, running: bool) -> None:
        self.name = container.name
        self.container = container
        self.spec = spec
        self.disk = disk
        self.clock = clock
        self.address = container.address
        """Its IP address in its network; the last one known while it is stopped."""
        self._running = running
        self._faults = ContainerFaults(self)
        self._lock = asyncio.Lock()
        """Held while faults are put on or taken off, and while the container is started or stopped."""

    @property
    def faults(self) -> list[ContainerFault]:
        """The faults on it, the oldest first."""
        return list(self._faults)

    @property
    def running(self) -> bool:
        """Whether its container runs, as far as is known."""
        return self._running

    async def run(self, script: str, *, given: str = "", seconds: float = SCRIPT_SECONDS) -> str:
        """Run a shell script as root, with `given` as its standard input, and return its output.

        It is killed after `seconds` of real time. ContainerProblem has the exit status, unless that is 0.
        """
        return await self.container.run(script, given=given, seconds=seconds)

    async def begin(self, script: str) -> None:
        """Start a shell script as root in the background."""
        await self.container.begin(script)

    async def state(self) -> HostState:
        """Return how it is now. What it does not report within five seconds is None."""
        details = await self.container.inspect()
        running = bool(details["State"]["Running"])
        found = None
        if running:
            try:
                found = await self._observe()
            except ContainerProblem as problem:  # it may be paused
                logger.info("%s", problem)
        return HostState(
            at=self.clock.monotonic(),
            name=self.name,
            port=self.spec.port,
            listening=running,
            address=f"{address_in(details) or self.address}:{self.spec.port}",
            disk=found.disk if found else None,
            logins=None,
            connections=found.connections if found else None,
            username=self.spec.username,
            faults=self.faults,
            agent_running=found.agent_running if found else False if not running else None,
        )

    async def agent_state(self) -> AgentState:
        """Return how its agent is now, and its certificates. Raise ValueError while it is stopped."""
        if not self._running:
            raise ValueError(f"{self.name} is stopped, and its agent with it")
        return await observe_agent(self.container, self.address)

    async def _observe(self) -> Observation:
        return await observe(self.container, self.spec)

    async def apply(self, fault: Fault) -> ContainerFault:
        """Put a fault on it, beside those that it has. Raise FaultProblem for one that it cannot have."""
        applied = self._faults.new(fault)
        async with self._lock:
            await self._faults.add(applied, running=self._running)
        self._faults.begin_timer(applied)
        return applied

    async def heal(self, applied: ContainerFault) -> None:
        """Undo a fault, unless it is healed already. If that fails, the fault stays."""
        async with self._lock:
            if applied in self._faults:
                await self._faults.remove(applied, running=self._running)

    async def settle(self) -> None:
        """Return when the faults that have expired are healed, which takes some time."""
        now = self.clock.monotonic() + TOLERANCE
        for applied in self._faults:
            if applied.expires_by(now):
                await applied.heal()
        async with self._lock:  # a heal under way has ended
            pass

    async def heal_all(self) -> None:
        """Heal every fault, the latest first. Log those that cannot be healed."""
        await self._faults.stop_timers()
        for applied in reversed(self.faults):
            try:
                await applied.heal()
            except OSError as error:
                logger.warning("%s: %s could not be healed: %s", self.name, applied.fault.kind, error)

    async def start(self) -> None:
        """Start it, unless it runs, with the faults on it. Return when sshd answers."""
        async with self._lock:
            if self._running:
                return
            if self._faults.wait_for_start:
                await self._start_with_faults()
            else:
                await self._boot()
            self._running = True

    async def _start_with_faults(self) -> None:
        """Start offline, put on the faults that need no network, reconnect, then put on network faults."""
        await self.container.disconnect()
        await self._boot()
        await self._faults.take_off_healed()
        await self._faults.put_on_missing(network=False)
        await self.container.connect()
        await self._faults.put_on_missing(network=True)

    async def _boot(self) -> None:
        await self.container.start()
        await self.run("until /usr/local/sbin/answers; do sleep 0.1; done", seconds=START_SECONDS)

    async def stop(self) -> None:
        """Shut it down, if it runs. Its faults stay, and its disk unless that is a MemoryDisk."""
        async with self._lock:
            if self._running:
                await self._faults.before_stop()
                await self.container.stop(STOP_SECONDS)
                self._running = False


async def heal_hosts(hosts: Iterable[ContainerHost]) -> None:
    """Heal all faults of hosts within HEAL_SECONDS. Log what is not healed by then."""
    try:
        # Their containers are removed, or left to their owner, in any case: a hanging engine must not prevent that
        async with asyncio.timeout(HEAL_SECONDS):  # real: see above
            await together(*(host.heal_all() for host in hosts))
    except TimeoutError:
        logger.warning("not all faults could be healed within %g s", HEAL_SECONDS)
