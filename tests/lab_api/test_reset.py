"""A reset makes everything that a lab shows what it was right after its start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from imagestore_sim.lab import Lab
from imagestore_sim.scenario.worlds.event_stream import EventsMissed, open_stream
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client

pytestmark = pytest.mark.thorough

STORAGES = "/backup-storage"
LISTS = (STORAGES, "/zones", "/images", "/system-tags", "/user-tags", "/global-configurations", "/web-hooks")
DATES = {"createDate", "lastOpDate", "heartBeat", "joinDate"}
PASSING = DATES | {"time", "elapsed", "milliseconds", "connections", "address"}
COUNTED = (
    *("_probes_total", "_failures_total", "_jobs", "_duration_seconds_count", "_backup_storages", "_lag_seconds_count"),
)
Change = Callable[[Lab, Client], Awaitable[None]]
CHANGES: dict[str, Change] = {}


def change(work: Change) -> Change:
    CHANGES[work.__name__] = work
    return work


async def lab_api(client: Client, method: str, path: str, body: object = None) -> Any:
    answer = await client.request(method, f"{client.url}/lab/v1{path}", body)
    assert answer.status < 300, answer
    return answer.body


def steady(value: Any) -> Any:
    """Return a JSON value without what differs between two moments."""
    if isinstance(value, dict):
        return {name: steady(one) for name, one in value.items() if name not in PASSING}
    return [steady(one) for one in value] if isinstance(value, list) else value


async def events(lab: Lab) -> list[tuple[int, str, str]]:
    """Return the numbers and the subjects of the stored events."""
    for _ in range(20):  # for those that are on their way; in parts, since a machine that halts does nothing meanwhile
        await asyncio.sleep(0.01)
    newest, last = await lab.node.parts.store.event_log.newest(), 0
    found = []
    async with open_stream(lab.url, 0) as stream, asyncio.timeout(60):
        while last < newest:
            one = await anext(stream)
            last = one.id
            found.append((one.id, one.path, one.resource_uuid))
    return [*zip(sorted(one[0] for one in found), *zip(*sorted(one[1:] for one in found), strict=True), strict=True)]


async def seen(lab: Lab) -> dict[str, Any]:
    """Return all that a lab shows: first without a session, then to a client that logs in."""
    async with Client(lab.url) as client:
        page = (await client.request("GET", f"{lab.url}/metrics")).text
        found: dict[str, Any] = {
            "hosts": await lab_api(client, "GET", "/hosts"),
            "files": [sorted(lab.network[name].disk.listdir("/")) for name in lab.network],
            "clock": await lab_api(client, "GET", "/clock"),
            "faults": await lab_api(client, "GET", "/node/faults"),
            "requests": await lab_api(client, "GET", "/requests"),
            "events": await events(lab),
            "probes": {
                one.uuid in lab.node.storages.status.last_probes for one in await lab.node.storages.records.tracked()
            },
            "metrics": [
                (sample.name, sample.labels, sample.value)
                for family in text_string_to_metric_families(page)
                for sample in family.samples
                if sample.name.endswith(COUNTED) and sample.labels.get("phase") is None
            ],
            "session": await client.log_in(),
        }
        for path in LISTS:
            found[path] = await client.query(path)
        accepted = await client.request("POST", "/zones", {"params": {"name": "z"}})
        found["job"] = accepted.body["location"].rpartition("/")[2]
        found["zone"] = (await client.follow(accepted.body["location"])).body["inventory"]["uuid"]
    return dict(steady(found))


@change
async def records_and_sessions(lab: Lab, client: Client) -> None:
    first = (await client.query(STORAGES))[0]["uuid"]
    await client.add_image_store("172.24.189.211")
    await client.call("DELETE", f"{STORAGES}/{first}")
    for _ in range(3):
        async with Client(lab.url) as other:
            await other.log_in()


@change
async def an_image_and_tags(lab: Lab, client: Client) -> None:
    storage = (await client.query(STORAGES))[0]["uuid"]
    params = {"name": "i", "url": "http://h/i", "format": "raw", "backupStorageUuids": [storage]}
    await client.call("POST", "/images", {"params": params})
    tag = {"resourceType": "BackupStorageVO", "resourceUuid": storage, "tag": "gold"}
    await client.call("POST", "/user-tags", {"params": tag})


@change
async def configuration_and_hooks(lab: Lab, client: Client) -> None:
    path = "/global-configurations/backupStorage/ping.interval/actions"
    await client.call("PUT", path, {"updateGlobalConfig": {"value": "77"}})
    hook = {"name": "h", "url": "http://127.0.0.1:9/", "type": "custom"}
    await client.call("POST", "/web-hooks", {"params": hook})


@change
async def the_clock(lab: Lab, client: Client) -> None:
    await lab_api(client, "PUT", "/clock", {"speed": 50})
    await lab_api(client, "PUT", "/clock", {"paused": True})
    await lab_api(client, "POST", "/clock/step", {"seconds": "20m"})


@change
async def faults_and_disks(lab: Lab, client: Client) -> None:
    lab.network["imagestore-2"].disk.make_directory("/mine/deep", parents=True)
    await lab_api(client, "POST", "/hosts/imagestore-1/faults", {"kind": "refuse"})
    await lab_api(client, "POST", "/hosts/imagestore-2/fill", {"to": "100%"})
    await lab_api(client, "PATCH", "/hosts/imagestore-2", {"size": "9 TiB", "readOnly": True})


@change
async def faults_of_the_management_plane(lab: Lab, client: Client) -> None:
    await lab_api(client, "POST", "/node/faults", {"kind": "status", "when": {"api": "QueryZone"}, "for": "1h"})
    await lab_api(client, "POST", "/node/faults", {"kind": "stale_reads"})
    assert (await client.request("GET", "/zones")).status == 503


@change
async def credentials_and_software(lab: Lab, client: Client) -> None:
    await lab_api(client, "PATCH", "/hosts/imagestore-1", {"username": "u", "password": "p"})
    lab.network["imagestore-1"].sftp = False


@change
async def hosts_added_removed_and_stopped(lab: Lab, client: Client) -> None:
    await lab_api(client, "POST", "/hosts", {"name": "another"})
    await lab_api(client, "DELETE", "/hosts/imagestore-1")
    await lab_api(client, "POST", "/hosts/imagestore-2/stop")


@change
async def a_host_of_another_kind_in_the_place_of_one(lab: Lab, client: Client) -> None:
    await lab_api(client, "DELETE", "/hosts/imagestore-1")
    await lab_api(client, "POST", "/hosts", {"name": "imagestore-1", "port": 2222, "size": "1 GiB", "sftp": False})


@change
async def requests_and_failures(lab: Lab, client: Client) -> None:
    await lab.network["imagestore-1"].stop()
    uuid = (await client.query(STORAGES, "name=imagestore-1"))[0]["uuid"]
    with pytest.raises(CallFailed):
        await client.call("PUT", f"{STORAGES}/{uuid}/actions", {"reconnectBackupStorage": {}})
    await client.request("GET", "/nowhere")


async def reset(client: Client) -> None:
    answer = await client.request("POST", f"{client.url}/lab/v1/reset", query=[("wait", "true")])
    assert (answer.status, answer.body) == (200, {"replaced": True})


@pytest.mark.parametrize("kept", [False, True])
async def test_a_reset_restores_everything_that_was_changed(tmp_path: Path, kept: bool) -> None:
    where: dict[str, Any] = {"database": str(tmp_path / "lab.db")} if kept else {}
    settings = Settings(port=0, hosts=2, seed=7, ping_interval=300, host_keys="tofu", **where)
    async with Lab(settings) as lab:
        first = await seen(lab)
        assert (first["requests"]["requests"], first["requests"]["last"]) == ([], 0)
        for name, work in CHANGES.items():
            async with Client(lab.url) as client:
                await client.log_in()
                await work(lab, client)
                await reset(client)
                with pytest.raises(CallFailed, match=r"ID\.1001"):
                    await client.query("/zones")
            async with asyncio.timeout(60):
                while len(lab.node.storages.status.last_probes) < 2:
                    await asyncio.sleep(0.01)
            after = await seen(lab)
            for part in first:
                # The failed login above was a request, too.
                if part == "requests" or (part == "metrics" and after[part] != first[part]):
                    continue
                assert after[part] == first[part], f"{name}: {part}"
            assert [one["path"] for one in after["requests"]["requests"]] == ["/zstack/v1/zones"], name
            assert after["requests"]["last"] == 1
        metrics = {(name, json.dumps(labels)): value for name, labels, value in after["metrics"]}
        assert metrics[("imagestore_sim_probes_total", '{"method": "statvfs"}')] == 2
        assert metrics[("imagestore_sim_probe_failures_total", '{"reason": "refused"}')] == 0


async def test_streams_get_the_message_reset(tmp_path: Path) -> None:
    async with Lab(Settings(port=0, hosts=1, ping_interval=300)) as lab, Client(lab.url) as client:
        for _ in range(3):
            await lab.node.storages.lifecycle.reconnect_all()
        newest = max(one[0] for one in await events(lab))
        async with open_stream(lab.url) as stream:
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            await reset(client)
            with pytest.raises(EventsMissed, match="events were reset: the lab was reset"):
                await asyncio.wait_for(waiting, 60)
        async with open_stream(lab.url, newest) as stream:
            with pytest.raises(EventsMissed, match="numbered from 1 again"):
                await asyncio.wait_for(anext(stream), 60)
        assert (await events(lab))[0][0] == 1


async def test_a_reset_of_a_lab_in_virtual_time_jumps_again() -> None:
    """The virtual clock was slowed down and paused before the reset."""
    from imagestore_sim.virtual_clock import VirtualClock

    clock = VirtualClock()
    clock.set_speed(3)
    clock.pause()
    clock.restart()
    assert (clock.paused, clock.speed) == (False, float("inf"))
