"""Host keys: any, the first that a host shows, or those in a file."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest
from asyncssh.logging import SSHLogger
from asyncssh.packet import SSHPacketLogger

from imagestore_sim.clock import RealClock
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.probe import Capacity, HostKeyPolicy, ProbeFailure, Prober, Reason, Target
from imagestore_sim.ssh_logs import format_what_is_logged
from sshd import StartSshd


@pytest.fixture
async def host() -> AsyncIterator[SimulatedHost]:
    async with SimulatedHost("imagestore-1") as host:
        yield host


@asynccontextmanager
async def probing(host: SimulatedHost, policy: HostKeyPolicy, known_hosts: Path) -> AsyncIterator[Prober]:
    async def resolve(_hostname: str, _port: int) -> tuple[str, int]:
        return host.address

    prober = Prober(RealClock(), resolve=resolve, host_keys=policy, known_hosts=known_hosts)
    yield prober
    await prober.close()


async def probe(prober: Prober, port: int = 22) -> Capacity | ProbeFailure:
    return await prober.probe(Target("imagestore-1", port, "root", "/", "password"), fresh=True)


async def refusal(prober: Prober, port: int = 22) -> str:
    found = await probe(prober, port)
    assert isinstance(found, ProbeFailure), found
    assert found.reason is Reason.HOST_KEY_CHANGED
    return found.message


@pytest.mark.parametrize(("port", "name"), [(22, "imagestore-1"), (2222, "[imagestore-1]:2222")])
async def test_the_first_key_is_noted_and_another_one_is_a_change(
    host: SimulatedHost, tmp_path: Path, port: int, name: str
) -> None:
    file = tmp_path / "known_hosts"
    async with probing(host, HostKeyPolicy.TOFU, file) as prober:
        for _ in range(2):
            assert isinstance(await probe(prober, port), Capacity)
        assert [line.split()[:2] for line in file.read_text().splitlines()] == [[name, "ssh-ed25519"]]
        assert file.stat().st_mode & 0o777 == 0o600
        changed = await host.faults.apply(read_fault("host_key_changed", {}))
        message = await refusal(prober, port)
        assert message.count("ssh-ed25519 SHA256:") == 2
        assert str(file) in message
        await changed.heal()
        assert isinstance(await probe(prober, port), Capacity)


async def test_a_change_outlives_the_prober_and_ends_when_the_line_is_taken_out(
    host: SimulatedHost, tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    async with probing(host, HostKeyPolicy.TOFU, file) as prober:
        assert isinstance(await probe(prober), Capacity)
    await host.faults.apply(read_fault("host_key_changed", {}))
    async with probing(host, HostKeyPolicy.TOFU, file) as prober:
        await refusal(prober)
        file.write_text("# nobody\n")
        assert isinstance(await probe(prober), Capacity)


async def test_strict_trusts_only_what_the_file_holds_and_notes_nothing(host: SimulatedHost, tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    async with probing(host, HostKeyPolicy.STRICT, file) as prober:
        assert "has none for it" in await refusal(prober)
        assert not file.exists()
    async with probing(host, HostKeyPolicy.TOFU, file) as prober:
        await probe(prober)
    async with probing(host, HostKeyPolicy.STRICT, file) as prober:
        assert isinstance(await probe(prober), Capacity)


async def test_a_host_that_has_no_key_of_a_known_kind_is_a_change(host: SimulatedHost, tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    file.write_text(f"imagestore-1 {other}")
    async with probing(host, HostKeyPolicy.TOFU, file) as prober:
        message = await refusal(prober)
    assert "the host shows the key ssh-ed25519 SHA256:" in message
    assert "has ecdsa-sha2-nistp256 SHA256:" in message


@pytest.mark.sshd
async def test_a_real_sshd_is_asked_for_the_kind_of_key_that_is_known_and_shows_another_if_it_has_none(
    start_sshd: StartSshd, tmp_path: Path
) -> None:
    keys = {kind: tmp_path / kind for kind in ("ssh-rsa", "ecdsa-sha2-nistp256")}
    for kind, file in keys.items():
        key = asyncssh.generate_private_key(kind)
        key.write_private_key(file)
        file.chmod(0o600)
    sshd = start_sshd(*(f"HostKey {file}" for file in keys.values()))
    known = tmp_path / "known_hosts"
    public = asyncssh.read_private_key(keys["ssh-rsa"]).export_public_key().decode()
    known.write_text(f"[127.0.0.1]:{sshd.port} {public}")
    prober = Prober(RealClock(), host_keys=HostKeyPolicy.STRICT, known_hosts=known, identity_file=sshd.identity_file)
    target = Target("127.0.0.1", sshd.port, sshd.username, "/")
    assert isinstance(await prober.probe(target), Capacity)
    sshd.stop()
    sshd.lines = (f"HostKey {keys['ecdsa-sha2-nistp256']}",)
    sshd.start()
    found = await prober.probe(target, fresh=True)
    await prober.close()
    assert isinstance(found, ProbeFailure)
    assert found.reason is Reason.HOST_KEY_CHANGED
    assert found.message.count("ssh-rsa SHA256:") == 1


async def test_ignored_keys_are_neither_read_nor_noted(host: SimulatedHost, tmp_path: Path) -> None:
    async with probing(host, HostKeyPolicy.IGNORE, tmp_path / "nosuch" / "known_hosts") as prober:
        assert isinstance(await probe(prober), Capacity)
        await host.faults.apply(read_fault("host_key_changed", {}))
        assert isinstance(await probe(prober), Capacity)


def test_a_file_that_cannot_be_read_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"known hosts .*: Is a directory"):
        Prober(RealClock(), host_keys=HostKeyPolicy.STRICT, known_hosts=tmp_path)


async def test_keys_are_exchanged_again_on_a_connection_that_is_kept(host: SimulatedHost, tmp_path: Path) -> None:
    """What only the login of a connection needed is dropped; a host key is needed again."""
    target = Target("imagestore-1", 22, "root", "/", "password")
    async with probing(host, HostKeyPolicy.TOFU, tmp_path / "known_hosts") as prober:
        assert isinstance(await prober.probe(target), Capacity)
        (kept,) = prober._connections._kept.values()
        keys = kept._ssh._send_encryption
        kept._ssh._rekey_bytes_sent = kept._ssh._rekey_bytes
        assert isinstance(await prober.probe(target), Capacity)
        assert (prober._connections._kept["imagestore-1"], host.logins) == (kept, 1)
        assert kept._ssh._send_encryption is not keys


def test_asyncssh_formats_only_what_it_logs(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    format_what_is_logged()
    packets, log = SSHPacketLogger(), SSHLogger(parent=logging.getLogger("asyncssh"))
    monkeypatch.setattr(SSHPacketLogger, "logger", log)
    with caplog.at_level(logging.DEBUG, "asyncssh"):
        packets.log_sent_packet(2, 0, b"one")
        monkeypatch.setattr(SSHLogger, "_debug_level", 3)
        packets.log_sent_packet(2, 0, b"two")
        log.info("%s there", ["who", b"is"])
    assert [line.getMessage().splitlines()[0] for line in caplog.records][-1] == "who,is there"
    assert len(caplog.records) == 2


async def test_of_many_lines_that_cannot_be_read_some_are_logged_and_the_others_counted(
    host: SimulatedHost, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "known_hosts").write_text("".join(f"nokey{number}\n" for number in range(500)))
    async with probing(host, HostKeyPolicy.TOFU, tmp_path / "known_hosts") as prober:
        assert isinstance(await probe(prober), Capacity)
        assert isinstance(await probe(prober), Capacity)
    logged = [one.getMessage() for one in caplog.records if "passed over" in one.getMessage()]
    assert len(logged) == 11
    assert logged[-1].endswith("known_hosts: 490 more lines are passed over")
