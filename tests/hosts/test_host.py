"""A simulated host as clients see it: over real SSH, with asyncssh, the prober, and OpenSSH's own client."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncssh
import pytest
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import SSHPacketLogger

from imagestore_sim.clock import RealClock
from imagestore_sim.hosts import Credentials, SimulatedHost, VirtualDisk
from imagestore_sim.hosts.commands import without
from imagestore_sim.hosts.sshd import HostConnection
from imagestore_sim.probe import Capacity, Layout, Method, ProbeFailure, Prober, Reason, Target
from processes import child

BLOCK = 4096
PASSWORD = "secret"


@pytest.fixture
async def host() -> AsyncIterator[SimulatedHost]:
    disk = VirtualDisk(1000 * BLOCK, 200 * BLOCK, reserved=100 * BLOCK, inodes=500)
    async with SimulatedHost("imagestore-1", disk=disk, credentials=Credentials("root", PASSWORD)) as started:
        yield started


@pytest.fixture
async def prober() -> AsyncIterator[Prober]:
    prober = Prober(RealClock(), connect_timeout=30, command_timeout=30)
    yield prober
    await prober.close()


@asynccontextmanager
async def logged_in(host: SimulatedHost, **options: object) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Connect as root, with the password unless `options` say otherwise."""
    given = {"username": "root", "password": PASSWORD, "client_keys": None} | options
    address, port = host.address
    async with asyncssh.connect(address, port, known_hosts=None, agent_path=None, config=None, **given) as connection:
        yield connection


def storage(host: SimulatedHost, url: str = "/zs", password: str | None = PASSWORD) -> Target:
    return Target(*host.address, "root", url, password)


async def capacity(prober: Prober, host: SimulatedHost, layout: Layout = Layout.ANY) -> Capacity:
    found = await prober.probe(storage(host), fresh=True, layout=layout)
    assert isinstance(found, Capacity), found
    return found


async def failure(prober: Prober, target: Target, layout: Layout = Layout.ANY) -> Reason:
    found = await prober.probe(target, layout=layout, fresh=True)
    assert isinstance(found, ProbeFailure), found
    return found.reason


# Logging in


async def test_the_password_logs_in_and_another_does_not(host: SimulatedHost) -> None:
    async with logged_in(host):
        assert host.logins == 1
    for wrong in ({"password": "wrong"}, {"username": "admin"}):
        with pytest.raises(asyncssh.PermissionDenied):
            async with logged_in(host, **wrong):
                pass
    assert host.logins == 1


async def test_the_password_is_taken_by_keyboard_interactive_too(host: SimulatedHost) -> None:
    async with logged_in(host, preferred_auth="keyboard-interactive"):
        assert host.logins == 1


async def test_a_key_logs_in_and_another_does_not() -> None:
    mine, other = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    credentials = Credentials("root", keys=[mine.export_public_key().decode()])
    async with SimulatedHost("h", credentials=credentials) as host:
        async with logged_in(host, password=None, client_keys=[mine]):
            pass
        for wrong in ({"client_keys": [other]}, {"client_keys": [mine], "username": "admin"}, {"password": "None"}):
            with pytest.raises(asyncssh.PermissionDenied):
                async with logged_in(host, **({"password": None} | wrong)):
                    pass
        assert host.logins == 1


async def test_without_credentials_any_user_logs_in_with_any_password_or_key() -> None:
    async with SimulatedHost("h") as host:
        async with logged_in(host, username="zstack", password="whatever"):
            pass
        async with logged_in(host, password=None, client_keys=[asyncssh.generate_private_key("ssh-ed25519")]):
            pass
        assert host.logins == 2


def test_credentials_hide_their_password_and_refuse_a_malformed_key() -> None:
    assert PASSWORD not in repr(Credentials("root", PASSWORD))
    with pytest.raises(ValueError):
        Credentials("root", keys=["ssh-ed25519 nonsense"])


# Starting and stopping


async def test_a_stopped_host_cuts_connections_and_refuses_until_it_is_started_again(host: SimulatedHost) -> None:
    address = host.address
    async with logged_in(host) as connection:
        running = asyncio.ensure_future(connection.run("sleep 60"))
        await connection.run("true")
        began = time.monotonic()
        await host.stop()
        await host.stop()
        await asyncio.wait_for(connection.wait_closed(), 60)
        assert (await running).exit_status is None
    assert time.monotonic() - began < 30
    assert (host.listening, host.address, len(host.tasks)) == (False, address, 0)
    with pytest.raises(ConnectionRefusedError):
        async with logged_in(host):
            pass
    await host.start()
    await host.start()
    assert (host.listening, host.address) == (True, address)
    async with logged_in(host) as connection:
        await connection.run("true")


async def test_a_host_whose_port_was_taken_meanwhile_starts_on_another(host: SimulatedHost) -> None:
    before = host.address
    await host.stop()
    async with SimulatedHost("thief") as thief:
        await thief.stop()
        await thief.start(port=before[1])
        await host.start()
        assert host.address != before == thief.address
        await host.stop()
        with pytest.raises(OSError, match="in use"):
            await host.start(port=before[1])
    assert not host.listening


async def test_a_connection_that_was_being_accepted_when_the_host_stopped_is_cut(host: SimulatedHost) -> None:
    connecting = [asyncio.ensure_future(asyncio.open_connection(*host.address)) for _ in range(20)]
    await asyncio.sleep(0)
    await host.stop()
    for made in await asyncio.gather(*connecting, return_exceptions=True):
        if not isinstance(made, BaseException):
            reader, writer = made
            with suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 60)
            writer.close()
    assert not host.links


async def test_a_host_that_was_never_started_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="h has not been started"):
        _ = SimulatedHost("h").address


async def test_a_command_ends_with_its_channel(host: SimulatedHost) -> None:
    async with logged_in(host) as connection:
        process = await connection.create_process("sleep 60")
        assert len(host.tasks) == 1
        process.close()
        async with asyncio.timeout(60):
            while len(host.tasks):
                await asyncio.sleep(0.005)


# The prober


async def test_a_storage_is_created_and_measured_by_statvfs(host: SimulatedHost, prober: Prober) -> None:
    found = await capacity(prober, host, layout=Layout.CREATE)
    assert (found.method, found.total, found.available) == (Method.STATVFS, 1000 * BLOCK, 700 * BLOCK)
    assert found.inodes is not None
    assert (found.inodes.total, found.inodes.available, found.read_only) == (
        500,
        host.disk.numbers().free_inodes,
        False,
    )
    assert host.disk.listdir("/zs") == ["export", "registry"]


@pytest.mark.parametrize("sftp", [True, False])
async def test_without_statvfs_df_measures_and_without_df_stat_does(
    prober: Prober, host: SimulatedHost, sftp: bool
) -> None:
    host.sftp, host.statvfs = sftp, False
    by_df = await capacity(prober, host, layout=Layout.CREATE)
    host.commands = without("df")
    by_stat = await capacity(prober, host, layout=Layout.REQUIRE)
    assert (by_df.method, by_stat.method) == (Method.DF, Method.STAT)
    for found in (by_df, by_stat):
        assert (found.total, found.available) == (host.disk.size, host.disk.available)
    host.commands = without("df", "stat")
    assert await failure(prober, storage(host)) is Reason.NO_COMMAND


async def test_df_is_run_without_timeout_where_that_is_missing(prober: Prober, host: SimulatedHost) -> None:
    host.sftp, host.commands = False, without("timeout")
    assert (await capacity(prober, host, layout=Layout.CREATE)).method is Method.DF


@pytest.mark.parametrize("sftp", [True, False])
async def test_every_method_reports_the_same_reason_for_a_storage(
    prober: Prober, host: SimulatedHost, sftp: bool
) -> None:
    host.sftp = sftp
    assert await failure(prober, storage(host)) is Reason.NO_SUCH_PATH
    host.disk.write_file("/zs", b"")
    assert await failure(prober, storage(host)) is Reason.NOT_A_DIRECTORY
    assert await failure(prober, storage(host), Layout.CREATE) is Reason.NOT_A_DIRECTORY
    host.disk.remove("/zs")
    host.disk.make_directory("/zs")
    assert await failure(prober, storage(host), Layout.REQUIRE) is Reason.NOT_MOUNTED
    host.disk.chmod("/zs", 0)
    assert await failure(prober, storage(host, "/zs/below")) is Reason.PERMISSION_DENIED
    host.disk.chmod("/zs", 0o755)
    host.disk.read_only = True
    assert await failure(prober, storage(host), Layout.CREATE) is Reason.PERMISSION_DENIED
    assert await failure(prober, storage(host, password="wrong")) is Reason.AUTH_FAILED


async def test_a_read_only_a_full_and_an_unmounted_disk_show_in_the_numbers(
    prober: Prober, host: SimulatedHost
) -> None:
    other = VirtualDisk(5000 * BLOCK)
    host.disk.make_directory("/zs")
    host.disk.mount("/zs", other)
    other.read_only = True
    found = await capacity(prober, host)
    assert (found.total, found.read_only) == (5000 * BLOCK, True)
    other.used = other.size
    assert (await capacity(prober, host)).available == 0
    host.disk.unmount("/zs")
    assert (await capacity(prober, host)).total == 1000 * BLOCK


async def test_a_warm_connection_is_lost_with_the_host_and_found_again(prober: Prober, host: SimulatedHost) -> None:
    await capacity(prober, host, layout=Layout.CREATE)
    await prober.probe(storage(host))
    assert host.logins == 1
    await host.stop()
    assert await failure(prober, storage(host)) is Reason.REFUSED
    await host.start()
    assert isinstance(await prober.probe(storage(host)), Capacity)
    assert host.logins == 2


@pytest.mark.thorough
async def test_two_hundred_hosts_are_logged_in_to_within_five_seconds_of_work() -> None:
    hosts = [SimulatedHost(f"h-{number}") for number in range(200)]
    prober = Prober(RealClock(), connect_timeout=60, command_timeout=60)
    began = time.process_time()
    try:
        for one in hosts:
            await one.start()
        found = await asyncio.gather(*(prober.probe(storage(one), layout=Layout.CREATE) for one in hosts))
        assert [one for one in found if not isinstance(one, Capacity)] == []
        assert time.process_time() - began < 5
    finally:
        await prober.close()
        await asyncio.gather(*(one.stop() for one in hosts))


# SFTP


async def test_files_go_to_the_virtual_disk_and_come_back(host: SimulatedHost, tmp_path: Path) -> None:
    content = bytes(range(256)) * 300
    (tmp_path / "image").write_bytes(content)
    async with logged_in(host) as connection, connection.start_sftp_client() as sftp:
        await sftp.mkdir("/zs")
        await sftp.put(tmp_path / "image", "/zs/image")
        assert host.disk.read_file("/zs/image") == content
        await sftp.get("/zs/image", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == content
        assert await sftp.getsize("/zs/image") == len(content)
        assert sorted(await sftp.listdir("/zs")) == [".", "..", "image"]
        assert await sftp.realpath(".") == "/root"
        await sftp.rename("/zs/image", "/zs/other")
        assert (await sftp.statvfs("/zs")).bfree == 1000 - 200 - 19
        async with sftp.open("/zs/other", "ab") as file:
            await file.write(b"!")
            assert (await file.statvfs()).blocks == 1000
            assert (await file.stat()).size == len(content) + 1
        async with sftp.open("/zs/other") as file:
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await file.write("x")
        await sftp.chmod("/zs/other", 0o600)
        assert host.disk.stat("/zs/other").mode == 0o600
        await sftp.truncate("/zs/other", 3)
        await sftp.remove("/zs/other")
        await sftp.rmdir("/zs")
    assert not host.disk.exists("/zs")
    assert host.disk.used == 200 * BLOCK


async def test_sftp_answers_as_openssh_does(host: SimulatedHost) -> None:
    host.disk.make_directory("/full/folder", parents=True)
    host.disk.write_file("/file", b"")
    async with logged_in(host) as connection, connection.start_sftp_client() as sftp:
        for missing in (sftp.stat("/nosuch"), sftp.statvfs("/nosuch"), sftp.listdir("/nosuch"), sftp.rmdir("/nosuch")):
            with pytest.raises(asyncssh.SFTPNoSuchFile, match="No such file"):
                await missing
        for failing in (sftp.mkdir("/file"), sftp.rmdir("/full"), sftp.remove("/full"), sftp.rename("/file", "/full")):
            with pytest.raises(asyncssh.SFTPFailure, match="Failure"):
                await failing
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await sftp.listdir("/file")
        with pytest.raises(asyncssh.SFTPOpUnsupported):
            await sftp.symlink("/file", "/link")
        host.disk.chmod("/full", 0)
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await sftp.stat("/full/folder")
        host.disk.used = host.disk.size
        with pytest.raises(asyncssh.SFTPFailure, match="Failure"):
            await sftp.mkdir("/more")
        host.disk.read_only = True
        with pytest.raises(asyncssh.SFTPFailure, match="Failure"):
            await sftp.remove("/file")


async def test_names_that_are_not_utf_8_are_kept_as_they_are(host: SimulatedHost) -> None:
    async with logged_in(host) as connection, connection.start_sftp_client(path_encoding=None) as sftp:
        await sftp.mkdir(b"/zs")
        await sftp.mkdir(b"/zs/\xff\xe9")
        assert b"\xff\xe9" in await sftp.listdir(b"/zs")
        result = await connection.run("ls /zs", encoding=None)
        assert result.stdout == b"\xff\xe9\n"


async def test_without_sftp_there_is_no_subsystem_and_never_another_one(host: SimulatedHost) -> None:
    host.sftp = False
    async with logged_in(host) as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.start_sftp_client()
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_process(subsystem="netconf")


# Commands and shells


async def test_a_command_returns_output_errors_and_status(host: SimulatedHost) -> None:
    async with logged_in(host) as connection:
        result = await connection.run("echo $USER; pwd; nosuch")
        assert (result.stdout, result.stderr, result.exit_status) == (
            "root\n/root\n",
            "sh: 1: nosuch: not found\n",
            127,
        )
        assert (await connection.run("cat; exit 3", input="typed")).stdout == "typed"


async def test_a_shell_without_a_terminal_runs_what_comes_in(host: SimulatedHost) -> None:
    async with logged_in(host) as connection:
        result = await connection.run(None, input="x=1\n{ echo $x\n}\ncd /\npwd\nexit 4\necho never\n")
        assert (result.stdout, result.exit_status) == ("1\n/\n", 4)
        result = await connection.run(None, input="fi\necho never\n")
        assert (result.stdout, result.exit_status) == ("", 2)
        result = await connection.run(None, input="echo 'open")
        assert (result.stderr, result.exit_status) == ("sh: 1: Syntax error: Unterminated quoted string\n", 2)


async def test_a_shell_on_a_terminal_prompts_and_continues_after_mistakes(host: SimulatedHost) -> None:
    async with logged_in(host) as connection:
        process = await connection.create_process(term_type="xterm")
        said = await process.stdout.readuntil("root@imagestore-1:~# ")
        for typed, answer in (
            ("cd /", "root@imagestore-1:/# "),
            ("fi", 'Syntax error: "fi" unexpected\r\nroot@imagestore-1:/# '),
            ("{ echo ab", "> "),
            ("}", "ab\r\nroot@imagestore-1:/# "),
            ("\x03", "\r\nroot@imagestore-1:/# "),
            ("cat", "cat\r\n"),
        ):
            process.stdin.write(f"{typed}\r" if typed != "\x03" else typed)
            said = await asyncio.wait_for(process.stdout.readuntil(answer), 60)
            assert said.endswith(answer)
        process.change_terminal_size(100, 40)
        process.stdin.write("typed\r\x04exit 5\r")
        assert "typed" in await process.stdout.read()
        await process.wait_closed()
        assert process.exit_status == 5


# OpenSSH's own client


needs_openssh = pytest.mark.skipif(
    not (shutil.which("ssh") and shutil.which("sftp")), reason="needs OpenSSH's ssh and sftp (Debian: openssh-client)"
)


@pytest.fixture
async def openssh(host: SimulatedHost, tmp_path: Path) -> list[str]:
    """Return the options that log OpenSSH's programs in."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "identity")
    (tmp_path / "identity").chmod(0o600)
    host.trusted_keys.append(key)
    options = {"IdentityFile": tmp_path / "identity", "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null"}
    options |= {"LogLevel": "ERROR", "IdentitiesOnly": "yes", "Port": host.address[1], "BatchMode": "yes"}
    return ["-F", "none", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]


async def run(*words: str, stdin: bytes = b"") -> tuple[int | None, str]:
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
    async with child(*words, **pipes) as process:
        output, _ = await asyncio.wait_for(process.communicate(stdin), 60)
    return process.returncode, output.decode()


@needs_openssh
async def test_openssh_runs_commands(host: SimulatedHost, openssh: list[str]) -> None:
    status, output = await run("ssh", *openssh, "root@127.0.0.1", "df -kP /; exit 3")
    assert (status, output.splitlines()[1]) == (3, "/dev/vda              4000   800      2800      23% /")


@needs_openssh
async def test_openssh_opens_a_shell_on_a_terminal(host: SimulatedHost, openssh: list[str]) -> None:
    status, output = await run("ssh", "-tt", *openssh, "root@127.0.0.1", stdin=b"mkdir /zs\rls /zs /\rexit 6\r")
    assert status == 6
    assert "root@imagestore-1:~# " in output
    assert host.disk.is_directory("/zs")


@needs_openssh
async def test_openssh_copies_files_by_sftp(host: SimulatedHost, openssh: list[str], tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"x" * 100_000)
    batch = (
        f"mkdir /zs\nput {tmp_path}/image /zs/image\nls -l /zs\ndf /zs\nget /zs/image {tmp_path}/back\nrm /zs/image\n"
    )
    status, output = await run("sftp", *openssh, "-b", "-", "root@127.0.0.1", stdin=batch.encode())
    assert status == 0, output
    assert (tmp_path / "back").read_bytes() == b"x" * 100_000
    assert "100000" in output
    assert host.disk.listdir("/zs") == []


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """Return a list of those who receive an empty packet that fills, in this process."""
    received: list[type] = []

    def note(self: SSHPacketLogger, kind: int, *_: object) -> None:
        if kind == MSG_IGNORE:
            received.append(type(self))

    monkeypatch.setattr(SSHPacketLogger, "log_received_packet", note)
    return received


async def test_a_probe_sends_no_empty_packets_to_fill_the_stream(
    host: SimulatedHost, prober: Prober, filled: list[type]
) -> None:
    await capacity(prober, host, Layout.CREATE)
    assert HostConnection not in filled


async def test_a_folder_is_created_with_those_above_it(host: SimulatedHost, prober: Prober) -> None:
    found = await prober.probe(storage(host, "/one/two/three"), layout=Layout.CREATE, fresh=True)
    assert isinstance(found, Capacity)
    assert host.disk.listdir("/one/two/three") == ["export", "registry"]


@pytest.mark.parametrize(
    "command", ["(" * 5000 + "true" + ")" * 5000, "echo " + "$(" * 3000 + "true" + ")" * 3000, "/tmp/again"],
    ids=["groups", "substitutions", "itself"],
)  # fmt: skip
async def test_a_script_that_nests_too_deep_fails(
    host: SimulatedHost, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    host.disk.write_file("/tmp/again", b"/tmp/again; /tmp/again")
    host.disk.chmod("/tmp/again", 0o755)
    async with logged_in(host) as connection:
        done = await connection.run(command)
        assert (done.exit_status, done.stdout, done.stderr) == (2, "", "sh: 1: Cannot fork\n")
    assert not caplog.records


async def test_a_session_ends_whose_output_is_not_read(host: SimulatedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagestore_sim.hosts.session.UNREAD_CHARACTERS", 100_000)
    host.disk.open("/tmp/zeros", create=True, write=True).extend(2**20)
    async with logged_in(host) as connection:
        done = await connection.run("cat" + " /tmp/zeros" * 9)
        assert done.exit_status is None
        assert 0 < len(str(done.stdout)) < 5 * 2**20
        assert (await connection.run("echo there")).stdout == "there\n"


@pytest.mark.thorough
async def test_a_command_over_many_lines_is_bounded(host: SimulatedHost) -> None:
    async with logged_in(host) as connection:
        done = await connection.run(input="{\n" + "true\n" * 2000 + "}\necho never\n")
        assert (done.exit_status, done.stdout) == (2, "")
        assert str(done.stderr).endswith('Syntax error: end of file unexpected (expecting "}")\n')


async def test_a_read_over_sftp_returns_no_more_than_openssh_does(host: SimulatedHost) -> None:
    host.disk.inodes, host.disk.reserved = 0, 0
    host.disk.resize(2**44)
    async with logged_in(host) as connection, connection.start_sftp_client() as sftp, sftp.open("/f", "wb") as file:
        await file.truncate(2**41)
        await file.write(b"x", 2**40)
        async with sftp.open("/f", "rb") as opened:
            assert opened._handle is not None
            data, _ = await sftp._handler.read(opened._handle, 2**40, 2**31)
    assert (len(data), data[:2]) == (256 * 1024, b"x\0")
