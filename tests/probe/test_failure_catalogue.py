"""Every failure of the catalogue has the same reason on a simulated host and on a real OpenSSH server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from failure_catalogue import ELSEWHERE, MIB, ROWS, Row
from real_causes import Real, mounted

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.faults import FAULTS, Layer, Noticed
from imagestore_sim.hosts import Credentials, HostNetwork, SimulatedHost, VirtualDisk
from imagestore_sim.probe import Capacity, Layout, ProbeFailure, Prober, Reason, Resolve, Target
from imagestore_sim.virtual_clock import VirtualEventLoop
from rows import one_of_each, rows
from sshd import StartSshd

PASSWORD = "password"
TIMED_OUT_ON_THE_HOST = "13 file system hangs, no SFTP"
SHORT, PATIENT = 3.0, 60.0
"""Seconds for a real host: a time-out that is to expire, which a busy machine does not reach either; any other one."""


@asynccontextmanager
async def probing(
    row: Row,
    folder: Path,
    resolve: Resolve | None = None,
    identity_file: Path | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Prober]:
    """Provide a prober. The time-outs into which the row runs are short; a halting machine reaches no other one."""
    if clock is None:
        connect_timeout = SHORT if row.connect is Reason.TIMEOUT else PATIENT
        command_timeout = SHORT if row.silent else PATIENT
    else:
        connect_timeout = 0.4 if row.silent else 5.0
        command_timeout = 2.5 if row.name == TIMED_OUT_ON_THE_HOST else 0.3 if row.silent else 10.0
    prober = Prober(
        clock or RealClock(),
        resolve=resolve,
        identity_file=identity_file,
        connect_timeout=connect_timeout,
        command_timeout=command_timeout,
        busy_pauses=(),
        host_keys=row.policy,
        known_hosts=folder / "known_hosts",
    )
    try:
        yield prober
    finally:
        await prober.close()


async def settled(prober: Prober, target: Target) -> None:
    """Wait until the storage is healthy, with a warm connection to it."""
    for _ in range(20):  # a reload or a login just before may have left sshd busy
        found = await prober.probe(target, layout=Layout.CREATE, fresh=True)
        if isinstance(found, Capacity):
            break
    assert isinstance(found, Capacity), found


async def judge(row: Row, prober: Prober, target: Target) -> None:
    """Assert that the reasons at a ping and at a connect are those of the row."""
    ping = await prober.probe(target)
    connect = await prober.probe(target, layout=Layout.REQUIRE, fresh=True)
    assert (reason(connect), reason(ping)) == (row.connect, row.ping), (connect, ping)
    for found in (ping, connect):
        if isinstance(found, ProbeFailure):
            assert target.hostname in found.message
            assert found.reason.advice
        elif found is connect or row.ping_shows:
            assert row.shows(found), found


def reason(found: Capacity | ProbeFailure) -> Reason | None:
    return found.reason if isinstance(found, ProbeFailure) else None


@pytest.mark.imagestore_lab(clock="virtual")
@pytest.mark.parametrize("row", one_of_each(ROWS, lambda row: (row.connect, row.ping), lambda row: row.name))
async def test_simulated(row: Row, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualEventLoop)
    disk = VirtualDisk(8 * MIB, clock=loop.clock)
    host = SimulatedHost("imagestore-1", credentials=Credentials("root", PASSWORD), clock=loop.clock)
    host.disk.make_directory("/zs")
    host.disk.mount("/zs", disk)
    network = HostNetwork()
    await network.add(host)
    target = Target("imagestore-1", 22, "root", "/zs", PASSWORD)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(network.close)
        prober = await stack.enter_async_context(probing(row, tmp_path, resolve=network.resolve, clock=loop.clock))
        await settled(prober, target)
        for one in row.faults:
            await host.faults.apply(one)
        await judge(row, prober, target)
        await host.faults.heal_all()
        found = await prober.probe(target, layout=Layout.REQUIRE, fresh=True)
        assert isinstance(found, Capacity), found
        assert (found.total, found.read_only) == (8 * MIB, False)


@pytest.mark.sshd
@pytest.mark.processes
@pytest.mark.parametrize("row", [row for row in ROWS if row.cause], ids=lambda row: row.name)
async def test_on_a_real_sshd(row: Row, start_sshd: StartSshd, tmp_path: Path) -> None:
    url = tmp_path / "above" / "zs"
    url.mkdir(parents=True)
    assert row.cause is not None
    with ExitStack() as mounts:
        if row.disk:
            mounts.enter_context(mounted(url, "tmpfs", row.disk))
        sshd = start_sshd()
        target = Target("127.0.0.1", sshd.port, sshd.username, str(url))
        async with probing(row, tmp_path, identity_file=sshd.identity_file) as prober:
            await settled(prober, target)
            async with row.cause(Real(sshd, url, bool(row.disk))):
                await judge(row, prober, target)
            await settled(prober, target)


def test_every_fault_is_in_a_row() -> None:
    over_ssh = {kind for kind, fault in FAULTS.items() if fault.layer is not Layer.AGENT}
    assert {one.kind for row in ROWS for one in row.faults} == over_ssh - {"no_statvfs"}
    named = {words for _, _, simulated, _, _ in ELSEWHERE for words in simulated.split("`")}
    assert set(FAULTS) - over_ssh <= named


@rows("row", ROWS, ids=lambda row: row.name)
def test_reasons_of_a_row_are_those_that_its_faults_declare(row: Row) -> None:
    declared = {one for fault in row.faults for one in fault.traits.causes}
    assert {row.connect, row.ping} - {None} <= declared


@rows("row", [row for row in ROWS if row.connect and len(row.faults) == 1], ids=lambda row: row.name)
def test_a_ping_meets_what_a_kind_declares_to_be_noticed_at_once(row: Row) -> None:
    (fault,) = row.faults
    if fault.values().get("cut") is False or fault.kind == "unreachable":
        return  # connections live on; the reason at a ping is that of its time-out
    assert (row.ping is not None) is (fault.traits.noticed is Noticed.AT_ONCE)
