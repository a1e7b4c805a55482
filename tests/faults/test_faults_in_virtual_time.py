"""Faults by the virtual clock: exact to the moment, the same each time, and without waiting."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from imagestore_sim.faults import FAULTS, read_fault
from imagestore_sim.hosts import Credentials, HostNetwork, SimulatedHost
from imagestore_sim.probe import Capacity, Layout, ProbeFailure, Prober, Target
from imagestore_sim.virtual_clock import run_virtually, virtual_clock
from rows import one_of_each

T = TypeVar("T")
CONNECT, COMMAND, ALIVE = 5.0, 10.0, 1.0
TARGET = Target("imagestore-1", 22, "root", "/zs", "secret")
# When a ping over an open connection, and then a new login, are through; at once unless something is waited for.
MOMENTS = {
    "blackhole": (COMMAND + ALIVE + CONNECT, CONNECT),
    "half_open": (COMMAND + ALIVE + CONNECT, CONNECT),
    "unreachable": (COMMAND + ALIVE, 0.0),
    "stale": (COMMAND + ALIVE, 0.0),
    "hung_mount": (COMMAND, COMMAND),
    "hung_sftp": (COMMAND, COMMAND),
    "hung_command": (0.0, COMMAND),
    "slow_login": (0.0, 2.0),
}


def run(main: Coroutine[Any, Any, T], within: float = 10.0) -> T:
    """Run in virtual time; fail when that takes longer than `within` real seconds: no more than one time-out would."""
    began = time.monotonic()
    result = run_virtually(main)
    assert time.monotonic() - began < within
    return result


async def probe_through(kind: str, parameters: dict[str, object]) -> list[tuple[float, str]]:
    """Ping and log in under a fault, and log in after it: return when each ended, in virtual seconds, and how."""
    clock = virtual_clock()
    host = SimulatedHost("imagestore-1", credentials=Credentials("root", "secret"), clock=clock)
    network = HostNetwork()
    await network.add(host)
    prober = Prober(clock, resolve=network.resolve, busy_pauses=())
    assert isinstance(await prober.probe(TARGET, layout=Layout.CREATE), Capacity)
    applied = await host.faults.apply(read_fault(kind, parameters))
    story = []
    for fresh in (False, True):
        began = clock.monotonic()
        found = await prober.probe(TARGET, layout=Layout.REQUIRE if fresh else Layout.ANY, fresh=fresh)
        outcome = found.reason if isinstance(found, ProbeFailure) else f"{found.method} {found.available}"
        story.append((round(clock.monotonic() - began, 6), str(outcome)))
    await applied.heal()
    assert isinstance(await prober.probe(TARGET, layout=Layout.REQUIRE, fresh=True), Capacity)
    await prober.close()
    await network.close()
    return story


def layer_and_moments(kind: str) -> tuple[object, ...]:
    return FAULTS[kind].layer, MOMENTS.get(kind)


@pytest.mark.parametrize("kind", one_of_each(FAULTS, layer_and_moments))
def test_a_probe_ends_at_the_same_moment_each_time_and_takes_no_real_time(kind: str) -> None:
    required = [name for name, default, _ in FAULTS[kind].parameters() if default == "required"]
    parameters = {name: {"path": "/zs", "size": "1M"}[name] for name in required}
    first, second = (run(probe_through(kind, dict(parameters))) for _ in range(2))
    assert first == second
    if kind not in ("latency", "rate"):
        due = MOMENTS.get(kind, (0.0, 0.0))
        assert tuple(moment for moment, _ in first) == pytest.approx(due, abs=0.01), f"MOMENTS has {due} for {kind}"


def test_latency_and_a_slow_line_take_virtual_time() -> None:
    (ping, _), (login, _) = run(probe_through("latency", {"delay": "100ms"}))
    assert ping == pytest.approx(0.2, abs=0.001)
    assert login > 1
    (ping, _), _ = run(probe_through("rate", {"rate": "1K"}))
    assert 0.1 < ping < 1


def test_a_fault_heals_to_the_moment() -> None:
    async def main() -> tuple[bool, bool]:
        clock = virtual_clock()
        async with SimulatedHost("h", clock=clock) as host:
            fault = await host.faults.apply(read_fault("refuse", {"for": "1h"}))
            await clock.sleep(3599.999)
            before = fault.active
            await clock.sleep(0.002)
            return before, fault.active

    assert run(main()) == (True, False)
