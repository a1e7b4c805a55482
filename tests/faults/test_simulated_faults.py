"""Faults on simulated hosts: applied and healed in any order, by the clock too, and nothing is left of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import asyncssh
import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.faults import FAULTS, FaultProblem, read_fault
from imagestore_sim.faults.behaviour import PortState
from imagestore_sim.hosts import Credentials, SimulatedHost, VirtualDisk
from imagestore_sim.hosts.applied_faults import SimulatedFault
from imagestore_sim.probe import Capacity, Method, ProbeFailure, Prober, Reason, Target
from imagestore_sim.virtual_clock import virtual_clock
from leftovers import no_more_descriptors_than, no_more_tasks_than
from rows import one_of_each
from running_clock import here, running_clock

GIB = 2**30
in_virtual_time = pytest.mark.imagestore_lab(clock="virtual")
PASSWORD = "secret"


class HandClock(RealClock):
    """Time for reading stands still until it is moved; waiting is real."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
async def host() -> AsyncIterator[SimulatedHost]:
    host = SimulatedHost(
        "imagestore-1",
        disk=VirtualDisk(100 * GIB, 20 * GIB),
        credentials=Credentials("root", PASSWORD),
        clock=running_clock(),
    )
    host.disk.make_directory("/zs")
    async with host:
        yield host


@pytest.fixture
async def prober() -> AsyncIterator[Prober]:
    prober = Prober(running_clock(), resolve=here, connect_timeout=60, command_timeout=60, busy_pauses=())
    yield prober
    await prober.close()


def storage(host: SimulatedHost) -> Target:
    return Target(*host.address, "root", "/zs", PASSWORD)


async def apply(host: SimulatedHost, kind: str, **parameters: object) -> SimulatedFault:
    return await host.faults.apply(read_fault(kind, parameters))


def logged_in(host: SimulatedHost) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    address, port = host.address
    connecting: AbstractAsyncContextManager[asyncssh.SSHClientConnection] = asyncssh.connect(
        address, port, username="root", password=PASSWORD, known_hosts=None, client_keys=None, config=None
    )
    return connecting


async def outcome(prober: Prober, host: SimulatedHost, *, fresh: bool = True) -> Reason | int:
    """Return the reason of a failure, or the bytes available."""
    found = await prober.probe(storage(host), fresh=fresh)
    return found.reason if isinstance(found, ProbeFailure) else found.available


# Applying and healing


async def test_faults_compose_and_heal_in_any_order(host: SimulatedHost, prober: Prober) -> None:
    full = await apply(host, "fill")
    grown = await apply(host, "resize", size="200 GiB")
    assert await outcome(prober, host) == 100 * GIB
    locked = await apply(host, "auth_failure")
    rotated = await apply(host, "password_rotated")
    assert await outcome(prober, host) is Reason.AUTH_FAILED
    await full.heal()
    await locked.heal()
    assert await outcome(prober, host) is Reason.AUTH_FAILED
    await rotated.heal()
    assert await outcome(prober, host) == 180 * GIB
    await grown.heal()
    await grown.heal()
    assert await outcome(prober, host) == 80 * GIB
    assert (len(host.faults), full.active) == (0, False)


async def test_a_disk_that_is_full_and_then_extended_has_what_was_added(host: SimulatedHost, prober: Prober) -> None:
    await apply(host, "fill", to="100%")
    host.disk.resize(150 * GIB)
    assert await outcome(prober, host) == 50 * GIB
    await host.faults.heal_all()
    assert (host.disk.size, host.disk.used, host.disk.available) == (150 * GIB, 20 * GIB, 130 * GIB)


async def test_a_disk_fills_up_at_an_even_pace_by_the_clock() -> None:
    clock = HandClock()
    host = SimulatedHost("h", disk=VirtualDisk(100 * GIB, 20 * GIB, clock=clock), clock=clock)
    filling = await apply(host, "fill", to="100%", over="80s")
    for seconds, used in ((0, 20), (1, 21), (40, 60), (80, 100), (500, 100)):
        clock.now = 1000.0 + seconds
        assert host.disk.used == used * GIB
    await filling.heal()
    assert host.disk.used == 20 * GIB


async def test_disks_mounted_over_a_path_are_unmounted_in_any_order(host: SimulatedHost) -> None:
    host.disk.make_directory("/zs/registry")
    unmounted = await apply(host, "unmounted", path="/zs", root_size="10 GiB")
    replaced = await apply(host, "replaced_disk", path="/zs", size="7 GiB")
    assert (host.disk.statvfs("/zs").blocks * 4096, host.disk.listdir("/zs")) == (7 * GIB, [])
    await unmounted.heal()
    assert host.disk.statvfs("/zs").blocks * 4096 == 7 * GIB
    await replaced.heal()
    assert (host.disk.statvfs("/zs").blocks * 4096, host.disk.listdir("/zs")) == (100 * GIB, ["registry"])


async def test_a_disk_that_is_not_mounted_leaves_the_numbers_of_the_disk_below(host: SimulatedHost) -> None:
    other = VirtualDisk(5 * GIB)
    host.disk.mount("/zs", other)
    fault = await apply(host, "unmounted", path="/zs")
    assert host.disk.statvfs("/zs") == host.disk.numbers()
    await fault.heal()
    assert host.disk.at("/zs") is other


@in_virtual_time
async def test_a_fault_heals_by_itself_after_its_for(host: SimulatedHost, prober: Prober) -> None:
    fault = await apply(host, "refuse", **{"for": "1s"})
    assert await outcome(prober, host) is Reason.REFUSED
    await virtual_clock().sleep(2)
    assert not fault.active
    assert host.behaviour.port is PortState.OPEN
    assert await outcome(prober, host) == 80 * GIB


@in_virtual_time
async def test_a_host_that_is_stopped_keeps_its_faults_and_heals_them_when_it_is_back(host: SimulatedHost) -> None:
    address = host.address
    short = await apply(host, "auth_failure", **{"for": "50ms"})
    lasting = await apply(host, "refuse")
    await host.stop()
    await virtual_clock().sleep(0.1)
    assert len(host.faults) == 2
    await host.start()
    await virtual_clock().sleep(0.1)
    assert not short.active
    assert (host.address, lasting.active) == (address, True)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)
    await lasting.heal()
    _, writer = await asyncio.open_connection(*address)
    writer.close()


@pytest.mark.parametrize(
    ("kind", "parameters", "complaint"),
    [
        ("path_gone", {"path": "/nosuch"}, "fault path_gone: /nosuch: No such file or directory on imagestore-1"),
        ("replaced_disk", {"path": "/zs/file"}, "fault replaced_disk: /zs/file: Not a directory on imagestore-1"),
        ("path_is_file", {"path": "/gone"}, "fault path_is_file: /gone: path_gone is on imagestore-1 already"),
        ("unmounted", {"path": "/"}, "fault unmounted: /: Device or resource busy on imagestore-1"),
        ("read_only", {"path": "/nosuch"}, "fault read_only: /nosuch: No such file or directory on imagestore-1"),
    ],
)
async def test_a_fault_that_is_not_possible_on_a_host_says_why_and_changes_nothing(
    host: SimulatedHost, kind: str, parameters: dict[str, object], complaint: str
) -> None:
    host.disk.write_file("/zs/file", b"")
    host.disk.make_directory("/gone")
    await apply(host, "path_gone", path="/gone")
    with pytest.raises(FaultProblem, match=f"^{complaint}$"):
        await apply(host, kind, **parameters)
    assert len(host.faults) == 1


async def test_what_was_at_a_path_is_back_in_place_of_what_was_made_meanwhile(host: SimulatedHost) -> None:
    host.disk.make_directory("/zs/registry")
    gone = await apply(host, "path_gone", path="/zs")
    host.disk.make_directory("/zs")
    await gone.heal()
    assert host.disk.listdir("/zs") == ["registry"]


# The network


async def test_what_a_silent_network_held_back_arrives_when_it_is_healed(host: SimulatedHost) -> None:
    async with logged_in(host) as connection:
        silent = await apply(host, "blackhole")
        asked = asyncio.ensure_future(connection.run("echo here"))
        await asyncio.sleep(0.05)
        assert not asked.done()
        await silent.heal()
        assert (await asyncio.wait_for(asked, 60)).stdout == "here\n"


async def test_a_connection_into_a_blackhole_gets_no_answer_not_even_a_refusal(host: SimulatedHost) -> None:
    hole = await apply(host, "blackhole")
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection(*host.address), 0.05)
    await hole.heal()
    reader, writer = await asyncio.open_connection(*host.address)
    assert (await reader.readline()).startswith(b"SSH-2.0-")
    writer.close()


async def test_half_open_accepts_and_sends_nothing(host: SimulatedHost) -> None:
    await apply(host, "half_open")
    reader, writer = await asyncio.open_connection(*host.address)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.05)
    writer.close()
    async with asyncio.timeout(60):
        while host.links:
            await asyncio.sleep(0.005)


@in_virtual_time
async def test_latency_is_in_each_direction_and_adds_up(host: SimulatedHost, prober: Prober) -> None:
    await outcome(prober, host)
    await apply(host, "latency", delay="30ms")
    await apply(host, "latency", delay="20ms")
    began = virtual_clock().monotonic()
    assert await outcome(prober, host, fresh=False) == 80 * GIB
    assert virtual_clock().monotonic() - began == pytest.approx(0.1, abs=0.001)


async def test_a_slow_line_takes_its_time_for_every_byte(host: SimulatedHost, prober: Prober) -> None:
    await outcome(prober, host)
    await apply(host, "rate", rate="4K")
    found = await prober.probe(storage(host))
    assert isinstance(found, Capacity)
    assert found.phases["command"] > 30


async def test_jitter_follows_the_seed() -> None:
    async def delays(seed: int) -> list[float]:
        host = SimulatedHost("h", seed=seed)
        return [host.random.uniform(-1, 1) for _ in range(3)]

    assert await delays(1) == await delays(1) != await delays(2)


async def test_refused_without_a_cut_lets_open_connections_live(host: SimulatedHost, prober: Prober) -> None:
    await outcome(prober, host)
    await apply(host, "refuse", cut=False)
    assert await outcome(prober, host, fresh=False) == 80 * GIB
    assert await outcome(prober, host) is Reason.REFUSED


async def test_the_oldest_connections_are_cut_first(host: SimulatedHost) -> None:
    options = {"username": "root", "password": PASSWORD, "known_hosts": None}
    async with (
        asyncssh.connect(*host.address, **options) as first,
        asyncssh.connect(*host.address, **options) as second,
    ):
        await apply(host, "cut", count=1)
        await asyncio.wait_for(first.wait_closed(), 60)
        assert (await second.run("echo here")).stdout == "here\n"


@pytest.mark.parametrize(("how", "heard"), [("line", b"Exceeded MaxStartups\r\n"), ("close", b"")])
async def test_an_sshd_with_too_many_logins_says_so_or_closes(host: SimulatedHost, how: str, heard: bytes) -> None:
    await apply(host, "max_startups", how=how)
    reader, writer = await asyncio.open_connection(*host.address)
    writer.write(b"SSH-2.0-test\r\n")
    assert await asyncio.wait_for(reader.read(), 60) == heard
    writer.close()


async def test_max_startups_counts_logins_that_are_under_way(host: SimulatedHost, prober: Prober) -> None:
    await apply(host, "max_startups", start=1, full=1)
    assert await outcome(prober, host) == 80 * GIB
    reader, writer = await asyncio.open_connection(*host.address)
    await reader.readline()
    assert await outcome(prober, host) is Reason.BUSY
    writer.close()


async def test_max_sessions_counts_those_of_a_connection(host: SimulatedHost) -> None:
    await apply(host, "max_sessions", sessions=1)
    async with logged_in(host) as connection:
        process = await connection.create_process("cat")
        with pytest.raises(asyncssh.ChannelOpenError, match="open failed"):
            await connection.run("true")
        process.stdin.write_eof()
        await process.wait()
        assert (await connection.run("echo here")).stdout == "here\n"


@pytest.mark.parametrize(
    ("kind", "parameters"), [("max_sessions", {"sessions": 0}), ("forced_command", {"cut": False, "says": "no\n"})]
)
async def test_a_connection_keeps_the_configuration_it_was_made_with(
    host: SimulatedHost, kind: str, parameters: dict[str, object]
) -> None:
    async def hears_itself(connection: asyncssh.SSHClientConnection) -> bool:
        try:
            return (await connection.run("echo here")).stdout == "here\n"
        except asyncssh.ChannelOpenError:
            return False

    async with logged_in(host) as before:
        configured = await apply(host, kind, **parameters)
        async with logged_in(host) as meanwhile:
            assert await hears_itself(before)
            assert not await hears_itself(meanwhile)
            await configured.heal()
            assert not await hears_itself(meanwhile)
    async with logged_in(host) as after:
        assert await hears_itself(after)


async def test_sftp_is_as_it_was_for_what_is_open(host: SimulatedHost) -> None:
    async with logged_in(host) as connection, connection.start_sftp_client() as sftp:
        await apply(host, "no_sftp", cut=False)
        await apply(host, "no_statvfs")
        await sftp.statvfs("/zs")
        async with connection.start_sftp_client() as another:
            with pytest.raises(asyncssh.SFTPOpUnsupported):
                await another.statvfs("/zs")
    async with logged_in(host) as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.start_sftp_client()


async def test_a_host_without_statvfs_is_asked_by_df(host: SimulatedHost, prober: Prober) -> None:
    await apply(host, "no_statvfs")
    found = await prober.probe(storage(host))
    assert isinstance(found, Capacity)
    assert found.method is Method.DF


async def test_df_without_a_path_hangs_with_any_mount_and_with_another_path_does_not(host: SimulatedHost) -> None:
    hung = await apply(host, "hung_mount", path="/zs")
    async with logged_in(host) as connection:
        assert (await connection.run("timeout 0.05 df")).exit_status == 124
        assert (await connection.run("timeout 0.05 stat /zs/registry")).exit_status == 124
        assert (await connection.run("cd /; timeout 0.05 ls zs")).exit_status == 124
        assert (await connection.run("df -kP /tmp && echo /zs")).exit_status == 0
        waiting = asyncio.ensure_future(connection.run("ls -d /zs"))
        await asyncio.sleep(0.05)
        await hung.heal()
        assert (await waiting).stdout == "/zs\n"


@pytest.mark.parametrize("kind", ["hung_sftp", "hung_command"])
async def test_an_sftp_session_that_was_hung_when_it_began_is_served_once_that_is_healed(
    host: SimulatedHost, kind: str
) -> None:
    hung = await apply(host, kind)
    async with logged_in(host) as connection:

        async def ask() -> int | None:
            async with connection.start_sftp_client() as sftp:
                return (await sftp.statvfs("/zs")).bavail

        waiting = asyncio.ensure_future(ask())
        await asyncio.sleep(0.1)
        await hung.heal()
        assert await waiting == host.disk.available // 4096


# Nothing is left


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts file descriptors in /proc")
@pytest.mark.parametrize("kind", one_of_each(FAULTS, lambda kind: FAULTS[kind].layer))
@pytest.mark.plain_loop
async def test_no_fault_leaves_a_task_a_socket_or_a_file_descriptor_behind(kind: str) -> None:
    tasks, descriptors = asyncio.all_tasks(), os.listdir("/proc/self/fd")
    host = SimulatedHost("h")
    for path in ("/zs", "/zs/registry", "/zs/export"):
        host.disk.make_directory(path)
    await host.start()
    prober = Prober(RealClock(), connect_timeout=0.05, command_timeout=0.05, busy_pauses=())
    target = Target(*host.address, "root", "/zs", PASSWORD)
    await prober.probe(target)
    required = [name for name, default, _ in FAULTS[kind].parameters() if default == "required"]
    values = {"path": "/zs", "size": "1M"}
    for lasts in (None, "1h"):
        given = {name: values[name] for name in required} | ({"for": lasts} if lasts else {})
        if kind not in ("path_gone", "path_is_file", "registry_lost") or lasts:
            await apply(host, kind, **given)
    await prober.probe(target)
    await prober.probe(target, fresh=True)
    await host.stop()
    await prober.close()
    assert await no_more_tasks_than(tasks), asyncio.all_tasks()
    assert await no_more_descriptors_than(descriptors)
    assert not host.links
