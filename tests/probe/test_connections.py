"""Logging in, and every way in which that fails."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, cast

import asyncssh
import pytest
from asyncssh.packet import SSHPacket
from ssh_stubs import PASSWORD, saying, ssh_stub, tcp_server

from imagestore_sim.clock import RealClock
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.probe import Capacity, ProbeFailure, Prober, Reason, Target, login_slots
from imagestore_sim.virtual_clock import virtual_clock
from running_clock import here
from sshd import OpenSshServer, StartSshd

in_virtual_time = pytest.mark.imagestore_lab(clock="virtual")


def target(port: int, hostname: str = "127.0.0.1", username: str = "root", password: str | None = PASSWORD) -> Target:
    """Return a target at / of a host."""
    return Target(hostname, port, username, "/", password)


async def failure(target: Target, *, connect_timeout: float = 60.0) -> ProbeFailure:
    """How a probe of `target` fails, with nothing left behind. The default is what a busy machine may take."""
    prober = Prober(RealClock(), connect_timeout=connect_timeout, busy_pauses=())
    return await failure_of(prober, target)


async def failure_within(seconds: float, target: Target) -> ProbeFailure:
    """How a probe of a server in this process fails, with `seconds` of virtual time for a login."""
    prober = Prober(virtual_clock(), resolve=here, connect_timeout=seconds, busy_pauses=())
    return await failure_of(prober, target)


async def failure_of(prober: Prober, target: Target) -> ProbeFailure:
    """How a probe of `target` fails; close the prober."""
    result = await prober.probe(target)
    await prober.close()
    assert isinstance(result, ProbeFailure), result
    assert result.message.startswith(f"{target.hostname}:{target.port}: ")
    return result


async def test_a_closed_port_is_refused() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        result = await failure(target(unheard.getsockname()[1]))
    assert result.reason is Reason.REFUSED
    assert list(result.phases) == ["resolve", "tcp"]


@pytest.mark.parametrize("hostname", ["no-such-host.invalid", "a..b", "x" * 70])
async def test_a_name_that_does_not_resolve_is_dns(hostname: str) -> None:
    result = await failure(target(22, hostname))
    assert result.reason is Reason.DNS
    assert list(result.phases) == ["resolve"]


async def test_a_resolver_that_hangs_is_a_timeout() -> None:
    async def resolve(_hostname: str, _port: int) -> tuple[str, int]:
        await asyncio.sleep(60)
        raise AssertionError

    prober = Prober(RealClock(), resolve=resolve, connect_timeout=0.05)
    result = await prober.probe(target(22))
    assert isinstance(result, ProbeFailure)
    assert result.reason is Reason.TIMEOUT
    assert result.phases["resolve"] >= 49
    await prober.close()


async def test_a_web_server_is_not_ssh() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>")

    async with tcp_server(answer) as port:
        result = await failure(target(port))
    assert result.reason is Reason.NOT_SSH
    assert "HTTP/1.1 400 Bad Request" in result.message


@in_virtual_time
async def test_another_protocol_that_waits_is_not_ssh() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()

    async with tcp_server(greet) as port:
        assert (await failure_within(1, target(port))).reason is Reason.NOT_SSH


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-x\xff\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 99, b"SSH-1.5-x\r\n", b"x" * 70_000]
)
async def test_garbage_is_not_ssh(garbage: bytes) -> None:
    async def spill(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        await reader.read()

    async with tcp_server(spill) as port:
        assert (await failure(target(port))).reason is Reason.NOT_SSH


@in_virtual_time
async def test_no_banner_is_a_timeout() -> None:
    async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with tcp_server(wait) as port:
        result = await failure_within(0.1, target(port))
    assert result.reason is Reason.TIMEOUT
    assert "banner" in result.message
    assert result.phases["kex"] == pytest.approx(100)


async def test_closed_before_the_banner_is_busy() -> None:
    async def close(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readline()

    async with tcp_server(close) as port:
        assert (await failure(target(port))).reason is Reason.BUSY


async def test_reset_before_the_banner_is_reset() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with tcp_server(reset) as port:
        assert (await failure(target(port))).reason is Reason.RESET


async def test_a_wrong_password_is_auth_failed() -> None:
    async with ssh_stub() as stub:
        result = await failure(target(stub.port, password="wrong"))
        await stub.until_left()
    assert result.reason is Reason.AUTH_FAILED
    assert "root" in result.message
    assert "wrong" not in result.message
    assert list(result.phases) == ["resolve", "tcp", "kex", "auth"]
    assert stub.logins == 1


@pytest.mark.parametrize("username", ["root", "nobody\x00", "\ud800", "u" * 300])
async def test_no_password_and_odd_user_names_are_auth_failed(username: str) -> None:
    async with ssh_stub() as stub:
        assert (await failure(target(stub.port, username=username, password=None))).reason is Reason.AUTH_FAILED


@pytest.mark.parametrize("password", ["", "\x00", "\ud800", "ü\u0007"])
async def test_odd_passwords_are_auth_failed(password: str) -> None:
    async with ssh_stub() as stub:
        assert (await failure(target(stub.port, password=password))).reason is Reason.AUTH_FAILED


@in_virtual_time
async def test_a_login_that_takes_too_long_is_a_timeout() -> None:
    async with ssh_stub(clock=virtual_clock()) as stub:
        stub.seconds_a_login = 60
        result = await failure_within(1, target(stub.port))
        await stub.until_left()
    assert result.reason is Reason.TIMEOUT
    assert "authenticating" in result.message


@in_virtual_time
async def test_no_more_logins_are_under_way_than_allowed_and_waiting_for_one_costs_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(login_slots, "PATIENCE_SECONDS", 60)  # no login leaves its place
    async with ssh_stub(process=saying(""), clock=virtual_clock()) as stub:
        stub.seconds_a_login = 0.4
        prober = Prober(virtual_clock(), resolve=stub.resolve, connect_timeout=1.6, max_logins=2)
        results = await asyncio.gather(*(prober.probe(stub.target(f"host-{number}")) for number in range(10)))
        await prober.close()
    reasons = {result.reason for result in results if isinstance(result, ProbeFailure)}
    assert reasons == {Reason.NO_CAPACITY}
    assert stub.most_logging_in == 2


@in_virtual_time
async def test_waiting_for_a_turn_to_ask_for_the_address_costs_no_time_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_slots, "PATIENCE_SECONDS", 60)  # no login leaves its place
    async with ssh_stub(process=saying(""), clock=virtual_clock()) as stub:
        stub.seconds_a_login = 1.2
        prober = Prober(virtual_clock(), resolve=stub.resolve, connect_timeout=2.3, max_logins=1)
        first = asyncio.create_task(prober.probe(stub.target("host-1")))
        await stub.until_logging_in()
        second = await prober.probe(stub.target("host-2"))
        await first
        await prober.close()
    assert isinstance(second, ProbeFailure)
    assert second.reason is Reason.NO_CAPACITY


async def test_neither_agent_nor_keys_of_the_user_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def agent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.close()

    (tmp_path / ".ssh").mkdir()
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / ".ssh" / "id_ed25519")
    (tmp_path / ".ssh" / "config").write_text("Port 1\nUser someone\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    async with await asyncio.start_unix_server(agent, tmp_path / "agent"), ssh_stub(process=saying("")) as stub:
        assert (await failure(stub.target())).reason is Reason.NO_CAPACITY
        assert (await failure(target(stub.port, password=None))).reason is Reason.AUTH_FAILED
    assert not asked.is_set()


@pytest.mark.sshd
async def test_the_identity_file_is_tried_before_the_password(sshd: OpenSshServer, tmp_path: Path) -> None:
    prober = Prober(RealClock(), identity_file=sshd.identity_file)
    result = await prober.probe(Target("127.0.0.1", sshd.port, sshd.username, str(tmp_path), "wrong"))
    await prober.close()
    assert isinstance(result, Capacity)
    assert "Failed password" not in sshd.log.read_text()


async def test_what_one_server_takes_for_a_signature_is_not_offered_to_an_older_one(tmp_path: Path) -> None:
    key = tmp_path / "key"
    asyncssh.generate_private_key("ssh-rsa", key_size=2048).write_private_key(key)
    signed: list[bytes] = []

    class Account(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            inside = cast("Any", conn)
            validate = inside.validate_public_key

            async def note(username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
                if signature:
                    signed.append(SSHPacket(signature).get_string())
                return bool(await validate(username, key_data, msg, signature))

            inside.validate_public_key = note
            if len(signed) != 1:  # an older server does not say which signatures it takes
                inside._send_ext_info = lambda: None

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return True

    prober = Prober(RealClock(), identity_file=key)
    async with ssh_stub(process=saying(""), account=cast("Any", lambda _: Account())) as stub:
        for _ in range(3):
            await prober.probe(stub.target(), fresh=True)
    await prober.close()
    older, newer, older_again = signed
    assert older == older_again != newer


@pytest.mark.sshd
@pytest.mark.parametrize("username", [None, "no-such-user"])
async def test_a_key_that_is_not_authorized_and_an_unknown_user_are_auth_failed(
    sshd: OpenSshServer, tmp_path: Path, username: str | None
) -> None:
    key = tmp_path / "key"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(key)
    prober = Prober(RealClock(), identity_file=key if username is None else sshd.identity_file)
    result = await prober.probe(Target("127.0.0.1", sshd.port, username or sshd.username, "/", "wrong"))
    await prober.close()
    assert isinstance(result, ProbeFailure)
    assert result.reason is Reason.AUTH_FAILED


@pytest.mark.sshd
@pytest.mark.parametrize("lines", [(), ("PasswordAuthentication yes",)], ids=["alone", "beside-passwords"])
async def test_a_wrong_password_is_one_attempt_at_an_sshd_whose_keyboard_interactive_asks_nothing(
    start_sshd: StartSshd, lines: tuple[str, ...]
) -> None:
    sshd = start_sshd("LogLevel DEBUG1", "KbdInteractiveAuthentication yes", *lines)  # which no PAM answers
    result = await failure(target(sshd.port, password="wrong"))
    assert result.reason is Reason.AUTH_FAILED
    assert "permission denied" in result.message, result
    log = sshd.log.read_text()
    assert log.count("method keyboard-interactive") + log.count("method password") == 1, log


@pytest.mark.sshd
async def test_an_sshd_that_stands_still_is_a_timeout(sshd: OpenSshServer) -> None:
    with sshd.frozen():
        assert (await failure(target(sshd.port), connect_timeout=0.1)).reason is Reason.TIMEOUT


@pytest.mark.sshd
async def test_an_sshd_at_its_max_startups_is_busy(start_sshd: StartSshd) -> None:
    sshd = start_sshd("MaxStartups 1:100:1")
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", sshd.port)
        while not (await reader.readline()).startswith(b"SSH-"):  # until sshd has done with the fixture's connection
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", sshd.port)
    assert (await failure(target(sshd.port))).reason is Reason.BUSY
    writer.close()
    await writer.wait_closed()


def test_an_identity_file_that_is_missing_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"identity file .*/missing: No such file or directory"):
        Prober(RealClock(), identity_file=tmp_path / "missing")


def test_an_identity_file_without_a_key_is_a_value_error(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hello")
    with pytest.raises(ValueError, match=r"identity file .*/key: "):
        Prober(RealClock(), identity_file=tmp_path / "key")


@pytest.mark.parametrize("format_name", ["RFC4716", "PKCS8", "PEM"])
def test_an_identity_file_with_a_passphrase_is_a_value_error(tmp_path: Path, format_name: str) -> None:
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("needs ssh-keygen (Debian: openssh-client)")
    key = tmp_path / "key"
    subprocess.run([program, "-q", "-t", "ecdsa", "-m", format_name, "-N", "passphrase", "-f", key], check=True)
    with pytest.raises(ValueError, match=r"identity file .*/key: Passphrase"):
        Prober(RealClock(), identity_file=key)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_identity_file_that_may_not_be_read_is_a_value_error(tmp_path: Path) -> None:
    (tmp_path / "key").touch(mode=0)
    with pytest.raises(ValueError, match="Permission denied"):
        Prober(RealClock(), identity_file=tmp_path / "key")


async def test_a_connection_that_is_closed_before_its_end_is_handed_on_is_replaced() -> None:
    async with SimulatedHost("imagestore-1") as host:

        async def resolve(_hostname: str, _port: int) -> tuple[str, int]:
            return host.address

        prober = Prober(RealClock(), resolve=resolve)
        of_host = Target("imagestore-1", 22, "root", "/", "password")
        assert isinstance(await prober.probe(of_host), Capacity)
        (kept,) = prober._connections._kept.values()
        await host.faults.apply(read_fault("refuse", {"cut": True}))
        async with asyncio.timeout(30):
            while kept._tunnel._transport is not None:
                await asyncio.sleep(0)
        assert not kept._ssh.is_closed(), "asyncssh is handed the end some turns later"
        found = await prober.probe(of_host, fresh=True)
        await prober.close()
    assert isinstance(found, ProbeFailure)
    assert found.reason is Reason.REFUSED
