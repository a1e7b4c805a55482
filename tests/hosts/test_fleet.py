"""A fleet as clients see it: hosts behind one port, told apart by the address that a client connects to."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import Credentials, SimulatedHost
from imagestore_sim.hosts.default_hosts import default_disk
from imagestore_sim.hosts.fleet import FIRST, CannotListen, Fleet, addresses_from, host_key, numbered_names
from imagestore_sim.hosts.listener import NewListener
from imagestore_sim.probe import PingMode, ProbeFailure, Prober, Reason, Target
from leftovers import no_more_descriptors_than, no_more_tasks_than
from rows import rows

NAMES = ["imagestore-1", "imagestore-2", "imagestore-3"]
CLOCK = RealClock()


def new_host(name: str, listener: NewListener, agent_listener: NewListener) -> SimulatedHost:
    return SimulatedHost(
        name,
        clock=CLOCK,
        disk=default_disk(name, CLOCK),
        credentials=Credentials("root", f"secret of {name}"),
        listener=listener,
        agent_listener=agent_listener,
    )


def fleet_of(names: list[str], first: str = "127.1.0.1", port: int = 0) -> Fleet:
    addresses = [str(one) for one in addresses_from(IPv4Address(first), len(names))]
    return Fleet(dict(zip(names, addresses, strict=True)), port, 0, new_host, shared=True)


@asynccontextmanager
async def started(fleet: Fleet) -> AsyncIterator[Fleet]:
    try:
        await fleet.start()
        yield fleet
    finally:
        await fleet.stop()


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with started(fleet_of(NAMES)) as one:
        yield one


@pytest.fixture
async def prober(fleet: Fleet) -> AsyncIterator[Prober]:
    agent_port = fleet["imagestore-1"].agent.address[1]
    prober = Prober(CLOCK, connect_timeout=30, command_timeout=30, agent_port=agent_port)
    yield prober
    await prober.close()


def target(host: SimulatedHost) -> Target:
    return Target(*host.address, "root", "/", f"secret of {host.name}")


async def outcome(prober: Prober, host: SimulatedHost) -> int | Reason:
    """Return the size that a new login finds, or why it fails."""
    found = await prober.probe(target(host), fresh=True)
    return found.reason if isinstance(found, ProbeFailure) else found.total


async def test_hosts_behind_one_socket_have_their_own_disks_credentials_logins_and_agents(
    fleet: Fleet, prober: Prober
) -> None:
    assert {host.address for host in fleet.values()} == {(f"127.1.0.{n}", fleet[NAMES[0]].port) for n in (1, 2, 3)}
    assert [await outcome(prober, host) for host in fleet.values()] == [default_disk(name).size for name in NAMES]
    assert [host.logins for host in fleet.values()] == [1, 1, 1]
    of_another = replace(target(fleet[NAMES[0]]), hostname="127.1.0.2")
    found = await prober.probe(of_another, fresh=True)
    assert isinstance(found, ProbeFailure)
    assert found.reason is Reason.AUTH_FAILED
    agents = [await prober.reach(target(host), PingMode.AGENT) for host in fleet.values()]
    assert not [one for one in agents if isinstance(one, ProbeFailure)]
    assert fleet["IMAGESTORE-2"] is fleet[NAMES[1]]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("refuse", Reason.REFUSED),
        ("reset_on_connect", Reason.RESET),
        ("blackhole", Reason.TIMEOUT),
        ("auth_failure", Reason.AUTH_FAILED),
    ],
)
async def test_a_fault_is_on_one_host_of_the_fleet_and_the_others_answer(
    kind: str, expected: Reason, fleet: Fleet
) -> None:
    broken, *sound = fleet.values()
    patient, hasty = (Prober(CLOCK, connect_timeout=seconds, command_timeout=30) for seconds in (30, 1))
    applied = await broken.apply(read_fault(kind, {}))
    assert await outcome(hasty if expected is Reason.TIMEOUT else patient, broken) is expected
    assert [await outcome(patient, host) for host in sound] == [default_disk(host.name).size for host in sound]
    await applied.heal()
    assert await outcome(patient, broken) == default_disk(broken.name).size
    await patient.close()
    await hasty.close()


async def test_hosts_that_refuse_are_healed_in_any_order_and_a_new_fleet_cannot_have_the_port_meanwhile(
    fleet: Fleet, prober: Prober
) -> None:
    first, second, third = fleet.values()
    one = await first.apply(read_fault("refuse", {}))
    two = await second.apply(read_fault("refuse", {}))
    assert await outcome(prober, third) == default_disk(third.name).size
    with pytest.raises(CannotListen):
        async with started(fleet_of(["thief-1"], "127.9.0.1", port=first.port)):
            pass
    await one.heal()
    assert (await outcome(prober, first), await outcome(prober, second)) == (
        default_disk(first.name).size,
        Reason.REFUSED,
    )
    await two.heal()
    with pytest.raises(CannotListen):
        async with started(fleet_of(["thief-1"], "127.9.0.1", port=first.port)):
            pass
    assert await outcome(prober, second) == default_disk(second.name).size


async def test_a_host_that_is_shut_down_does_not_answer_and_has_its_agent_again_once_it_is_started(
    fleet: Fleet, prober: Prober
) -> None:
    host, other, _ = fleet.values()
    hasty = Prober(CLOCK, connect_timeout=1)
    await host.stop()
    assert await outcome(hasty, host) is Reason.TIMEOUT
    await hasty.close()
    assert await outcome(prober, other) == default_disk(other.name).size
    await host.start()
    assert await outcome(prober, host) == default_disk(host.name).size
    assert not isinstance(await prober.reach(target(host), PingMode.AGENT), ProbeFailure)


async def test_a_connection_to_an_address_of_no_host_is_reset(fleet: Fleet) -> None:
    async def read() -> None:
        reader, _ = await asyncio.open_connection("127.1.0.4", fleet[NAMES[0]].port)
        await reader.readexactly(1)

    with pytest.raises(ConnectionResetError):
        await read()


async def test_an_address_that_is_not_of_this_machine_is_named() -> None:
    with pytest.raises(CannotListen) as problem:
        async with started(fleet_of(["h-1"], "192.0.2.1")):
            pass
    assert problem.value.address == "192.0.2.1"
    assert isinstance(problem.value.__cause__, OSError)


async def test_a_fleet_leaves_no_task_and_no_socket() -> None:
    tasks, files = asyncio.all_tasks(), os.listdir("/proc/self/fd")
    async with started(fleet_of(NAMES)) as fleet:
        await fleet[NAMES[0]].apply(read_fault("refuse", {}))
        await fleet[NAMES[1]].apply(read_fault("blackhole", {}))
    assert await no_more_tasks_than(tasks)
    assert await no_more_descriptors_than(files)


async def test_an_idle_host_takes_few_kilobytes() -> None:
    async with started(fleet_of(["warm-1", "warm-2"])):
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            async with started(fleet_of(numbered_names("many-1", 100), str(FIRST + 2**16))):
                taken = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
    assert taken / 100 < 16 * 1024


@rows(
    "first, count, expected",
    [
        ("imagestore-1", 3, ["imagestore-1", "imagestore-2", "imagestore-3"]),
        ("store-099", 2, ["store-099", "store-100"]),
        ("store", 2, ["store-1", "store-2"]),
    ],
)
def test_names_are_numbered_from_the_first(first: str, count: int, expected: list[str]) -> None:
    assert numbered_names(first, count) == expected


@rows(
    "first, count, expected",
    [
        ("127.1.0.255", 2, ["127.1.0.255", "127.1.1.0"]),
        ("10.0.0.9", 1, ["10.0.0.9"]),
        ("127.255.255.254", 2, "from 127.255.255.254 on there are 1 loopback addresses, which is fewer than 2"),
        ("223.255.255.255", 2, "from 223.255.255.255 on there are 1 addresses of hosts, which is fewer than 2"),
        ("224.0.0.1", 1, "224.0.0.1 is no address of a host"),
        ("0.0.0.0", 1, "0.0.0.0 is no address of a host"),
        ("127.255.255.255", 1, "127.255.255.255 is no address of a host"),
    ],
)
def test_addresses_follow_the_first_and_end_with_their_range(first: str, count: int, expected: list[str] | str) -> None:
    try:
        found: object = [str(one) for one in addresses_from(IPv4Address(first), count)]
    except ValueError as error:
        found = str(error)
    assert found == expected


def test_the_host_key_follows_from_the_seed() -> None:
    assert host_key(7).public_data == host_key(7).public_data != host_key(8).public_data
