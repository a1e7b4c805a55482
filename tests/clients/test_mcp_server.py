"""The vendor's MCP server, which gives an AI assistant access to a ZStack cloud, works unmodified (clients 1.7)."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from commands import execute
from processes import Running, running

pytestmark = pytest.mark.clients
DRIVER = Path(__file__).with_name("assistant") / "drive.py"
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


async def ssh_config(lab: Running) -> str:
    """Return the path of the OpenSSH configuration that the lab prints, for `ssh -F`."""
    assert lab.process.stderr is not None
    line = (await asyncio.wait_for(lab.process.stderr.readline(), 60)).decode()
    found = re.search(r"ssh -F (\S+) imagestore-1", line)
    assert found is not None, line
    return found[1]


async def test_an_assistant_works_through_the_mcp_server(mcp_environment: Path, tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("needs OpenSSH's client (Debian: openssh-client)")
    async with running("lab", "--port", "0", "--ping-interval", "1", cwd=tmp_path) as lab:
        server, config = str(mcp_environment / "zstack-mcp-server"), await ssh_config(lab)
        drive = (str(mcp_environment / "python"), str(DRIVER), server, lab.url, config)
        status, output = await execute(*drive, cwd=tmp_path, seconds=TALK_SECONDS)
        assert await lab.stop() == 0
    assert status == 0, output
    assert [line.removeprefix("ok: ") for line in output.splitlines() if line.startswith("ok: ")] == STEPS
