"""Labs that a test has for itself: two at once, with other settings, and what remains of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compose.compose_lab import STORAGES, ComposeLab, ProgramFailed
from imagestore_sim.testing import Client

pytestmark = [pytest.mark.compose, pytest.mark.asyncio(loop_scope="session")]

SETTINGS = {
    "IMAGESTORE_1_SIZE": "48m",
    "IMAGESTORE_1_INODES": "100",
    "IMAGESTORE_2_USER": "root",
    "IMAGESTORE_2_PASSWORD": "pass word: 'x' # {y}",
    "IMAGESTORE_3_USERLAND": "busybox",
}


async def _probe(lab: ComposeLab, target: str, url: str, password: str) -> dict[str, object]:
    """Probe a host from the management node's container."""
    printed = await lab.execute("mn", "imagestore-sim", "probe", target, "--url", url, "--password", password, "--json")
    found: dict[str, object] = json.loads(printed)
    return found


async def test_two_labs_run_at_once_and_nothing_is_left_of_one_taken_down(lab: ComposeLab, lab_folder: Path) -> None:
    async with ComposeLab(lab_folder, **SETTINGS) as other, Client(other.url) as client, Client(lab.url) as first:
        await client.log_in()
        await first.log_in()
        storages = {one["name"]: one for one in await client.query(STORAGES)}
        assert {one["status"] for one in storages.values()} == {"Connected"}
        assert storages["imagestore-1"]["totalCapacity"] == 48 * 2**20
        assert storages["imagestore-2"]["username"] == "root"
        for host, storage in storages.items():
            assert (storage["totalCapacity"], storage["availableCapacity"]) == await other.df(host)

        by_sftp = await _probe(other, "store-1@imagestore-1", "/zs/1", "password-1")
        assert by_sftp["method"] == "statvfs"
        assert by_sftp["inodes"] == {"total": 100, "available": 100 - len(("/zs/1", "registry", "export"))}
        by_busybox = await _probe(other, "store-3@imagestore-3", "/zs/3", "password-3")
        assert (by_busybox["method"], by_busybox["total"]) == ("df", 512 * 2**20)

        await other.compose("stop", "imagestore-1")
        await client.wait_for_status("imagestore-1", "Disconnected", within=30)
        assert {one["status"] for one in await first.query(STORAGES)} == {"Connected"}
        assert await other.leftovers() != ""
    assert await other.leftovers() == ""
    assert await lab.is_whole()


async def test_nothing_is_left_of_a_lab_that_never_gets_ready(lab_folder: Path) -> None:
    never = ComposeLab(lab_folder, PING_INTERVAL="0")
    with pytest.raises(ProgramFailed):
        async with never:
            pass
    assert await never.leftovers() == ""


async def test_the_profile_fleet_adds_twenty_hosts_with_their_storages(lab_folder: Path) -> None:
    async with ComposeLab(lab_folder, COMPOSE_PROFILES="fleet") as fleet, Client(fleet.url) as client:
        await client.log_in()
        for number in range(1, 24):
            await client.wait_for_status(f"imagestore-{number}", "Connected", within=30)
        storages = await client.query(STORAGES)
        assert len(storages) == 23
        assert {one["totalCapacity"] for one in storages if one["url"] == "/zs"} == {64 * 2**20}
    assert await fleet.leftovers() == ""
