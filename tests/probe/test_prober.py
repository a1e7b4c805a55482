"""The prober as a whole: warm connections, turns, fallbacks, hung hosts, nothing left behind."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from ssh_stubs import SshStub, posix_shell, saying, ssh_stub
from statvfs_servers import SLACK, StatvfsServer

from imagestore_sim.clock import Clock, RealClock, spread
from imagestore_sim.clock.spread import FEW
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import SimulatedHost, VirtualDisk
from imagestore_sim.lab import Lab
from imagestore_sim.probe import (
    Capacity,
    Layout,
    Method,
    ProbeFailure,
    Prober,
    Reason,
    Target,
    connections,
    login_slots,
)
from imagestore_sim.probe.bounded_tunnel import BoundedTunnel
from imagestore_sim.probe.connection import Connection
from imagestore_sim.settings import Settings
from imagestore_sim.virtual_clock import run_virtually, virtual_clock
from leftovers import no_more_descriptors_than, no_more_tasks_than
from lifecycle_events import gaps
from running_clock import here, running_clock
from sshd import OpenSshServer, StartSshd

in_virtual_time = pytest.mark.imagestore_lab(clock="virtual")
PATIENT = 60.0
"""Seconds for a login or a command that ends sooner, even on a busy machine."""
WARM = ["command"]
NEW = ["resolve", "tcp", "kex", "auth", "channel", "command"]


class SlowServer(StatvfsServer):
    """Counts concurrent requests, and does not answer while `hang` is set."""

    under_way = 0
    most_under_way = 0
    seconds = 0.0
    clock: Clock = RealClock()

    async def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:  # type: ignore[override]  # asyncssh awaits it
        kind = type(self)
        kind.under_way += 1
        kind.most_under_way = max(kind.most_under_way, kind.under_way)
        try:
            await kind.clock.sleep(kind.seconds)
        finally:
            kind.under_way -= 1
        return super().statvfs(path)


@pytest.fixture
async def volume() -> type[SlowServer]:
    """Return a statvfs server of this test's own."""
    return type("TestVolume", (SlowServer,), {"clock": running_clock()})


@pytest.fixture
async def stub(volume: type[SlowServer]) -> AsyncIterator[SshStub]:
    """Run an SSH server with it."""
    async with ssh_stub(sftp=volume, clock=running_clock()) as stub:
        yield stub


def patient(**options: Any) -> Prober:
    return Prober(RealClock(), connect_timeout=PATIENT, command_timeout=PATIENT, **options)


@pytest.fixture
async def prober() -> AsyncIterator[Prober]:
    """Provide a prober that waits for as long as a busy machine may take."""
    prober = patient()
    yield prober
    await prober.close()


@pytest.fixture
async def host() -> AsyncIterator[SimulatedHost]:
    """Run a simulated host that accepts any login."""
    async with SimulatedHost("imagestore-1", clock=running_clock()) as host:
        yield host


def storage(server: OpenSshServer, url: Path) -> Target:
    """Return a target on a real sshd."""
    return Target("127.0.0.1", server.port, server.username, str(url))


async def capacity(prober: Prober, target: Target, *, fresh: bool = False) -> Capacity:
    """Return the capacity of `target`; fail without one."""
    result = await prober.probe(target, fresh=fresh)
    assert isinstance(result, Capacity), result
    return result


async def first_capacity(prober: Prober, target: Target) -> Capacity:
    """Return the first capacity that a prober with short time-outs gets; on a busy machine some tries fail."""
    for _ in range(30):
        if isinstance(result := await prober.probe(target), Capacity):
            break
    assert isinstance(result, Capacity), result
    return result


async def failure(prober: Prober, target: Target) -> ProbeFailure:
    """How `target` fails."""
    result = await prober.probe(target)
    assert isinstance(result, ProbeFailure), result
    return result


async def test_the_second_probe_uses_the_connection_and_the_channel_of_the_first(prober: Prober, stub: SshStub) -> None:
    assert list((await capacity(prober, stub.target())).phases) == NEW
    assert list((await capacity(prober, stub.target())).phases) == WARM
    assert stub.logins == 1


async def test_fresh_logs_in_again_and_replaces_the_warm_connection(prober: Prober, stub: SshStub) -> None:
    await capacity(prober, stub.target())
    assert list((await capacity(prober, stub.target(), fresh=True)).phases) == NEW
    assert list((await capacity(prober, stub.target())).phases) == WARM
    assert stub.logins == 2
    assert len(stub.connections) == 1


async def test_fresh_meets_credentials_that_a_warm_connection_would_not(prober: Prober, stub: SshStub) -> None:
    await capacity(prober, stub.target())
    wrong = Target("127.0.0.1", stub.port, "root", "/", "wrong")
    result = await prober.probe(wrong, fresh=True)
    assert isinstance(result, ProbeFailure)
    assert result.reason is Reason.AUTH_FAILED


@pytest.mark.parametrize(("username", "password"), [("root", "wrong"), ("root", None)])
async def test_a_warm_connection_serves_only_the_same_login(
    prober: Prober, stub: SshStub, username: str, password: str | None
) -> None:
    await capacity(prober, stub.target())
    other = Target("127.0.0.1", stub.port, username, "/", password)
    assert (await failure(prober, other)).reason is Reason.AUTH_FAILED


async def test_without_warm_connections_each_probe_logs_in_and_out(stub: SshStub) -> None:
    prober = patient(warm=False)
    for logins in (1, 2):
        await capacity(prober, stub.target())
        await stub.until_left()
        assert stub.logins == logins
    await prober.close()


async def test_at_most_one_probe_is_outstanding_on_a_host(
    prober: Prober, stub: SshStub, volume: type[SlowServer]
) -> None:
    volume.seconds = 0.02
    results = await asyncio.gather(*(prober.probe(stub.target(url=f"/zs/{number}")) for number in range(5)))
    assert all(isinstance(result, Capacity) for result in results)
    assert volume.most_under_way == 1
    assert stub.logins == 1


@in_virtual_time
async def test_hosts_are_probed_at_the_same_time(stub: SshStub, volume: type[SlowServer]) -> None:
    volume.seconds = 0.1
    prober = Prober(virtual_clock(), resolve=stub.resolve)
    await asyncio.gather(*(prober.probe(stub.target(f"host-{number}")) for number in range(5)))
    await prober.close()
    assert volume.most_under_way == 5


@in_virtual_time
async def test_waiting_for_a_turn_costs_a_probe_no_time(stub: SshStub, volume: type[SlowServer]) -> None:
    volume.seconds = 0.4
    prober = Prober(virtual_clock(), resolve=stub.resolve, command_timeout=1.5)
    results = await asyncio.gather(*(prober.probe(stub.target()) for _ in range(4)))
    await prober.close()
    assert all(isinstance(result, Capacity) for result in results)


@in_virtual_time
async def test_a_question_that_is_never_answered_is_hung_and_its_connection_cut(
    stub: SshStub, volume: type[SlowServer]
) -> None:
    volume.seconds = 60
    prober = Prober(virtual_clock(), resolve=stub.resolve, command_timeout=1.0)
    first, second = await asyncio.gather(*(prober.probe(stub.target()) for _ in range(2)))
    await stub.until_left()
    assert isinstance(first, ProbeFailure)
    assert isinstance(second, ProbeFailure)
    assert (first.reason, second.reason) == (Reason.HUNG, Reason.HUNG)
    assert first.phases["command"] == pytest.approx(1000)
    assert stub.logins == 2
    volume.seconds = 0
    await capacity(prober, stub.target())
    await prober.close()


@pytest.mark.parametrize("seconds_a_login", [0, 60])
async def test_a_cancelled_probe_leaves_nothing_behind(
    prober: Prober, stub: SshStub, volume: type[SlowServer], seconds_a_login: float
) -> None:
    volume.seconds, stub.seconds_a_login = 60, seconds_a_login
    probe = asyncio.create_task(prober.probe(stub.target()))
    async with asyncio.timeout(60):
        while not (volume.under_way or (seconds_a_login and stub.logging_in)):
            await asyncio.sleep(0.005)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    await stub.until_left()
    volume.seconds = stub.seconds_a_login = 0
    await capacity(prober, stub.target())


async def test_a_stale_connection_is_replaced_within_the_probe(prober: Prober, stub: SshStub) -> None:
    await capacity(prober, stub.target())
    for connection in set(stub.connections):
        connection.abort()
    assert list((await capacity(prober, stub.target())).phases) == NEW


async def test_a_connection_lost_under_a_probe_is_replaced_within_it(stub: SshStub, volume: type[SlowServer]) -> None:
    prober = patient()
    await capacity(prober, stub.target())
    volume.seconds = 60
    probe = asyncio.create_task(prober.probe(stub.target()))
    async with asyncio.timeout(60):
        while not volume.under_way:
            await asyncio.sleep(0.005)
    volume.seconds = 0
    for connection in set(stub.connections):
        connection.abort()
    result = await probe
    assert isinstance(result, Capacity)
    assert list(result.phases) == NEW
    await prober.close()


async def test_a_connection_lost_under_its_first_probe_is_reset(
    prober: Prober, stub: SshStub, volume: type[SlowServer]
) -> None:
    volume.seconds = 60
    probe = asyncio.create_task(prober.probe(stub.target()))
    async with asyncio.timeout(60):
        while not volume.under_way:
            await asyncio.sleep(0.005)
    for connection in set(stub.connections):
        connection.abort()
    result = await probe
    assert isinstance(result, ProbeFailure)
    assert result.reason is Reason.RESET


async def test_a_forgotten_host_keeps_no_connection(prober: Prober, stub: SshStub) -> None:
    await prober.forget("127.0.0.1")
    await capacity(prober, stub.target())
    await prober.forget("127.0.0.1")
    await stub.until_left()


async def test_a_host_forgotten_under_a_probe_keeps_no_connection_after_it(
    prober: Prober, stub: SshStub, volume: type[SlowServer]
) -> None:
    await capacity(prober, stub.target())
    volume.seconds = 0.1
    probe = asyncio.create_task(prober.probe(stub.target()))
    async with asyncio.timeout(60):
        while not volume.under_way:
            await asyncio.sleep(0.005)
    await prober.forget("127.0.0.1")
    assert not probe.done()
    assert isinstance(await probe, Capacity)
    await stub.until_left()


async def test_closing_leaves_no_task_and_no_socket(stub: SshStub) -> None:
    tasks = asyncio.all_tasks()
    prober = patient(resolve=stub.resolve)
    await asyncio.gather(*(prober.probe(stub.target(f"host-{number}")) for number in range(5)))
    await prober.close()
    await stub.until_left()
    assert await no_more_tasks_than(tasks), asyncio.all_tasks()


@pytest.mark.parametrize(("most", "said"), [(5, 5), (4, 0)])
async def test_closing_logs_out_of_a_few_connections_and_cuts_off_very_many(
    stub: SshStub, most: int, said: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asyncssh")
    monkeypatch.setattr(connections, "MOST_LOGOUTS", most)
    tasks = asyncio.all_tasks()
    prober = Prober(RealClock(), resolve=stub.resolve)
    await asyncio.gather(*(prober.probe(stub.target(f"host-{number}")) for number in range(5)))
    await prober.close()
    await stub.until_left()
    assert await no_more_tasks_than(tasks), asyncio.all_tasks()
    assert caplog.text.count("Sending disconnect: Disconnected by application") == said


async def test_very_many_connections_of_a_process_that_ends_are_left_to_the_system(
    stub: SshStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_LOGOUTS", 4)
    prober = Prober(RealClock(), resolve=stub.resolve)
    prober.end_with_process()
    await asyncio.gather(*(prober.probe(stub.target(f"host-{number}")) for number in range(5)))
    await prober.close()
    assert len(stub.connections) == 5
    prober.drop_connections()
    await stub.until_left()


@pytest.mark.sshd
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts file descriptors in /proc")
@pytest.mark.plain_loop
async def test_closing_leaves_no_file_descriptor(sshd: OpenSshServer, tmp_path: Path) -> None:
    tasks, descriptors = asyncio.all_tasks(), os.listdir("/proc/self/fd")
    prober = patient(identity_file=sshd.identity_file)
    for fresh in (False, True, False):
        await capacity(prober, storage(sshd, tmp_path), fresh=fresh)
    await prober.close()
    assert await no_more_tasks_than(tasks), asyncio.all_tasks()
    assert await no_more_descriptors_than(descriptors)


async def test_closing_ends_a_probe_that_is_outstanding(stub: SshStub, volume: type[SlowServer]) -> None:
    prober = patient()
    volume.seconds = 60
    probe = asyncio.create_task(prober.probe(stub.target()))
    async with asyncio.timeout(60):
        while not volume.under_way:
            await asyncio.sleep(0.005)
    await prober.close()
    result = await probe
    assert isinstance(result, ProbeFailure)
    assert result.reason is Reason.RESET
    await stub.until_left()


async def test_closing_ends_a_login_once_it_is_through(stub: SshStub) -> None:
    prober = patient()
    stub.seconds_a_login = 0.1
    probe = asyncio.create_task(prober.probe(stub.target()))
    async with asyncio.timeout(60):
        while not stub.logging_in:
            await asyncio.sleep(0.005)
    await prober.close()
    assert isinstance(await probe, ProbeFailure)
    await stub.until_left()


async def test_a_closed_prober_probes_no_more(stub: SshStub) -> None:
    prober = patient()
    await prober.close()
    with pytest.raises(RuntimeError, match="closed"):
        await prober.probe(stub.target())


async def test_a_probe_after_the_hosts_were_cut_off_fails_as_one_under_way_does(stub: SshStub) -> None:
    """What a killed node still begins, as the removal of bits that a call has left, is no error of its own."""
    prober = patient()
    prober.cut_off()
    assert (await failure(prober, stub.target())).reason is Reason.RESET
    await prober.close()
    assert (await failure(prober, stub.target())).reason is Reason.RESET


async def test_a_login_shell_that_runs_nothing_is_no_capacity(prober: Prober) -> None:
    async with ssh_stub(process=saying("This account is currently not available.\n")) as stub:
        result = await failure(prober, stub.target())
    assert result.reason is Reason.NO_CAPACITY
    assert "This account is currently not available." in result.message


async def test_a_host_without_a_shell_is_no_command(prober: Prober) -> None:
    async with ssh_stub(process=saying("bash: line 1: env: command not found\n", 127)) as stub:
        assert (await failure(prober, stub.target())).reason is Reason.NO_COMMAND


async def test_a_host_that_never_stops_talking_is_no_capacity(prober: Prober) -> None:
    async with ssh_stub(process=saying("blah " * 100_000)) as stub:
        assert (await failure(prober, stub.target())).reason is Reason.NO_CAPACITY


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the PATH of a host without df and timeout."""
    directory = tmp_path_factory.mktemp("programs")
    for name in ("sh", "env", "stat", "mkdir"):
        (directory / name).symlink_to(str(shutil.which(name)))
    return directory


async def test_a_host_without_df_is_asked_by_stat(prober: Prober, programs: Path, tmp_path: Path) -> None:
    async with ssh_stub(process=posix_shell(str(programs))) as stub:
        result = await capacity(prober, stub.target(url=str(tmp_path)))
    expected = os.statvfs(tmp_path)
    assert result.method is Method.STAT
    assert result.total == expected.f_blocks * expected.f_frsize
    assert result.available == pytest.approx(expected.f_bavail * expected.f_frsize, abs=SLACK)


async def test_a_host_with_neither_is_no_command(prober: Prober, programs: Path) -> None:
    (programs / "stat").unlink()
    async with ssh_stub(process=posix_shell(str(programs))) as stub:
        result = await failure(prober, stub.target())
    assert result.reason is Reason.NO_COMMAND
    assert "df:" in result.message
    assert "stat:" in result.message


async def test_the_shell_creates_and_requires_folders_too(prober: Prober, programs: Path, tmp_path: Path) -> None:
    file, url = tmp_path / "file", tmp_path / "a" / "zs 1"
    file.touch()
    async with ssh_stub(process=posix_shell(str(programs))) as stub:
        target = stub.target(url=str(url))
        assert (await failure(prober, target)).reason is Reason.NO_SUCH_PATH
        assert isinstance(await prober.probe(target, layout=Layout.FOLDER), Capacity)
        assert list(url.iterdir()) == []
        assert isinstance(await prober.probe(target, layout=Layout.CREATE), Capacity)
        assert sorted(entry.name for entry in url.iterdir()) == ["export", "registry"]
        assert isinstance(await prober.probe(target, layout=Layout.REQUIRE), Capacity)
        for folder in url.iterdir():
            folder.rmdir()
        unmounted = await prober.probe(target, layout=Layout.REQUIRE)
        in_the_way = await prober.probe(stub.target(url=str(file)), layout=Layout.CREATE)
        plain_file = await prober.probe(stub.target(url=str(file)))
    reasons = [result.reason for result in (unmounted, in_the_way, plain_file) if isinstance(result, ProbeFailure)]
    assert reasons == [Reason.NOT_MOUNTED, Reason.NOT_A_DIRECTORY, Reason.NOT_A_DIRECTORY]


@pytest.mark.sshd
async def test_without_sftp_df_answers_the_same_and_is_remembered(start_sshd: StartSshd, tmp_path: Path) -> None:
    sshd = start_sshd(sftp=False)
    prober = patient(identity_file=sshd.identity_file)
    first = await capacity(prober, storage(sshd, tmp_path))
    again = await capacity(prober, storage(sshd, tmp_path))
    await prober.close()
    expected = os.statvfs(tmp_path)
    assert first.method is again.method is Method.DF
    assert (first.inodes, first.read_only) == (None, None)
    assert first.total == again.total == expected.f_blocks * expected.f_frsize
    assert first.available == pytest.approx(expected.f_bavail * expected.f_frsize, abs=SLACK)
    assert sshd.log.read_text().count("subsystem request for sftp") == 1


@pytest.mark.sshd
async def test_a_forced_command_that_hangs_is_cut(start_sshd: StartSshd, tmp_path: Path) -> None:
    sshd = start_sshd("ForceCommand exec sleep 60")
    prober = Prober(RealClock(), identity_file=sshd.identity_file, connect_timeout=PATIENT, command_timeout=0.2)
    result = await failure(prober, storage(sshd, tmp_path))
    assert result.reason is Reason.HUNG
    async with asyncio.timeout(60):
        while b"sleep" in b"".join(name_of(pid) for pid in sshd.connections()):
            await asyncio.sleep(0.01)
    await prober.close()


def name_of(pid: int) -> bytes:
    """Return the command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@pytest.mark.sshd
async def test_an_sshd_that_stands_still_under_a_warm_connection_is_a_timeout(
    sshd: OpenSshServer, tmp_path: Path
) -> None:
    prober = Prober(RealClock(), identity_file=sshd.identity_file, connect_timeout=2.0, command_timeout=1.0)
    await first_capacity(prober, storage(sshd, tmp_path))
    with sshd.frozen():
        assert (await failure(prober, storage(sshd, tmp_path))).reason is Reason.TIMEOUT
    reader, writer = await asyncio.open_connection("127.0.0.1", sshd.port)
    assert (await asyncio.wait_for(reader.readline(), 60)).startswith(b"SSH-")  # it moves again
    writer.close()
    await writer.wait_closed()
    assert list((await first_capacity(prober, storage(sshd, tmp_path))).phases) == NEW
    await prober.close()


@pytest.mark.sshd
async def test_a_restarted_sshd_is_logged_in_to_again(sshd: OpenSshServer, tmp_path: Path) -> None:
    prober = patient(identity_file=sshd.identity_file)
    await capacity(prober, storage(sshd, tmp_path))
    sshd.restart()
    assert list((await capacity(prober, storage(sshd, tmp_path))).phases) == NEW
    sshd.stop()
    assert (await failure(prober, storage(sshd, tmp_path))).reason is Reason.REFUSED
    await prober.close()


@pytest.mark.sshd
async def test_an_sshd_that_allows_no_session_is_busy(start_sshd: StartSshd, tmp_path: Path) -> None:
    sshd = start_sshd("MaxSessions 0")
    prober = patient(identity_file=sshd.identity_file, busy_pauses=())
    result = await failure(prober, storage(sshd, tmp_path))
    await prober.close()
    assert result.reason is Reason.BUSY
    assert list(result.phases)[-1] == "channel"


@pytest.mark.sshd
@pytest.mark.parametrize("sftp", [True, pytest.param(False, marks=pytest.mark.thorough)])
async def test_one_session_is_enough(start_sshd: StartSshd, tmp_path: Path, sftp: bool) -> None:
    sshd = start_sshd("MaxSessions 1", sftp=sftp)
    prober = patient(identity_file=sshd.identity_file)
    for layout in Layout.FOLDER, Layout.CREATE, Layout.REQUIRE, Layout.ANY:
        assert isinstance(await prober.probe(storage(sshd, tmp_path), layout=layout), Capacity)
    await prober.close()


@pytest.mark.sshd
@pytest.mark.parametrize(
    "command",
    [
        *(pytest.param(one, marks=pytest.mark.thorough) for one in ("echo Only a message.", "exec /usr/sbin/nologin")),
        "cat",
    ],
)
async def test_a_forced_command_that_answers_nothing_is_no_capacity(
    start_sshd: StartSshd, tmp_path: Path, command: str
) -> None:
    sshd = start_sshd(f"ForceCommand {command}")
    prober = patient(identity_file=sshd.identity_file)
    assert (await failure(prober, storage(sshd, tmp_path))).reason is Reason.NO_CAPACITY
    await prober.close()


@in_virtual_time
@pytest.mark.parametrize("few", [FEW, 0], ids=["of few", "of very many"])
async def test_an_idle_connection_is_kept_alive_and_one_that_does_not_answer_is_cut(
    host: SimulatedHost, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "FEW_IN_VIRTUAL_TIME", few)
    prober = Prober(virtual_clock(), resolve=here, keep_alive=0.05)
    target = Target(*host.address, "root", "/", "password")
    await capacity(prober, target)
    await virtual_clock().sleep(20)
    assert list((await capacity(prober, target)).phases) == WARM
    await host.faults.apply(read_fault("stale", {}))
    await virtual_clock().sleep(20)
    assert not host.links
    assert list((await capacity(prober, target)).phases) == NEW
    await prober.close()


@pytest.mark.parametrize(
    "few", [pytest.param(FEW, id="few", marks=pytest.mark.thorough), pytest.param(20, id="very many")]
)
def test_idle_connections_are_asked_once_an_interval_and_very_many_one_after_the_other(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[Connection, list[float]] = {}
    ask = Connection.ask_whether_alive

    def note(connection: Connection) -> asyncio.Future[object]:
        asked.setdefault(connection, []).append(virtual_clock().monotonic())
        return ask(connection)

    async def idle() -> None:
        settings = Settings(port=0, hosts=40, ping_interval=3600, probe_keep_alive=30)
        async with Lab(settings, clock=virtual_clock()) as lab:
            await lab.clock.sleep(200)

    monkeypatch.setattr(Connection, "ask_whether_alive", note)
    monkeypatch.setattr(spread, "FEW_IN_VIRTUAL_TIME", few)
    run_virtually(idle())
    assert len(asked) == 40
    for times in asked.values():
        assert max(gaps(times)) < 60  # the first round began when few were connected
        assert gaps(times)[1:] == pytest.approx([30.0] * (len(times) - 2), abs=1)
        assert len(times) >= 5
    at_once = Counter(round(times[2], 1) for times in asked.values())
    assert (len(at_once), max(at_once.values())) == ((1, 40) if few == FEW else (4, 10))


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system cannot end connections")
@pytest.mark.parametrize("few", [FEW, 0], ids=["of few", "of very many"])
async def test_in_real_time_very_many_idle_connections_are_left_to_the_next_probe(
    host: SimulatedHost, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, sockets = [], []
    ask, let = Connection.ask_whether_alive, BoundedTunnel.end_without_acknowledgement

    def note(connection: Connection) -> asyncio.Future[object]:
        asked.append(connection)
        return ask(connection)

    def note_socket(tunnel: BoundedTunnel, seconds: float) -> bool:
        found = let(tunnel, seconds)
        assert tunnel._transport is not None
        sockets.append(tunnel._transport.get_extra_info("socket"))
        return found

    monkeypatch.setattr(Connection, "ask_whether_alive", note)
    monkeypatch.setattr(BoundedTunnel, "end_without_acknowledgement", note_socket)
    monkeypatch.setattr(spread, "FEW", few)
    prober = Prober(RealClock(), resolve=here, keep_alive=0.2, connect_timeout=60)
    target = Target(*host.address, "root", "/", "password")
    await capacity(prober, target)
    async with asyncio.timeout(PATIENT):
        while not (sockets or asked):
            await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    assert list((await capacity(prober, target)).phases) == WARM
    assert (bool(asked), len(sockets)) == ((True, 0) if few else (False, 1))
    for one in sockets:
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
    await prober.close()


@in_virtual_time
async def test_a_stale_connection_that_only_hangs_is_replaced_within_the_probe(host: SimulatedHost) -> None:
    prober = Prober(virtual_clock(), resolve=here)
    target = Target(*host.address, "root", "/", "password")
    await capacity(prober, target)
    await host.faults.apply(read_fault("stale", {}))
    assert list((await capacity(prober, target)).phases) == NEW
    await prober.close()


@in_virtual_time
async def test_an_sshd_that_is_busy_for_a_moment_is_tried_again(host: SimulatedHost) -> None:
    prober = Prober(virtual_clock(), resolve=here, busy_pauses=(0.2, 0.2))
    await host.faults.apply(read_fault("max_startups", {"for": "100ms"}))
    await capacity(prober, Target(*host.address, "root", "/", "password"))
    await prober.close()


@in_virtual_time
async def test_one_address_gets_few_logins_at_once_whatever_its_names(
    stub: SshStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_slots, "PATIENCE_SECONDS", 60)  # no login leaves its place
    prober = Prober(virtual_clock(), resolve=stub.resolve)
    stub.seconds_a_login = 0.05
    found = await asyncio.gather(*(prober.probe(stub.target(f"host-{number}")) for number in range(20)))
    await prober.close()
    assert all(isinstance(one, Capacity) for one in found)
    assert stub.most_logging_in == 5


@pytest.mark.thorough
@pytest.mark.sshd
async def test_twenty_storages_on_an_sshd_with_few_startups_are_all_probed(
    start_sshd: StartSshd, tmp_path: Path
) -> None:
    sshd = start_sshd("MaxStartups 5:100:5")

    async def resolve(_hostname: str, _port: int) -> tuple[str, int]:
        return "127.0.0.1", sshd.port

    prober = patient(identity_file=sshd.identity_file, resolve=resolve)
    targets = [Target(f"host-{number}", 22, sshd.username, str(tmp_path)) for number in range(20)]
    found = await asyncio.gather(*(prober.probe(target) for target in targets))
    await prober.close()
    assert [one for one in found if not isinstance(one, Capacity)] == []


async def test_another_file_system_is_only_wrong_without_the_folders_of_a_storage(host: SimulatedHost) -> None:
    prober = patient()
    target = Target(*host.address, "root", "/zs", "password")
    host.disk.make_directory("/zs")
    assert isinstance(await prober.probe(target, layout=Layout.CREATE), Capacity)
    moved = VirtualDisk(50 * 2**30)
    moved.make_directory("/registry")
    host.disk.mount("/zs", moved)
    assert (await capacity(prober, target)).total == 50 * 2**30
    moved.remove("/registry")
    assert (await capacity(prober, target)).total == 50 * 2**30
    host.disk.unmount("/zs")
    host.disk.remove("/zs/registry")
    host.disk.remove("/zs/export")
    for _ in range(2):
        assert (await failure(prober, target)).reason is Reason.NOT_MOUNTED
    host.disk.make_directory("/zs/export")
    await capacity(prober, target)
    await prober.close()
