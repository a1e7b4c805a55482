"""`serve` over a real OpenSSH server: capacity, an outage, a login that is refused."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.testing.client import Json
from processes import running
from sshd import OpenSshServer, StartSshd

pytestmark = [pytest.mark.sshd, pytest.mark.processes]
INTERVAL_SECONDS = 1
WITHIN = 60.0
"""Real seconds, on a busy machine. How soon an outage is noticed, tests in virtual time say."""
STORAGES = "/backup-storage/image-store"


@pytest_asyncio.fixture
async def client(sshd: OpenSshServer, tmp_path: Path) -> AsyncIterator[Client]:
    """Return a client that has logged in at a node with the sshd's key."""
    arguments = ("--port", "0", "--ping-interval", str(INTERVAL_SECONDS), "--identity-file", str(sshd.identity_file))
    async with running("serve", *arguments, cwd=tmp_path) as node, Client(node.url) as client:
        await client.log_in()
        yield client


async def add(client: Client, sshd: OpenSshServer, url: Path, **values: object) -> Json:
    return await client.add_image_store("127.0.0.1", sshPort=sshd.port, username=sshd.username, url=str(url), **values)


async def df(path: Path) -> tuple[int, int]:
    """Total and available bytes, as the host's own df has them."""
    output = await asyncio.to_thread(subprocess.check_output, ["df", "-B1", "-P", str(path)])
    _, total, _, available, *_ = output.decode().splitlines()[-1].split()
    return int(total), int(available)


async def test_capacity_is_what_df_says(client: Client, sshd: OpenSshServer, tmp_path: Path) -> None:
    before = await df(tmp_path)
    storage = await add(client, sshd, tmp_path / "store")
    after = await df(tmp_path)
    assert storage["status"] == "Connected"
    assert storage["totalCapacity"] == before[0] == after[0]
    # Others write to this disk too, meanwhile.
    slack = 64 * 2**20
    assert min(before[1], after[1]) - slack <= storage["availableCapacity"] <= max(before[1], after[1]) + slack
    assert {folder.name for folder in (tmp_path / "store").iterdir()} == {"registry", "export"}


async def test_an_outage_and_its_end_are_noticed_without_help(
    client: Client, sshd: OpenSshServer, tmp_path: Path
) -> None:
    before = await add(client, sshd, tmp_path / "store")
    await asyncio.to_thread(sshd.stop)
    lost = await client.wait_for_status("127.0.0.1", "Disconnected", within=WITHIN)
    assert lost["totalCapacity"] == before["totalCapacity"]
    assert lost["availableCapacity"] > 0
    await asyncio.to_thread(sshd.start)
    await client.wait_for_status("127.0.0.1", "Connected", within=WITHIN)


async def test_a_wrong_password_fails_the_job_with_its_reason_and_no_row_stays(
    start_sshd: StartSshd, tmp_path: Path
) -> None:
    sshd = start_sshd("PasswordAuthentication yes")
    async with running("serve", "--port", "0", cwd=tmp_path) as node, Client(node.url) as client:
        await client.log_in()
        with pytest.raises(CallFailed) as caught:
            await add(client, sshd, tmp_path / "store", password="surely-not-the-password")
        assert caught.value.code == "SYS.1002"
        assert caught.value.error["cause"]["opaque"] == {"reason": "auth_failed"}
        assert "surely-not-the-password" not in str(caught.value)
        assert await client.query(STORAGES) == []
        assert not (tmp_path / "store").exists()
