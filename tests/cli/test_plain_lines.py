"""Log lines and output are for people: none shows a Python value."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imagestore_sim.backup_storage.event_web_hooks import CANONICAL_EVENT
from imagestore_sim.cli.lab_output import _print_lines, ssh_command
from imagestore_sim.lab import Lab
from imagestore_sim.testing import Client

PYTHON_S_OWN = (
    "<class",
    "<Status",
    "Status.",
    "b'",
    "{'",
    "('",
    "['",
    "Connect call",
    "None",
    "ErrorCode(",
    "object at",
)


@pytest.mark.imagestore_lab(hosts=1, ping_interval=300)
async def test_no_line_shows_how_python_writes_a_value(
    imagestore_client: Client, imagestore_lab: Lab, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, logger="imagestore_sim")
    following = asyncio.create_task(_print_lines(imagestore_lab))
    hook = {"name": "h", "url": "http://127.0.0.1:1/", "type": "custom", "opaque": "/backup-storage/*"}
    await imagestore_client.call("POST", "/web-hooks", {"params": {**hook, "type": CANONICAL_EVENT}})
    host = imagestore_lab.network["imagestore-1"]
    uuid = (await imagestore_client.query("/backup-storage"))[0]["uuid"]
    for change in (host.stop, host.start):
        await change()
        body: dict[str, object] = {"reconnectBackupStorage": {}}
        await imagestore_client.request("PUT", f"/backup-storage/{uuid}/actions", body)
        await imagestore_lab.wait_for(uuid, "Connected" if host.listening else "Disconnected", within=60)
    host.disk.resize(host.disk.size * 2)
    await imagestore_lab.node.storages.lifecycle.reconnect_all()
    await asyncio.sleep(0.2)
    following.cancel()
    lines = [one.getMessage() for one in caplog.records] + capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    for line in lines:
        assert not [sign for sign in PYTHON_S_OWN if sign in line], line


def test_a_shell_on_a_host_is_offered_only_where_there_is_an_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab: Any = SimpleNamespace(ssh_config=tmp_path / "ssh_config", network=["imagestore-1"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ssh_command(lab) is None
    (tmp_path / "ssh").touch(mode=0o755)
    assert ssh_command(lab) == f"ssh -F {tmp_path}/ssh_config imagestore-1"
