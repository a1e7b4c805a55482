"""A container host keeps its faults over a stop: what it does to its container, which is a fake one here."""

from __future__ import annotations

from typing import Any

import pytest
from typing_extensions import override

pytest.importorskip("aiodocker", reason="needs the extra `compose`")

from imagestore_sim.containers.container import Container
from imagestore_sim.containers.disks import XfsDisk
from imagestore_sim.containers.errors import ContainerProblem
from imagestore_sim.containers.host import ContainerHost
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.faults import read_fault
from imagestore_sim.virtual_clock import VirtualClock, run_virtually, virtual_clock

TIB = 2**40
MARKS = {"iptables -w -I": "firewall", "iptables -w -D": "firewall off", "Subsystem": "sshd_config", "answers": "boot"}


class FakeContainer(Container):
    """A container that notes what is done to it, and whose scripts print nothing."""

    def __init__(self) -> None:
        self.name = "gold"
        self.address = "192.0.2.1"
        self.calls: list[str] = []
        self.fails = False

    @override
    async def run(self, script: str, *, user: str = "root", given: str = "", seconds: float) -> str:
        if self.fails:
            raise ContainerProblem("the engine is gone")
        self.calls += [name for mark, name in MARKS.items() if mark in script][:1]
        if script.startswith("disk use"):
            self.calls.append("disk " + script.split()[-1])
        return ""

    @override
    async def inspect(self) -> dict[str, Any]:
        return {"State": {"Running": False}, "NetworkSettings": {"Networks": {}}}

    @override
    async def start(self) -> None:
        self.calls.append("start")

    @override
    async def stop(self, seconds: int) -> None:
        self.calls.append("stop")

    @override
    async def connect(self) -> None:
        self.calls.append("connect")

    @override
    async def disconnect(self) -> None:
        self.calls.append("disconnect")

    def taken(self) -> list[str]:
        """Return what was done to it since the last call."""
        calls, self.calls = self.calls, []
        return calls


def new_host(clock: VirtualClock | None = None) -> tuple[ContainerHost, FakeContainer]:
    container = FakeContainer()
    disk = XfsDisk(container, "gold", TIB, 0)
    spec = HostSpec(size=TIB)
    return ContainerHost(container, spec, disk, clock or virtual_clock(), running=True), container


def test_a_host_starts_offline_gets_its_other_faults_then_the_network_and_its_faults() -> None:
    async def stop_and_start() -> None:
        host, container = new_host()
        await host.apply(read_fault("blackhole", {}))
        await host.apply(read_fault("no_sftp", {"cut": False}))
        assert container.taken() == ["firewall", "sshd_config"]
        await host.stop()
        assert container.taken() == ["firewall off", "stop"], "a stop loses rules, and keeps files"
        late = await host.apply(read_fault("no_sftp", {"cut": False}))
        assert container.taken() == []
        await host.start()
        assert container.taken() == ["disconnect", "start", "boot", "sshd_config", "connect", "firewall"]
        assert late.active
        assert [one.fault.kind for one in host.faults] == ["blackhole", "no_sftp", "no_sftp"]

    run_virtually(stop_and_start())


def test_a_fault_that_is_healed_on_a_stopped_host_is_undone_at_its_start() -> None:
    async def heal_while_stopped() -> None:
        host, container = new_host()
        applied = await host.apply(read_fault("no_sftp", {"cut": False}))
        await host.stop()
        container.taken()
        await applied.heal()
        assert not applied.active
        assert container.taken() == []
        await host.start()
        assert container.taken() == ["disconnect", "start", "boot", "sshd_config", "connect"]
        await host.stop()
        await host.start()
        assert container.taken() == ["stop", "start", "boot"]

    run_virtually(heal_while_stopped())


def test_the_disk_is_changed_from_outside_while_the_host_is_stopped() -> None:
    async def fill_while_stopped() -> None:
        host, container = new_host()
        await host.stop()
        container.taken()
        filled = await host.apply(read_fault("fill", {"to": "50%"}))
        await filled.heal()
        assert container.taken() == [f"disk {TIB // 2 // 4096}", "disk 0"]

    run_virtually(fill_while_stopped())


def test_a_fault_expires_by_the_clock() -> None:
    async def expire() -> None:
        clock = virtual_clock()
        host, container = new_host(clock)
        applied = await host.apply(read_fault("refuse", {"for": "5s", "cut": False}))
        assert applied.expires_at == clock.monotonic() + 5
        await clock.sleep(4.9)
        await host.settle()
        assert not applied.active, "a step at the same time finds it healed"
        assert container.taken() == ["firewall", "firewall off"]
        await host.heal_all()

    run_virtually(expire())


def test_a_fault_that_cannot_be_healed_stays() -> None:
    async def fail_to_heal() -> None:
        host, container = new_host()
        applied = await host.apply(read_fault("blackhole", {}))
        container.fails = True
        with pytest.raises(ContainerProblem, match="the engine is gone"):
            await applied.heal()
        assert applied.active
        await host.heal_all()
        assert [one.number for one in host.faults] == [1]

    run_virtually(fail_to_heal())


def test_the_state_of_a_stopped_host_has_no_disk() -> None:
    async def observe() -> None:
        host, _ = new_host()
        state = await host.state()
        assert (state.name, state.listening, state.disk, state.connections) == ("gold", False, None, None)
        assert state.address == "192.0.2.1:22"

    run_virtually(observe())
