"""The faults on one simulated host: applied, healed by hand or by the clock, several at once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagestore_sim.faults.base import Fault, FaultProblem, check_number
from imagestore_sim.faults.behaviour import Behaviour
from imagestore_sim.faults.target import Undo
from imagestore_sim.hosts.fault_target import SimulatedTarget
from imagestore_sim.tasks import Tasks

if TYPE_CHECKING:
    from imagestore_sim.hosts.host import SimulatedHost

KEPT_PAST = 100
"""Faults of a host that are over and remembered."""


@dataclass(frozen=True, slots=True)
class PastFault:
    """A fault that was on a simulated host, from `applied_at` to `healed_at` (epoch seconds)."""

    fault: Fault
    number: int
    applied_at: float
    healed_at: float


class SimulatedFault:
    """A fault on a simulated host (`faults.target.AppliedFault`)."""

    def __init__(self, on_host: HostFaults, fault: Fault, number: int, since: float, undo: Undo | None) -> None:
        self.fault = fault
        self.number = number
        """No other fault on its host has this number, or had it."""
        self.since = since
        """When it was applied, in seconds of the clock's monotonic time."""
        self.applied_at = on_host.now()
        """The same in epoch seconds."""
        self._on_host = on_host
        self._undo = undo

    @property
    def active(self) -> bool:
        """Return whether it has not been healed."""
        return self in self._on_host

    @property
    def expires_at(self) -> float | None:
        """Return when it heals by itself, in seconds of the clock's monotonic time; None: it does not."""
        return None if self.fault.lasts is None else self.since + self.fault.lasts

    async def heal(self) -> None:
        """Undo it, unless that has happened; return when the host behaves accordingly. Raise OSError."""
        if self.active:
            self._on_host._remove(self)
            if self._undo is not None:
                self._undo()
            await self._on_host._settle()


class HostFaults:
    """The faults on a host, the oldest first. Each changes the behaviour as the ones before it have left it."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host
        self._target = SimulatedTarget(host)
        self._applied: list[SimulatedFault] = []
        self.past: list[PastFault] = []
        """The latest that are over, in the order in which they were healed."""
        self._numbers = itertools.count(1)
        self._timers = Tasks()
        self._waiting: dict[asyncio.Future[None], None] = {}
        """Futures of `wait_until`, in the order in which the calls came: they are woken in this order."""
        self.behaviour = Behaviour()

    def __iter__(self) -> Iterator[SimulatedFault]:
        return iter(list(self._applied))

    def __len__(self) -> int:
        return len(self._applied)

    def __contains__(self, applied: object) -> bool:
        return applied in self._applied

    def now(self) -> float:
        """Return the time of the host's clock, in epoch seconds."""
        return self._host.clock.time()

    async def apply(self, fault: Fault) -> SimulatedFault:
        """Put a fault on the host, beside those that are on it; it heals by itself after its `for`.

        Raise FaultProblem when it is not possible on this host, or that has too many, and OSError.
        """
        check_number(self, self._host.name)
        try:
            undo = fault.begin(self._target)
        except OSError as error:
            text = error.strerror or str(error)
            raise FaultProblem(f"fault {fault.kind}: {error.filename}: {text} on {self._host.name}") from error
        applied = SimulatedFault(self, fault, next(self._numbers), self._host.clock.monotonic(), undo)
        self._applied.append(applied)
        self._begin_timer(applied)
        await self._settle()
        return applied

    async def heal_all(self) -> None:
        """Heal every fault, the latest first."""
        for applied in reversed(list(self)):
            await applied.heal()

    async def wait_until(self, met: Callable[[Behaviour], bool]) -> None:
        """Wait until the behaviour of the host meets a condition."""
        while not met(self.behaviour):
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[changed] = None
            try:
                await changed
            finally:
                self._waiting.pop(changed, None)

    def resume(self) -> None:
        """Let faults heal by themselves again, after `pause`."""
        for applied in self:
            self._begin_timer(applied)

    async def pause(self) -> None:
        """Keep the faults, but no task: none heals by itself until `resume`."""
        await self._timers.close()

    def _begin_timer(self, applied: SimulatedFault) -> None:
        if applied.expires_at is not None and self._host.listening:
            self._timers.begin(self._heal_in_time(applied, applied.expires_at), f"fault {applied.fault.kind}")

    async def _heal_in_time(self, applied: SimulatedFault, expires_at: float) -> None:
        await self._host.clock.sleep(expires_at - self._host.clock.monotonic())
        await applied.heal()

    def _remove(self, applied: SimulatedFault) -> None:
        self._applied.remove(applied)
        self.past.append(PastFault(applied.fault, applied.number, applied.applied_at, self.now()))
        del self.past[:-KEPT_PAST]

    async def _settle(self) -> None:
        """Compute the behaviour from the faults, and wake all who wait for a change of it."""
        now = Behaviour()
        for applied in self._applied:
            applied.fault.change(now)
        self.behaviour = now
        for changed in self._waiting:
            if not changed.done():
                changed.set_result(None)
        await self._host.settle()
