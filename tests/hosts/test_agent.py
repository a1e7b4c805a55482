"""The agent of a simulated host: its files, its service and its log, and what a client sees of it over TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator

import asyncssh
import pytest
from cryptography import x509

from imagestore_sim.clock import RealClock
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import HostNetwork, SimulatedHost, VirtualDisk
from imagestore_sim.hosts.agent import LONGEST_LOG, PORT
from imagestore_sim.hosts.installation import CERTIFICATE, KEY, LOG, PROGRAMS, SERVICE, SERVICE_SCRIPT
from imagestore_sim.hosts.listener import LOOPBACK
from imagestore_sim.hosts.shell import Shell, Streams, Text
from imagestore_sim.probe import PingMode, ProbeFailure, Prober, Reached, Target
from imagestore_sim.probe.agent import _read_answer
from imagestore_sim.probe.failures import Failed
from imagestore_sim.statvfs import BLOCK
from rows import rows

PID = 3
"""The number of the agent among the programs of a host."""
RUNS = f"{SERVICE} (pid {PID}) is running..."


@pytest.fixture
async def host() -> AsyncIterator[SimulatedHost]:
    network = HostNetwork()
    host = SimulatedHost("imagestore-1")
    await network.add(host)
    yield host
    await network.close()


async def run(host: SimulatedHost, script: str, stdin: str = "") -> tuple[int, str]:
    """Run a script in a shell of a host; return its status, and what it prints and complains of."""
    printed: list[str] = []
    status = await Shell.at_login(host, "root").run(script, Streams(Text(stdin), printed.append, printed.append))
    return status, "".join(printed)


async def lines_of_log(host: SimulatedHost) -> list[str]:
    """Return the lines of its log, without their times."""
    return [line.partition("zstore: ")[2] for line in (await run(host, f"cat {LOG}"))[1].splitlines()]


@rows(
    ("script", "status", "printed"),
    [
        (f"ls {PROGRAMS}", 0, "zstack-imagestorebackupstorage\nzstcli\nzstore\nzstore.yaml\n"),
        (f"ls -l {KEY} | grep -c '^-r--------'; test -x {SERVICE_SCRIPT}", 0, "1\n"),
        (f"head -n 1 {CERTIFICATE}", 0, "-----BEGIN CERTIFICATE-----\n"),
        (f"grep -c PRIVATE {KEY}", 0, "2\n"),
        ("ps -e | grep -w zstore | wc -l", 0, "1\n"),
        ("pgrep zstore; pidof zstore; pgrep -fl 'zstore -conf'; pgrep nothing", 1, "3\n3\n3 zstore\n"),
        (f"service {SERVICE} status", 0, f"{RUNS}\n"),
        (f"{SERVICE_SCRIPT} status", 0, f"{RUNS}\n"),
        (f"systemctl is-active {SERVICE}.service", 0, "active\n"),
        (f"systemctl status {SERVICE} | grep Active", 0, "   Active: active (running)\n"),
        (f"service {SERVICE} reload", 2, f"Usage: {SERVICE_SCRIPT} {{start|stop|restart|status}}\n"),
        ("service nginx status", 1, "nginx: unrecognized service\n"),
        ("systemctl status nginx", 4, "Unit nginx.service could not be found.\n"),
        (f"{PROGRAMS}/zstcli images", 1, "a simulated host has no zstcli\n"),
        (f"{CERTIFICATE}", 126, f"sh: 1: {CERTIFICATE}: Permission denied\n"),
        ("/usr/local/bin/nothing", 127, "sh: 1: /usr/local/bin/nothing: not found\n"),
        (f"tail -n 1 {LOG} | grep -o x", 2, "grep: invalid option -- 'o'\nTry 'grep --help' for more information.\n"),
    ],
)
async def test_an_operator_finds_the_agent_where_a_real_host_has_it(
    host: SimulatedHost, script: str, status: int, printed: str
) -> None:
    assert await run(host, script) == (status, printed)


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ("'b.g'", "big\n"),
        ("-v i", "Bag\n"),
        ("-i BAG", "Bag\n"),
        ("-c g", "2\n"),
        ("-n -i 'B[ia]g'", "1:big\n2:Bag\n"),
        (r"'big\|Bag'", "big\nBag\n"),
        ("-E 'fit|Bag'", "Bag\nfit (to)\n"),
        ("'t (to)'", "fit (to)\n"),
        ("-F 'b.g'", ""),
        ("-x fit", ""),
        ("-w to", "fit (to)\n"),
        ("-q fit", ""),
        ("-e to", "fit (to)\n"),
    ],
)
async def test_grep_searches_lines_as_gnus_does(host: SimulatedHost, options: str, printed: str) -> None:
    status, output = await run(host, f"grep {options}", "big\nBag\nfit (to)\n")
    assert (output, status) == (printed, int(not printed and "-q" not in options))


async def test_grep_names_the_files_that_it_searches(host: SimulatedHost) -> None:
    await run(host, "mkdir -p /tmp/a; echo one > /tmp/a/1; echo one two > /tmp/a/2")
    assert await run(host, "cd /tmp; grep -r two a; grep -l one a/1 a/2; grep -h one a/1 a/2; grep one nothing") == (
        2,
        "a/2:one two\na/1\na/2\none\none two\ngrep: nothing: No such file or directory\n",
    )


async def test_the_service_stops_and_starts_what_a_ping_asks(host: SimulatedHost) -> None:
    async def resolve(_name: str, _port: int) -> tuple[str, int]:
        return await host.agent.open()

    prober = Prober(RealClock(), resolve=resolve)
    target = Target("imagestore-1", 22, "root", "/")
    try:
        assert isinstance(await prober.reach(target, PingMode.AGENT, fresh=True), Reached)
        found = []
        for action in ("stop", "start", "restart"):
            assert (await run(host, f"service {SERVICE} {action}"))[1] == f"{action} {SERVICE}: OK\n"
            outcome = await prober.reach(target, PingMode.AGENT)
            found.append(outcome.reason.value if isinstance(outcome, ProbeFailure) else None)
            await prober.reach(target, PingMode.AGENT, fresh=True)
    finally:
        await prober.close()
    assert found == ["agent_down", "agent_restarted", "agent_restarted"]


async def test_a_server_that_speaks_before_the_client_is_no_agent_each_time() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:

        def greet() -> None:
            for _ in range(100):
                connection, _peer = server.accept()
                with connection:
                    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                    connection.recv(65536)

        async def resolve(_name: str, _port: int) -> tuple[str, int]:
            address: tuple[str, int] = server.getsockname()
            return address

        prober = Prober(RealClock(), resolve=resolve)
        target = Target("imagestore-1", 22, "root", "/")
        greeting = threading.Thread(target=greet)
        greeting.start()
        outcomes = [await prober.reach(target, PingMode.AGENT, fresh=True) for _ in range(100)]
        await prober.close()
        await asyncio.to_thread(greeting.join, 10)
    reasons = [outcome.reason.value if isinstance(outcome, ProbeFailure) else None for outcome in outcomes]
    assert reasons == ["agent_down"] * 100


@rows("answer", [b"HTTP/1.1 " + b"9" * 5000 + b" OK", b"HTTP/1.1 -500 x", b"HTTP/1.1 \xb2\xb3\xb9 x"])
def test_a_status_that_is_none_is_that_of_no_agent(answer: bytes) -> None:
    with pytest.raises(Failed, match="is no agent"):
        _read_answer(answer + b"\r\n\r\n")


async def test_a_stopped_service_is_shown_as_such_until_it_or_the_host_is_started(host: SimulatedHost) -> None:
    shows = f"service {SERVICE} status; systemctl is-active {SERVICE}; ps -e | grep zstore"
    assert (await run(host, f"systemctl stop {SERVICE}; {shows}"))[1] == f"{SERVICE} is stopped\ninactive\n"
    assert (await host.state()).agent_running is False
    await host.stop()
    await host.start()
    assert (await run(host, shows))[1].startswith(f"{RUNS}\nactive\n")


async def test_a_fault_keeps_the_service_from_starting(host: SimulatedHost) -> None:
    down = await host.apply(read_fault("agent_down", {}))
    assert await run(host, f"service {SERVICE} start") == (1, f"start {SERVICE}: FAILED\n")
    assert await run(host, f"systemctl restart {SERVICE}") == (1, f"Job for {SERVICE}.service failed.\n")
    await down.heal()
    assert (await run(host, f"systemctl is-active {SERVICE}"))[1] == "active\n"


async def test_the_log_says_what_happened(host: SimulatedHost) -> None:
    assert await lines_of_log(host) == [f"started as imagestore-1-1, listens on port {PORT}"]
    await run(host, f"service {SERVICE} restart")
    down = await host.apply(read_fault("agent_down", {}))
    await down.heal()
    await host.apply(read_fault("agent_restarted", {}))
    assert [line.partition(",")[0] for line in await lines_of_log(host)] == [
        "started as imagestore-1-1",
        "stopped imagestore-1-1",
        "started as imagestore-1-2",
        "stopped",
        "started as imagestore-1-3",
        "stopped imagestore-1-3",
        "started as imagestore-1-4",
    ]


async def test_tail_follows_the_log_until_it_is_interrupted(host: SimulatedHost) -> None:
    address, port = host.address
    async with (
        asyncssh.connect(address, port, username="root", password="any", known_hosts=None, config=None) as connection,
        connection.create_process(f"tail -n 1 -f {LOG}", term_type="xterm") as tail,
    ):
        assert "started as imagestore-1-1" in await tail.stdout.readline()
        host.agent.restart()
        assert "stopped imagestore-1-1" in await tail.stdout.readline()
        tail.send_signal("INT")
        assert (await tail.wait()).exit_status == 130


async def test_the_log_keeps_its_newest_lines_and_no_more(host: SimulatedHost) -> None:
    for _ in range(1500):
        host.agent.restart()
    lines = await lines_of_log(host)
    assert lines[-1] == f"started as imagestore-1-1501, listens on port {PORT}"
    assert host.disk.stat(LOG).size < LONGEST_LOG + 100


async def test_the_files_are_read_over_sftp_and_take_no_space(host: SimulatedHost) -> None:
    before = host.disk.numbers()
    address, port = host.address
    async with (
        asyncssh.connect(address, port, username="root", password="any", known_hosts=None, config=None) as connection,
        connection.start_sftp_client() as sftp,
        sftp.open(CERTIFICATE) as file,
    ):
        assert await file.read() == host.agent.authority.pem.decode()
        assert (await sftp.stat(KEY)).permissions == 0o100400
        await sftp.rmtree("/usr/local/zstack")
    assert host.disk.numbers() == before
    assert await run(host, f"rm {LOG}; service {SERVICE} restart; wc -l {LOG}") == (
        0,
        f"restart {SERVICE}: OK\n2 {LOG}\n",
    )


async def test_a_full_disk_and_one_mounted_over_the_log_do_not_disturb_the_agent() -> None:
    disk = VirtualDisk(2 * BLOCK, 2 * BLOCK)
    disk.furnish(["/var/log"])
    disk.mount("/var/log", VirtualDisk(BLOCK, BLOCK))
    async with SimulatedHost("imagestore-1", disk=disk) as host:
        await run(host, f"rm -r /var/log/zstack; echo no > /var/log/zstack; service {SERVICE} restart")
        assert host.agent.is_running
        assert disk.statvfs("/var/log").free == 0


async def test_a_client_verifies_the_certificate_by_the_authority(host: SimulatedHost) -> None:
    state = await host.agent.state()
    address, _, port = state.address.rpartition(":")
    context = ssl.create_default_context(cadata=state.authority)
    reader, writer = await asyncio.open_connection(address, int(port), ssl=context, server_hostname="imagestore-1")
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.write(b"GET /v2/ HTTP/1.1\r\nHost: imagestore-1\r\n\r\n")
    head = await reader.read()
    writer.close()
    assert head.startswith(b"HTTP/1.1 200 OK\r\nX-Agent-Instance: imagestore-1-1\r\n")
    certificate = x509.load_der_x509_certificate(shown)
    assert certificate.not_valid_after_utc == state.ends
    assert len(state.fingerprint) == 95
    key = (await run(host, f"cat {KEY}"))[1]
    assert key.startswith("-----BEGIN PRIVATE KEY-----")
    await host.stop()
    with pytest.raises(ValueError, match="imagestore-1 is stopped"):
        await host.agent.state()
