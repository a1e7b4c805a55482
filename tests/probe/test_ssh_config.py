"""OpenSSH configuration files: where a host is, by which key, and by way of whom."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import Credentials, HostNetwork, SimulatedHost
from imagestore_sim.probe import Capacity, ProbeFailure, Prober, Reason, Target
from sshd import OpenSshServer, StartSshd

NEW = ["resolve", "tcp", "kex", "auth", "channel", "command"]


@asynccontextmanager
async def probing(config: Path, **options: object) -> AsyncIterator[Prober]:
    prober = Prober(RealClock(), ssh_config=config, connect_timeout=60, **options)  # type: ignore[arg-type]
    yield prober
    await prober.close()


async def probe(config: Path, target: Target) -> Capacity | ProbeFailure:
    async with probing(config) as prober:
        return await prober.probe(target)


def write(folder: Path, text: str) -> Path:
    file = folder / "config"
    file.write_text(text)
    return file


async def test_the_labs_own_configuration_reaches_its_hosts_by_name_and_key(tmp_path: Path) -> None:
    network = HostNetwork()
    await network.add(SimulatedHost("imagestore-1", credentials=Credentials("root", "secret")))
    config = await network.write_ssh_config(tmp_path)
    found = await probe(config, Target("imagestore-1", 22, "root", "/"))
    await network.close()
    assert isinstance(found, Capacity), found
    assert list(found.phases) == NEW


async def test_a_port_of_the_record_wins_unless_it_is_22_and_so_does_its_user(tmp_path: Path) -> None:
    async with SimulatedHost("h", credentials=Credentials("root", "secret")) as host:
        address, port = host.address
        config = write(
            tmp_path, f"Host a\n  HostName {address}\n  Port {port}\n  User nobody\nHost b\n  HostName {address}\n"
        )
        assert isinstance(await probe(config, Target("a", 22, "root", "/", "secret")), Capacity)
        assert isinstance(await probe(config, Target("b", port, "root", "/", "secret")), Capacity)
        closed = await probe(config, Target("a", 1, "root", "/", "secret"))
    assert isinstance(closed, ProbeFailure)
    assert closed.reason is Reason.REFUSED


async def test_keys_that_cannot_be_used_are_passed_over_and_the_users_own_are_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / ".ssh" / "id_ed25519")
    monkeypatch.setenv("HOME", str(tmp_path))
    credentials = Credentials("root", "secret", keys=[key.export_public_key().decode()])
    async with SimulatedHost("h", credentials=credentials) as host:
        address, port = host.address
        config = write(tmp_path, f"Host a\n  HostName {address}\n  Port {port}\n  IdentityFile {tmp_path}/nosuch\n")
        assert isinstance(await probe(config, Target("a", 22, "root", "/", "secret")), Capacity)
        found = await probe(config, Target("a", 22, "root", "/"))
    assert isinstance(found, ProbeFailure)
    assert found.reason is Reason.AUTH_FAILED


@pytest.mark.sshd
@pytest.mark.skipif(shutil.which("sftp") is None, reason="needs OpenSSH's sftp-server")
async def test_a_host_behind_another_is_reached_by_way_of_it(start_sshd: StartSshd, tmp_path: Path) -> None:
    jump, behind = start_sshd(), start_sshd()
    config = write(tmp_path, jumping(jump, behind.port, behind.identity_file))
    async with probing(config) as prober:
        for _ in range(2):
            found = await prober.probe(Target("behind", 22, behind.username, str(tmp_path)))
            assert isinstance(found, Capacity), found
        assert list(found.phases) == ["command"]
        behind.stop()
        lost = await prober.probe(Target("behind", 22, behind.username, str(tmp_path)))
        assert isinstance(lost, ProbeFailure)
        assert lost.reason is Reason.REFUSED
        jump.stop()
        lost = await prober.probe(Target("behind", 22, behind.username, str(tmp_path)))
        assert isinstance(lost, ProbeFailure)
        assert lost.reason is Reason.REFUSED


@pytest.mark.sshd
async def test_a_jump_host_behind_which_nothing_answers_is_left(start_sshd: StartSshd, tmp_path: Path) -> None:
    jump = start_sshd()
    hole = SimulatedHost("hole")
    async with hole:
        await hole.faults.apply(read_fault("half_open", {}))
        config = write(tmp_path, jumping(jump, hole.address[1], jump.identity_file))
        prober = Prober(RealClock(), ssh_config=config, connect_timeout=1.5)
        found = await prober.probe(Target("behind", 22, "root", "/"))
        await prober.close()
        assert isinstance(found, ProbeFailure)
        assert found.reason is Reason.TIMEOUT
        async with asyncio.timeout(60):
            while jump.connections():
                await asyncio.sleep(0.01)


def jumping(jump: OpenSshServer, port: int, identity_file: Path) -> str:
    return (
        f"Host jump\n  HostName 127.0.0.1\n  Port {jump.port}\n  User {jump.username}\n"
        f"  IdentityFile {jump.identity_file}\n  UserKnownHostsFile none\n"
        f"Host behind\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {identity_file}\n  ProxyJump jump\n"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "No such file or directory"),
        ("Port ninety\n", "integer"),
        ("Host\n", "Missing"),
        ("Include {file}\nInclude {file}\n", "config includes itself"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_value_error(tmp_path: Path, text: str | None, complaint: str) -> None:
    file = tmp_path / "config"
    if text is not None:
        file.write_text(text.format(file=file))
    with pytest.raises(ValueError, match=rf"SSH configuration .*/config: .*{complaint}"):
        Prober(RealClock(), ssh_config=file)


def test_each_included_file_is_read_once_and_not_too_deep(tmp_path: Path) -> None:
    for level in range(18):
        below = tmp_path / f"config-{level + 1}"
        (tmp_path / f"config-{level}").write_text(f"Include {below}\n" * (1 if level else 2))
    with pytest.raises(ValueError, match="config-17 is more than 16 levels of Include below"):
        Prober(RealClock(), ssh_config=tmp_path / "config-0")
    twice = tmp_path / "twice"
    twice.write_text(f"Include {tmp_path}/config-2\nInclude {tmp_path}/config-2\n")
    Prober(RealClock(), ssh_config=twice)
