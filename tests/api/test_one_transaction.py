"""A command is one transaction with the result of its job; a failing store is reported and survived."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml

from imagestore_sim.database import StoreUnavailable, connections, health
from imagestore_sim.lab import Lab
from imagestore_sim.rest.job_store import JobStore
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client

SNAPSHOT = "/lab/v1/snapshot"
STORAGES = "/backup-storage/image-store"
CREATIONS = [
    ("/zones", {"name": "z"}, ["host::reservedCpu::1"]),
    ("/backup-storage/simulators", {"name": "s", "url": "/s", "totalCapacity": 9, "availableCapacity": 9}, ["remote"]),
    ("/web-hooks", {"name": "h", "url": "http://127.0.0.1:9/", "type": "CanonicalEvent", "opaque": "/x"}, None),
]


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def _readyz(url: str) -> tuple[int, list[str]]:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/readyz") as answer:
        return answer.status, (await answer.json())["problems"]


@pytest.mark.parametrize(("path", "params", "tags"), CREATIONS)
async def test_a_command_whose_result_is_not_stored_changes_nothing(
    path: str, params: dict[str, object], tags: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Lab(Settings(port=0, hosts=0)) as lab, Client(lab.url) as client:
        await client.log_in()
        finish = JobStore.finish
        failed = 0

        async def fail_once(store: JobStore, *arguments: object) -> None:
            nonlocal failed
            await finish(store, *arguments)  # type: ignore[arg-type]
            if not failed:
                failed = 1
                raise RuntimeError("between the change and its commit")

        monkeypatch.setattr(JobStore, "finish", fail_once)
        body = {"params": params, "userTags": ["gold"]} | ({"systemTags": tags} if tags else {})
        with pytest.raises(CallFailed, match="between the change"):
            await client.call("POST", path, body)
        query = "/backup-storage" if "simulator" in path else path
        names = [one["name"] for one in await client.query(query)]
        assert params["name"] not in names
        assert await client.query("/user-tags") == []
        await client.call("POST", path, body)
        assert params["name"] in [one["name"] for one in await client.query(query)]


async def test_a_locked_store_is_reported_and_works_again_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.3)
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.05)
    file = tmp_path / "lab.db"
    settings = Settings(port=0, hosts=1, database=str(file), ping_interval=1)
    async with Lab(settings) as lab, Client(lab.url) as client:
        await client.log_in()
        with _locked(file):
            answers = await asyncio.gather(
                *(client.request("POST", "/zones", {"params": {"name": "z"}}) for _ in range(9))
            )
            assert {answer.status for answer in answers} == {503}
            details = {answer.body["error"]["details"] for answer in answers}
            assert details == {f"{file}: cannot be written: the database is locked by another process (SQLITE_BUSY)"}
            assert (await client.query(STORAGES))[0]["status"] == "Connected", "reads still work"
            status, problems = await _readyz(lab.url)
            assert (status, len(problems)) == (503, 1)
            await lab.network["imagestore-1"].stop()
            await asyncio.sleep(2.5)  # pings fail, and cannot be written
        await lab.wait_for("imagestore-1", "Disconnected", within=60)
        await lab.network["imagestore-1"].start()
        await lab.wait_for("imagestore-1", "Connected", within=60)
        await client.call("POST", "/zones", {"params": {"name": "after"}})
        assert (await _readyz(lab.url))[0] == 200


@pytest.mark.parametrize("where", ["the event of it", "its inventory"])
async def test_an_add_during_which_the_store_fails_late_leaves_nothing(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Lab(Settings(port=0, hosts=0)) as lab, Client(lab.url) as client:
        await client.log_in()

        async def fail(*_: object, **__: object) -> None:
            raise StoreUnavailable("the disk is full")

        if where == "its inventory":
            monkeypatch.setattr(type(lab.node.parts.services), "inventory", fail)
        else:
            monkeypatch.setattr(type(lab.node.storages.lifecycle), "_record_added", fail)
        params = {"hostname": "late", "username": "r", "password": "p", "name": "late", "url": "/zs"}
        with pytest.raises(CallFailed, match="the disk is full"):
            await client.call("POST", STORAGES, {"params": params, "userTags": ["gold"]})
        assert await client.query(STORAGES) == []
        assert await client.query("/user-tags") == []
        monkeypatch.undo()
        await client.call("POST", STORAGES, {"params": params})


async def test_a_snapshot_put_back_changes_nothing(tmp_path: Path) -> None:
    async with Lab(Settings(port=0, hosts=1)) as lab, Client(lab.url) as client:
        await client.log_in()
        for path, params, tags in CREATIONS:
            await client.call("POST", path, {"params": params, "systemTags": tags or [], "userTags": ["gold"]})
        option = "/global-configurations/backupStorage/ping.parallelismDegree/actions"
        await client.call("PUT", option, {"updateGlobalConfig": {"value": "7"}})
        paths = ("/zones", "/backup-storage", "/images", "/web-hooks", "/system-tags", "/user-tags",
                 "/global-configurations?q=name=ping.parallelismDegree")  # fmt: skip
        before = {path: await client.query(path) for path in paths}
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{lab.url}{SNAPSHOT}") as answer:
                snapshot = await answer.text()
            async with http.put(f"{lab.url}{SNAPSHOT}", data=snapshot, params={"wait": "true"}) as answer:
                assert answer.status == 200
            async with http.get(f"{lab.url}{SNAPSHOT}") as answer:
                again = await answer.text()
        after = {path: await client.query(path) for path in paths}
        for rows in (*before.values(), *after.values()):
            for row in rows:
                if "sshPort" in row:
                    row.pop("lastOpDate")  # it was connected again
        for rows in (*before.values(), *after.values()):
            rows.sort(key=lambda row: str(row.get("uuid")))
        assert after == before
        assert _without_connects(again) == _without_connects(snapshot)


def _without_connects(text: str) -> object:
    content = yaml.safe_load(text)
    for storage in content["backupStorages"]:
        storage.pop("lastOpDate")
        storage.pop("password", None)  # sealed again
    for account in content["accounts"]:
        account.pop("password")  # sealed again
    return content


async def test_a_connect_that_fails_in_any_way_leaves_disconnected_and_is_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Lab(Settings(port=0, hosts=1, ping_interval=1)) as lab, Client(lab.url) as client:
        await client.log_in()
        [storage] = await client.query(STORAGES)
        probe = lab.node.foundation.prober.probe
        for error in (OverflowError("int too big"), ValueError("no"), MemoryError(), sqlite3.OperationalError("x")):

            async def fail(*_: object, error: Exception = error, **__: object) -> None:
                raise error

            monkeypatch.setattr(lab.node.foundation.prober, "probe", fail)
            with pytest.raises(CallFailed, match=type(error).__name__):
                await client.call(
                    "PUT", f"{STORAGES}/{storage['uuid']}/actions", {"reconnectImageStoreBackupStorage": {}}
                )
            assert (await client.query(STORAGES))[0]["status"] == "Disconnected"
        monkeypatch.setattr(lab.node.foundation.prober, "probe", probe)
        await lab.wait_for("imagestore-1", "Connected", within=60)


@pytest.mark.parametrize("size", ["8388608 TiB", 2**63, "9 EiB"])
async def test_sizes_are_bounded(size: object) -> None:
    async with (
        Lab(Settings(port=0, hosts=1)) as lab,
        aiohttp.ClientSession() as http,
        http.patch(f"{lab.url}/lab/v1/hosts/imagestore-1", json={"size": size}) as answer,
    ):
        assert answer.status == 400
        assert "is the largest size" in (await answer.json())["error"]


async def test_the_sum_of_capacities_is_bounded() -> None:
    async with Lab(Settings(port=0, hosts=0)) as lab, Client(lab.url) as client:
        await client.log_in()
        largest = 2**63 - 1
        for name in ("a", "b"):
            params = {"name": name, "url": f"/{name}", "totalCapacity": largest, "availableCapacity": largest}
            await client.call("POST", "/backup-storage/simulators", {"params": params})
        found = await client.call("GET", "/backup-storage/capacities?all=true")
        assert (found["totalCapacity"], found["availableCapacity"]) == (largest, largest)
