"""The faults on a container host: kept while it is stopped, and put on it again at its start."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imagestore_sim.containers.faults import apply_fault, implementation_of
from imagestore_sim.faults import Fault, Layer
from imagestore_sim.faults.base import check_number
from imagestore_sim.tasks import Tasks

if TYPE_CHECKING:
    from imagestore_sim.containers.faults import FaultImplementation, Undo
    from imagestore_sim.containers.host import ContainerHost

logger = logging.getLogger(__name__)


class ContainerFault:
    """A fault on a container host."""

    def __init__(self, host: ContainerHost, fault: Fault, number: int) -> None:
        self.fault = fault
        self.number = number
        """A number that no other fault on this host has or had."""
        self.in_place = False
        """Whether the container has it now. It has not before its start, and after a stop that loses it."""
        self._host = host
        self._since = host.clock.monotonic()
        self._undo: Undo | None = None

    @property
    def active(self) -> bool:
        """Whether it has not been healed."""
        return self in self._host.faults

    @property
    def expires_at(self) -> float | None:
        """The monotonic time of the clock at which it heals by itself, in seconds; None: it does not."""
        return None if self.fault.lasts is None else self._since + self.fault.lasts

    def expires_by(self, time: float) -> bool:
        """Return whether it heals by itself at a monotonic time or before."""
        return self.expires_at is not None and self.expires_at <= time

    @property
    def from_outside(self) -> bool:
        """Whether it is put on and taken off without the help of the container, which may be stopped."""
        return self._implementation.from_outside

    @property
    def lost_at_stop(self) -> bool:
        """Whether the container does not have it any more after a stop."""
        return self._implementation.lost_at_stop

    async def heal(self) -> None:
        """Undo it, unless it is healed already. Raise ContainerProblem; then it stays active."""
        await self._host.heal(self)

    async def put_on(self) -> None:
        """Have the container have it. Raise ContainerProblem, FaultProblem."""
        self._undo = await apply_fault(self.fault, self._host)
        self.in_place = True

    async def take_off(self) -> None:
        """Undo it in the container. Raise ContainerProblem."""
        if self._undo is not None:
            await self._undo()
        self._undo = None
        self.in_place = False

    @property
    def _implementation(self) -> FaultImplementation:
        return implementation_of(self.fault.kind, memory_disk=self._host.spec.memory_disk)


class ContainerFaults:
    """All faults on a container host, the oldest first. Only the host calls it, with its lock held."""

    def __init__(self, host: ContainerHost) -> None:
        self._host = host
        self._applied: list[ContainerFault] = []
        self._numbers = itertools.count(1)
        self._healed_while_stopped: list[ContainerFault] = []
        """Not active any more, but in place until the container runs and can be healed."""
        self._timers = Tasks()

    def __iter__(self) -> Iterator[ContainerFault]:
        return iter(list(self._applied))

    def __contains__(self, applied: object) -> bool:
        return applied in self._applied

    def new(self, fault: Fault) -> ContainerFault:
        """Return a fault that is not on the host yet. Its time begins now."""
        return ContainerFault(self._host, fault, next(self._numbers))

    async def add(self, applied: ContainerFault, *, running: bool) -> None:
        """Put a fault on the host, in place at once if that is possible. Raise ContainerProblem, FaultProblem."""
        check_number(self._applied, self._host.name)
        if running or applied.from_outside:
            await applied.put_on()
        self._applied.append(applied)

    async def remove(self, applied: ContainerFault, *, running: bool) -> None:
        """Heal a fault. Raise ContainerProblem; then it stays."""
        if running or applied.from_outside:
            await applied.take_off()
        else:
            self._healed_while_stopped.append(applied)
        self._applied.remove(applied)

    def forget(self) -> None:
        """Drop all faults: the container is gone."""
        self._applied.clear()

    def begin_timer(self, applied: ContainerFault) -> None:
        """Heal a fault when it expires, unless it does not."""
        if applied.expires_at is not None:
            self._timers.begin(self._heal_in_time(applied, applied.expires_at), f"fault {applied.fault.kind}")

    async def _heal_in_time(self, applied: ContainerFault, expires_at: float) -> None:
        await self._host.clock.sleep(expires_at - self._host.clock.monotonic())
        await applied.heal()

    async def stop_timers(self) -> None:
        """Let no fault heal by itself any more."""
        await self._timers.close()

    # Around a stop of the container

    async def before_stop(self) -> None:
        """Take off what the stop would lose, the latest first. Raise ContainerProblem."""
        for applied in reversed(self._applied):
            if applied.in_place and applied.lost_at_stop:
                await applied.take_off()

    def drop_lost(self) -> None:
        """Drop what a stop has lost that this process did not do."""
        for applied in self:
            if applied.in_place and applied.lost_at_stop:
                logger.warning("%s: others stopped it, and %s is lost", self._host.name, applied.fault.kind)
                self._applied.remove(applied)

    @property
    def wait_for_start(self) -> bool:
        """Whether faults have to be put on or taken off at the next start."""
        return bool(self._healed_while_stopped) or any(not one.in_place for one in self._applied)

    async def take_off_healed(self) -> None:
        """Take off what was healed while the host was stopped. Raise ContainerProblem."""
        while self._healed_while_stopped:
            await self._healed_while_stopped.pop().take_off()

    async def put_on_missing(self, *, network: bool) -> None:
        """Put on what is not in place, of the network layer or of all others. Raise ContainerProblem."""
        for applied in self:
            if not applied.in_place and (applied.fault.layer is Layer.NETWORK) is network:
                await applied.put_on()
