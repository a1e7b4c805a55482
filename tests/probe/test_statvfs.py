"""Capacity by SFTP, on a real sshd and on SFTP servers that fail in rare ways."""

from __future__ import annotations

import os
from pathlib import Path

import asyncssh
import pytest
from ssh_stubs import posix_shell, ssh_stub
from statvfs_servers import (
    SLACK,
    BrokenServer,
    EmptyServer,
    ForbiddenServer,
    FullServer,
    ReadOnlyServer,
    StatvfsServer,
)

from imagestore_sim.clock import RealClock
from imagestore_sim.probe import Capacity, Inodes, Layout, Method, ProbeFailure, Prober, Reason, Target
from rows import rows
from sshd import OpenSshServer


async def probe(server: OpenSshServer, url: Path | str, layout: Layout = Layout.ANY) -> Capacity | ProbeFailure:
    """Probe a real sshd once."""
    prober = Prober(RealClock(), identity_file=server.identity_file)
    result = await prober.probe(Target("127.0.0.1", server.port, server.username, str(url)), layout=layout)
    await prober.close()
    return result


async def probe_stub(sftp: type[asyncssh.SFTPServer], layout: Layout = Layout.ANY) -> Capacity | ProbeFailure:
    """Probe an SFTP server without a shell once."""
    async with ssh_stub(sftp=sftp) as stub:
        prober = Prober(RealClock())
        result = await prober.probe(stub.target(url="/zs/1"), layout=layout)
        await prober.close()
    return result


def reason(result: Capacity | ProbeFailure) -> Reason:
    """Return the reason of a failed probe."""
    assert isinstance(result, ProbeFailure), result
    return result.reason


@pytest.mark.sshd
async def test_the_capacity_is_that_of_statvfs(sshd: OpenSshServer, tmp_path: Path) -> None:
    result = await probe(sshd, tmp_path)
    expected = os.statvfs(tmp_path)
    assert isinstance(result, Capacity)
    assert result.total == expected.f_blocks * expected.f_frsize
    assert result.available == pytest.approx(expected.f_bavail * expected.f_frsize, abs=SLACK)
    assert result.read_only is bool(expected.f_flag & os.ST_RDONLY)
    assert result.method is Method.STATVFS
    if expected.f_files:
        assert result.inodes is not None
        assert result.inodes.total == expected.f_files
        assert result.inodes.available == pytest.approx(expected.f_favail, abs=SLACK)
    assert list(result.phases) == ["resolve", "tcp", "kex", "auth", "channel", "command"]
    assert min(result.phases.values()) > 0


async def test_available_is_what_is_not_kept_for_root_in_fragments_not_blocks() -> None:
    result = await probe_stub(StatvfsServer)
    assert isinstance(result, Capacity)
    assert (result.total, result.available) == (1000 * 4096, 300 * 4096)
    assert (result.inodes, result.read_only) == (Inodes(50, 40), False)


async def test_a_read_only_file_system_is_reported() -> None:
    result = await probe_stub(ReadOnlyServer)
    assert isinstance(result, Capacity)
    assert result.read_only is True


async def test_a_size_of_zero_is_no_capacity() -> None:
    assert reason(await probe_stub(EmptyServer)) is Reason.NO_CAPACITY


async def test_a_path_that_is_not_accessible_is_permission_denied() -> None:
    assert reason(await probe_stub(ForbiddenServer)) is Reason.PERMISSION_DENIED


async def test_a_file_system_that_fails_is_no_capacity() -> None:
    assert reason(await probe_stub(BrokenServer)) is Reason.NO_CAPACITY


async def test_folders_that_cannot_be_created_are_permission_denied() -> None:
    assert reason(await probe_stub(FullServer, Layout.CREATE)) is Reason.PERMISSION_DENIED


async def test_a_server_with_neither_extension_nor_shell_is_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncssh.sftp.SFTPServerHandler._extensions", [])
    assert reason(await probe_stub(StatvfsServer)) is Reason.NO_COMMAND


async def test_a_server_without_the_extension_is_asked_by_df(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("asyncssh.sftp.SFTPServerHandler._extensions", [])
    async with ssh_stub(sftp=StatvfsServer, process=posix_shell()) as stub:
        prober = Prober(RealClock())
        result = await prober.probe(stub.target(url=str(tmp_path)))
        await prober.close()
    assert isinstance(result, Capacity)
    assert result.method is Method.DF


@pytest.mark.sshd
async def test_a_missing_path_is_no_such_path(sshd: OpenSshServer, tmp_path: Path) -> None:
    assert reason(await probe(sshd, tmp_path / "missing")) is Reason.NO_SUCH_PATH


@pytest.mark.sshd
async def test_a_file_is_not_a_directory(sshd: OpenSshServer, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert reason(await probe(sshd, file)) is Reason.NOT_A_DIRECTORY
    assert reason(await probe(sshd, file, Layout.CREATE)) is Reason.NOT_A_DIRECTORY
    assert reason(await probe(sshd, file / "below", Layout.CREATE)) is Reason.NOT_A_DIRECTORY


@pytest.mark.sshd
@pytest.mark.skipif(os.geteuid() == 0, reason="root may go everywhere")
async def test_below_a_closed_directory_is_permission_denied(sshd: OpenSshServer, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    for layout in Layout:
        assert reason(await probe(sshd, tmp_path / "closed" / "zs", layout)) is Reason.PERMISSION_DENIED


@pytest.mark.sshd
async def test_create_makes_the_url_and_both_folders_and_leaves_what_is_there(
    sshd: OpenSshServer, tmp_path: Path
) -> None:
    url = tmp_path / "a" / "zs 1"
    for _ in range(2):
        assert isinstance(await probe(sshd, url, Layout.CREATE), Capacity)
        assert sorted(entry.name for entry in url.iterdir()) == ["export", "registry"]


@pytest.mark.sshd
async def test_folder_makes_the_url_and_nothing_in_it(sshd: OpenSshServer, tmp_path: Path) -> None:
    url = tmp_path / "a" / "zs 1"
    for _ in range(2):
        assert isinstance(await probe(sshd, url, Layout.FOLDER), Capacity)
        assert list(url.iterdir()) == []


@pytest.mark.sshd
async def test_require_fails_as_not_mounted_when_both_folders_are_missing(sshd: OpenSshServer, tmp_path: Path) -> None:
    assert reason(await probe(sshd, tmp_path, Layout.REQUIRE)) is Reason.NOT_MOUNTED
    assert not list(tmp_path.iterdir())
    (tmp_path / "export").mkdir()
    assert isinstance(await probe(sshd, tmp_path, Layout.REQUIRE), Capacity)


@pytest.mark.sshd
@rows("layout", Layout)
async def test_read_only_hosts_are_neither_written_nor_expected_to_hold_folders(
    sshd: OpenSshServer, tmp_path: Path, layout: Layout
) -> None:
    prober = Prober(RealClock(), identity_file=sshd.identity_file, read_only_hosts=True)
    target = Target("127.0.0.1", sshd.port, sshd.username, str(tmp_path))
    assert isinstance(await prober.probe(target, layout=layout), Capacity)
    await prober.close()
    assert not list(tmp_path.iterdir())
