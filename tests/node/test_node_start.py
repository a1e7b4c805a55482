"""A node's parts exist from the moment that its database is open; a start that fails leaves nothing behind."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from imagestore_sim.bootstrap import BackupStorageRecord, Bootstrap, ZoneRecord
from imagestore_sim.lab import Lab
from imagestore_sim.node.errors import StartError
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from leftovers import no_more_tasks_than


def new_node(folder: Path, **options: object) -> ManagementNode:
    return ManagementNode(Settings(port=0, database=str(folder / "node.db"), **options))


async def test_parts_before_the_start_are_an_error_that_says_so(tmp_path: Path) -> None:
    node = new_node(tmp_path)
    with pytest.raises(RuntimeError, match="has not opened its database"):
        _ = node.storages
    with pytest.raises(RuntimeError, match="has no records yet"):
        _ = node.changes
    assert (node.ready, await node.problems(), await node.openings()) == (False, [], [])
    await node.stop()


async def test_a_lab_before_the_start_has_neither_node_nor_ssh_config() -> None:
    lab = Lab(Settings(port=0, hosts=0))
    for name in ("node", "ssh_config", "url"):
        with pytest.raises(RuntimeError, match="the lab has not started"):
            getattr(lab, name)
    await lab.stop()


async def test_a_node_is_stopped_twice_without_an_error(tmp_path: Path) -> None:
    node = new_node(tmp_path)
    await node.start()
    assert node.ready
    await node.stop()
    await node.stop()
    assert node.http.addresses == []


async def test_a_start_that_fails_listens_no_more_and_leaves_no_task(tmp_path: Path) -> None:
    async def fail() -> None:
        raise OSError("no such disk")

    tasks = asyncio.all_tasks()
    node = new_node(tmp_path)
    with pytest.raises(StartError, match="cannot start: no such disk"):
        await node.start(before_connecting=fail)
    with socket.socket() as client:
        address = urlsplit(node.url)
        assert client.connect_ex((address.hostname or "", address.port or 0)) != 0
    assert await no_more_tasks_than(tasks), asyncio.all_tasks()


async def test_changes_of_records_follow_each_other(tmp_path: Path) -> None:
    node = new_node(tmp_path)
    await node.start()
    added = Bootstrap(
        zones=(ZoneRecord(name="zone-2"),),
        backupStorages=(BackupStorageRecord(name="s", hostname="h", password="p", url="/s", tracked=False),),
    )
    await asyncio.gather(node.changes.add(added), node.changes.replace(Bootstrap()), node.changes.add(added))
    assert [zone.name for zone in (await node.changes.snapshot()).zones] == ["zone-2"]
    await node.changes.reset(wait=True)
    assert (await node.changes.snapshot()).zones == ()
    await node.stop()
