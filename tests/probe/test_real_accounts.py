"""Accounts that a real sshd sends away: expired, or with a password that has expired, as PAM has it.

The server sees files of accounts of its own, in a namespace of its own: the machine's are not touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.probe import Capacity, ProbeFailure, Prober, Reason, Target
from sshd import OpenSshServer, find_sshd

SHADOW = "store:*:{changed}:0:99999:7::{expires}:\n"
PASSWD = "store:x:4242:4242::/:{shell}\n"
PAM = "account required pam_unix.so\nsession required pam_unix.so\nauth required pam_deny.so\n"


@contextmanager
def sshd_with(directory: Path, *, changed: int = 19000, expires: str = "", shell: str = "/bin/sh") -> Iterator[Target]:
    """Run an sshd with an account `store`; dates are days since 1970. Return a target on it."""
    if os.geteuid() != 0 or find_sshd() is None or shutil.which("unshare") is None:
        pytest.skip("needs root, sshd and unshare")
    # By root, since the account may not look into the folders of temporary files.
    keys = f"AuthorizedKeysCommand {shutil.which('cat')} {directory}/authorized_keys", "AuthorizedKeysCommandUser root"
    server = OpenSshServer(directory, "UsePAM yes", "StrictModes no", *keys)
    files = {"passwd": PASSWD.format(shell=shell), "shadow": SHADOW.format(changed=changed, expires=expires)}
    for name, text in files.items():
        (directory / name).write_text(Path("/etc", name).read_text() + text)
    (directory / "pam").write_text(PAM)
    binds = (("passwd", "/etc/passwd"), ("shadow", "/etc/shadow"), ("pam", "/etc/pam.d/sshd"))
    if not Path("/etc/pam.d/sshd").exists():
        pytest.skip("needs sshd with PAM")
    mounts = " && ".join(f"mount --bind {directory}/{name} {place}" for name, place in binds)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    command = f"{mounts} && exec {find_sshd()} -D -e -f {server._write_configuration()}"
    with server.log.open("ab") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", command], stderr=log, stdout=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 60
        while not server._listens():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"no such sshd here: {server.log.read_text()}")
            time.sleep(0.02)
        yield Target("127.0.0.1", server.port, "store", "/tmp")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def probe(target: Target, directory: Path) -> Capacity | ProbeFailure:
    prober = Prober(RealClock(), identity_file=directory / "identity", busy_pauses=())
    try:
        return await prober.probe(target)
    finally:
        await prober.close()


@pytest.mark.sshd
async def test_an_account_that_is_well_is_let_in(tmp_path: Path) -> None:
    with sshd_with(tmp_path) as target:
        assert isinstance(found := await probe(target, tmp_path), Capacity), found


@pytest.mark.sshd
async def test_an_expired_account_is_auth_failed_not_a_network_failure(tmp_path: Path) -> None:
    with sshd_with(tmp_path, expires="1") as target:
        found = await probe(target, tmp_path)
    assert isinstance(found, ProbeFailure)
    assert found.reason is Reason.AUTH_FAILED, found
    assert "firewall" not in found.advice
    assert "expired" in found.advice


@pytest.mark.sshd
async def test_a_password_that_has_expired_says_so(tmp_path: Path) -> None:
    with sshd_with(tmp_path, changed=0) as target:
        found = await probe(target, tmp_path)
    assert isinstance(found, ProbeFailure)
    assert found.reason is Reason.AUTH_FAILED, found
    assert "password has expired" in found.advice


@pytest.mark.sshd
async def test_a_connection_of_a_password_that_had_expired_is_not_used_again(tmp_path: Path) -> None:
    with sshd_with(tmp_path, changed=0) as target:
        prober = Prober(RealClock(), identity_file=tmp_path / "identity", busy_pauses=())
        try:
            expired = await prober.probe(target)
            shadow = Path("/etc/shadow").read_text() + SHADOW.format(changed=19000, expires="")
            (tmp_path / "shadow").write_text(shadow)
            renewed = await prober.probe(target)
        finally:
            await prober.close()
    assert isinstance(expired, ProbeFailure)
    assert expired.reason is Reason.AUTH_FAILED, expired
    assert isinstance(renewed, Capacity), renewed


@pytest.mark.sshd
async def test_a_nologin_shell_has_its_own_advice(tmp_path: Path) -> None:
    nologin = shutil.which("nologin", path="/usr/sbin:/sbin")
    if nologin is None:
        pytest.skip("needs nologin")
    with sshd_with(tmp_path, shell=nologin) as target:
        found = await probe(target, tmp_path)
    if isinstance(found, Capacity):
        return  # internal-sftp needs no shell
    assert found.reason is Reason.NO_CAPACITY, found
    assert "login shell" in found.advice
