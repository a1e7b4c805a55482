"""Hosts made on the spot go when nothing needs them, and files that run out are survived."""

from __future__ import annotations

import asyncio

import pytest

from imagestore_sim import open_files
from imagestore_sim.faults import read_fault
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client

STORAGES = "/backup-storage/image-store"


async def _add(client: Client, hostname: str) -> str:
    params = {"hostname": hostname, "username": "root", "password": "p", "name": hostname, "url": "/zs"}
    return str((await client.call("POST", STORAGES, {"params": params}))["inventory"]["uuid"])


async def test_a_host_made_on_the_spot_goes_with_its_record_unless_somebody_changed_it() -> None:
    async with Lab(Settings(port=0, hosts=1)) as lab, Client(lab.url) as client:
        await client.log_in()
        for name in ("plain", "patched", "broken"):
            uuid = await _add(client, name)
            if name == "patched":
                await client.request("PATCH", f"{lab.url}/lab/v1/hosts/{name}", {"size": "1 TiB"})
            if name == "broken":
                await lab.network[name].faults.apply(read_fault("latency", {"delay": "1ms"}))
            await client.call("DELETE", f"/backup-storage/{uuid}")
        for _ in range(3000):  # a minute at most
            if "plain" not in lab.network:
                break
            await asyncio.sleep(0.02)
        assert set(lab.network) == {"imagestore-1", "patched", "broken"}
        uuid = await _add(client, "plain")
        assert (await client.query(f"{STORAGES}/{uuid}"))[0]["status"] == "Connected"
        assert set(lab.network) == {"imagestore-1", "patched", "broken", "plain"}


@pytest.mark.parametrize("kind", ["image-store", "sftp"])
async def test_a_host_made_on_the_spot_lets_in_a_user_without_a_name(kind: str) -> None:
    async with Lab(Settings(port=0, hosts=0)) as lab, Client(lab.url) as client:
        await client.log_in()
        params = {"hostname": "h", "username": "", "password": "", "name": "h", "url": "/zs"}
        made = (await client.call("POST", f"/backup-storage/{kind}", {"params": params}))["inventory"]
        assert (made["username"], made["status"]) == ("", "Connected")
        assert (made["totalCapacity"], made["availableCapacity"]) == (10995116277760, 8796093022208)


async def test_a_host_whose_add_failed_goes_too() -> None:
    async with Lab(Settings(port=0, hosts=0)) as lab, Client(lab.url) as client:
        await client.log_in()
        await _add(client, "one")
        params = {"hostname": "two", "username": "root", "password": "p", "name": "two", "url": "/proc/x"}
        with pytest.raises(CallFailed):
            await client.call("POST", STORAGES, {"params": params})
        assert set(lab.network) == {"one"}


async def test_no_host_is_made_of_the_last_files(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Lab(Settings(port=0, hosts=1)) as lab, Client(lab.url) as client:
        await client.log_in()
        monkeypatch.setattr(open_files, "left", lambda: open_files.RESERVED - 1)
        with pytest.raises(CallFailed, match="Too many open files"):
            await _add(client, "one-too-many")
        assert set(lab.network) == {"imagestore-1"}
        monkeypatch.undo()
        await _add(client, "one-too-many")
