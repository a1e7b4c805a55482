"""A host of a lab that is running: its faults, its start and its stop over /lab/v1."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from pydantic.alias_generators import to_camel

from imagestore_sim.faults import DiskState, Fault, FaultProblem, HostState
from imagestore_sim.scenario.worlds.lab_client import LabClient, LabRefused
from imagestore_sim.scenario.worlds.lab_clock import FollowingClock


class RemoteFault:
    """A fault that the scenario has put on a host of the lab."""

    def __init__(self, lab: LabClient, clock: FollowingClock, host: str, identity: str, fault: Fault) -> None:
        """`identity` is the lab's name for it, such as `refuse-1`."""
        self.fault = fault
        self.number = int(identity.rpartition("-")[2])
        self.expires_at = None if fault.lasts is None else clock.monotonic() + fault.lasts
        self._lab = lab
        self._clock = clock
        self._host = host
        self._identity = identity
        self._healed = False

    @property
    def active(self) -> bool:
        """Whether it has not been healed, by hand or by its `for`."""
        return not self._healed and (self.expires_at is None or self._clock.monotonic() < self.expires_at)

    async def heal(self) -> None:
        """Undo it. Raise LabRefused."""
        if not self._healed:
            self._healed = True
            await self._lab.heal_host(self._host, self._identity)


class RemoteHost:
    """A host of the lab, with the faults of the scenario."""

    def __init__(self, lab: LabClient, clock: FollowingClock, name: str) -> None:
        self.name = name
        self._lab = lab
        self._clock = clock
        self._faults: list[RemoteFault] = []
        self._stopped = False

    @property
    def faults(self) -> Collection[RemoteFault]:
        """The faults of the scenario that are on it, the oldest first."""
        return [one for one in self._faults if one.active]

    async def apply(self, fault: Fault) -> RemoteFault:
        """Put a fault on it. Raise FaultProblem."""
        try:
            identity = await self._lab.break_host(self.name, {"kind": fault.kind, **fault.values()})
        except LabRefused as refused:
            raise FaultProblem(str(refused)) from None
        applied = RemoteFault(self._lab, self._clock, self.name, identity, fault)
        self._faults.append(applied)
        return applied

    async def state(self) -> HostState:
        """Return how the lab shows it, with the faults of the scenario. Raise LabRefused."""
        shown = (await self._lab.hosts())[self.name]
        numbers = {one.name: shown[to_camel(one.name)] for one in fields(DiskState)}
        return HostState(
            at=self._clock.monotonic(),
            name=self.name,
            port=shown["port"],
            listening=shown["listening"],
            address=shown["address"],
            disk=None if shown["size"] is None else DiskState(**numbers),
            logins=shown["logins"],
            connections=shown["connections"],
            username=shown["username"],
            faults=self.faults,
            agent_running=shown.get("agentRunning"),
        )

    async def start(self) -> None:
        """Start it. Raise LabRefused."""
        await self._lab.start_host(self.name)
        self._stopped = False

    async def stop(self) -> None:
        """Shut it down. Raise LabRefused."""
        await self._lab.stop_host(self.name)
        self._stopped = True

    async def restore(self) -> None:
        """Heal the faults of the scenario, the latest first, and start it if the scenario shut it down."""
        for fault in reversed(self._faults):
            await fault.heal()
        if self._stopped:
            await self.start()
