"""The vendor's MCP server, which gives an AI assistant access to a ZStack cloud, works unmodified (clients 1.7)."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

import pytest
import pytest_asyncio
from commands import execute

from processes import Running, running

pytestmark = pytest.mark.clients
DRIVER = Path(__file__).with_name("assistant") / "drive.py"
PACKAGES = Path(__file__).with_name("assistant") / "requirements.txt"
INSTALL_SECONDS = 300.0
TALK_SECONDS = 120.0
STEPS = [
    "search",
    "describe",
    "query",
    "query with conditions",
    "query fields",
    "query what is missing",
    "query zones",
    "reconnect",
    "change state",
    "detach",
    "attach",
    "renew an expired session",
    "capacities",
    "types",
    "metrics",
    "a curve of the disk that fills up",
    "a missing resource",
    "delete",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of a virtual environment with the MCP server, whose requirements conflict with the node's."""
    folder = tmp_path_factory.mktemp("mcp") / "venv"
    status, output = await execute(
        sys.executable, "-m", "venv", str(folder), cwd=folder.parent, seconds=INSTALL_SECONDS
    )
    assert status == 0, output
    install = (str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(PACKAGES))
    status, output = await execute(*install, cwd=folder.parent, seconds=INSTALL_SECONDS)
    if status != 0:
        pytest.skip(f"needs {PACKAGES.read_text().split()} from a package index: {output[-200:]}")
    return folder / "bin"


async def ssh_config(lab: Running) -> str:
    """Return the path of the OpenSSH configuration that the lab prints, for `ssh -F`."""
    assert lab.process.stderr is not None
    line = (await asyncio.wait_for(lab.process.stderr.readline(), 60)).decode()
    found = re.search(r"ssh -F (\S+) imagestore-1", line)
    assert found is not None, line
    return found[1]


@pytest.mark.asyncio(loop_scope="module")
async def test_an_assistant_works_through_the_mcp_server(environment: Path, tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("needs OpenSSH's client (Debian: openssh-client)")
    async with running("lab", "--port", "0", "--ping-interval", "1", cwd=tmp_path) as lab:
        server, config = str(environment / "zstack-mcp-server"), await ssh_config(lab)
        drive = (str(environment / "python"), str(DRIVER), server, lab.url, config)
        status, output = await execute(*drive, cwd=tmp_path, seconds=TALK_SECONDS)
        assert await lab.stop() == 0
    assert status == 0, output
    assert [line.removeprefix("ok: ") for line in output.splitlines() if line.startswith("ok: ")] == STEPS
