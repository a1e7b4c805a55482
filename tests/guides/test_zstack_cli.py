"""The guide for zstack-cli keeps its word: its commands run as they stand, by zstack-cli where it is installed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from code_blocks import code_blocks, shell
from imagestore_sim.testing import Client
from processes import running

pytestmark = pytest.mark.processes
GUIDE = (Path(__file__).parent.parent.parent / "docs" / "guides" / "zstack-cli.md").read_text("utf-8")
STAND_IN = Path(__file__).with_name("zstack_cli.py")
NODE = "http://127.0.0.1:8080"


def client(url: str) -> str:
    """Return the beginning of a command: zstack-cli itself, or what sends the same."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    installed = shutil.which("zstack-cli")
    return f"{installed} -H {host} -p {port} " if installed else f"{sys.executable} {STAND_IN} {url} "


async def test_the_commands_of_the_guide_do_what_it_says(tmp_path: Path) -> None:
    for tool in ("curl", "jq"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    look, add, outage, lost, end = code_blocks(GUIDE, "sh")
    async with running("lab", "--port", "0", "--ping-interval", "300", cwd=tmp_path) as lab, Client(lab.url) as node:
        await node.log_in()

        async def say(script: str) -> str:
            script = script.replace("zstack-cli ", client(lab.url)).replace(NODE, lab.url)
            status, said = await shell(script, cwd=tmp_path, environment={"HOME": str(tmp_path)})
            assert status == 0, said
            return said

        said = await say(look)
        assert said.count('"Connected"') == 3
        assert '"total": 3' in said
        said = await say(add)
        assert said.count('"success": true') == 2
        [gold] = await node.query("/backup-storage/image-store", "name=gold")
        assert [image["name"] for image in await node.query("/images")] == ["centos7"]
        uuid = f"uuid={gold['uuid']}\n"
        said = await say(uuid + outage)
        assert "BS.1500" in said
        assert "exit status 3" in said
        assert said.index('"status": "Disconnected"') < said.index('"status": "Connected"')
        said = await say(lost)
        assert "exit status 3" in said
        assert '"name": "silver"' in said
        await say(uuid + end)
        assert [one["name"] for one in await node.query("/backup-storage", "name?=gold,silver")] == ["silver"]
        assert await lab.stop() == 0
