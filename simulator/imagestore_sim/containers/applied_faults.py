"""The faults on a host in a container: applied, healed by hand or by the clock, kept while it is stopped."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING

from imagestore_sim.containers import faults as forms
from imagestore_sim.containers.host import ContainerHost
from imagestore_sim.faults import Fault, HostState, Layer
from imagestore_sim.tasks import Tasks

if TYPE_CHECKING:
    from imagestore_sim.containers.faults import Undo

logger = logging.getLogger(__name__)
SOON = 0.25
"""Seconds that a fault and a step may be apart that a story has at the same time."""


class ContainerFault:
    """A fault on a host."""

    def __init__(self, host: FaultyHost, fault: Fault, number: int, since: float) -> None:
        self.fault = fault
        self.number = number
        """No other fault on its host has it, or had it."""
        self.since = since
        """By the clock's monotonic time."""
        self.waiting = True
        """Whether the container does not have it yet, or not any more, because it is stopped."""
        self.undo: Undo | None = None
        self._host = host

    @property
    def active(self) -> bool:
        """Whether it has not been healed."""
        return self in self._host.faults

    @property
    def expires_at(self) -> float | None:
        """When it heals by itself."""
        return None if self.fault.lasts is None else self.since + self.fault.lasts

    @property
    def needs_the_container(self) -> bool:
        """Whether it can be put on, and taken off, only while the container runs."""
        return self._host.in_memory or not forms.form_of(self.fault.kind).from_outside

    async def heal(self) -> None:
        """Undo it, unless that has happened. Raises ContainerProblem."""
        await self._host.heal(self)


class FaultyHost:
    """A host of a scenario, in a container. What a container loses when it stops is put on it again at its start."""

    def __init__(self, host: ContainerHost) -> None:
        """It runs."""
        self.name = host.name
        self._host = host
        self._applied: list[ContainerFault] = []
        self._numbers = itertools.count(1)
        self._healed: list[ContainerFault] = []
        """While it was stopped: the container still has them."""
        self._running = True
        self._turn = asyncio.Lock()
        self._timers = Tasks()

    @property
    def in_memory(self) -> bool:
        """Whether its disk is in its memory, and no other than itself can change it."""
        return self._host.volume.in_memory

    @property
    def running(self) -> bool:
        """Whether it has been started, so far as is known."""
        return self._running

    @property
    def faults(self) -> list[ContainerFault]:
        """Those that are on it, the oldest first."""
        return list(self._applied)

    async def state(self) -> HostState:
        """Return what is known of it without asking the container: nothing of its disk."""
        return HostState(
            at=self._host.clock.monotonic(),
            name=self.name,
            port=self._host.spec.port,
            listening=self._running,
            address=f"{self._host.address}:{self._host.spec.port}",
            disk=None,
            logins=None,
            connections=None,
            username=self._host.spec.username,
            faults=self.faults,
        )

    async def apply(self, fault: Fault) -> ContainerFault:
        """Put a fault on it, beside those that are on it. Raises ContainerProblem, ValueError."""
        applied = ContainerFault(self, fault, next(self._numbers), self._host.clock.monotonic())
        async with self._turn:
            if self._running or not applied.needs_the_container:
                await self._put_on(applied)
            self._applied.append(applied)
        self._begin_timer(applied)
        return applied

    def _begin_timer(self, applied: ContainerFault) -> None:
        if applied.expires_at is not None:
            self._timers.begin(self._heal_in_time(applied, applied.expires_at), f"fault {applied.fault.kind}")

    async def _put_on(self, applied: ContainerFault) -> None:
        applied.undo = await forms.apply(applied.fault, self._host)
        applied.waiting = False

    async def heal(self, applied: ContainerFault) -> None:
        """Undo a fault, unless that has happened. Raises ContainerProblem; then it is on it still."""
        async with self._turn:
            if applied not in self._applied:
                return
            if self._running or not applied.needs_the_container:
                await self._take_off(applied)
            else:
                self._healed.append(applied)
            self._applied.remove(applied)

    async def _take_off(self, applied: ContainerFault) -> None:
        if applied.undo is not None:
            await applied.undo()
        applied.undo = None
        applied.waiting = True

    async def _heal_in_time(self, applied: ContainerFault, expires_at: float) -> None:
        await self._host.clock.sleep(expires_at - self._host.clock.monotonic())
        await applied.heal()

    async def settle(self) -> None:
        """Returns when what is due by now has been healed: that takes its time, and a story goes on after it."""
        soon = self._host.clock.monotonic() + SOON
        for applied in self.faults:
            if applied.expires_at is not None and applied.expires_at <= soon:
                await applied.heal()
        async with self._turn:  # what was under way has ended
            pass

    async def heal_all(self) -> None:
        """Heal every fault, the latest first; one that cannot be healed does not keep the others from it."""
        await self._timers.close()
        for applied in reversed(self.faults):
            try:
                await applied.heal()
            except OSError as error:
                logger.warning("%s: %s could not be healed: %s", self.name, applied.fault.kind, error)

    async def forget(self) -> None:
        """Heal nothing any more: its container is gone, and its faults with it."""
        await self._timers.close()
        self._applied.clear()

    async def stop(self) -> None:
        """Shut it down, if it runs; its disk and its faults stay. Raises ContainerProblem."""
        async with self._turn:
            if not self._running:
                return
            for applied in reversed(self._applied):
                if not applied.waiting and self._is_lost_at_stop(applied):
                    await self._take_off(applied)
            await self._host.stop()
            self._running = False

    def _is_lost_at_stop(self, applied: ContainerFault) -> bool:
        return forms.form_of(applied.fault.kind, in_memory=self.in_memory).lost_at_stop

    async def was_found(self, *, running: bool) -> None:
        """Others have stopped it, or started it: what it lost when it stopped is not on it any more.

        What had to wait until it runs is put on it, or taken off. Raises ContainerProblem.
        """
        async with self._turn:
            if self._running:
                for applied in self.faults:
                    if not applied.waiting and self._is_lost_at_stop(applied):
                        logger.warning("%s: others stopped it, and %s is lost", self.name, applied.fault.kind)
                        self._applied.remove(applied)
            self._running = running
            if running:
                while self._healed:
                    await self._take_off(self._healed.pop())
                for applied in self._applied:
                    if applied.waiting:
                        await self._put_on(applied)
                    if applied.expires_at is not None and applied.expires_at <= self._host.clock.monotonic():
                        self._begin_timer(applied)  # it could not be healed while it was stopped

    async def start(self) -> None:
        """Start it, if it does not run, with the faults that are on it. Raises ContainerProblem."""
        async with self._turn:
            if self._running:
                return
            waiting = [one for one in self._applied if one.waiting]
            if waiting or self._healed:
                await self._start_with(waiting)
            else:
                await self._host.start()
            self._running = True

    async def _start_with(self, waiting: list[ContainerFault]) -> None:
        """Nobody may reach it before it is as broken as it has to be; only the network itself can be so no sooner."""
        await self._host.disconnect()
        await self._host.start()
        while self._healed:
            await self._take_off(self._healed.pop())
        of_the_network = [one for one in waiting if one.fault.layer is Layer.NETWORK]
        for applied in waiting:
            if applied not in of_the_network:
                await self._put_on(applied)
        await self._host.connect()
        for applied in of_the_network:
            await self._put_on(applied)
