"""Any node answers any call and any poll, and what was written at one node is read at another at once."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
import pytest
import yaml
from cryptography.fernet import Fernet

from cluster_clients import RECONNECT, STORAGES, Clients, clients, owner
from hook_receiver import open_receiver
from imagestore_sim.bootstrap import stable_uuid
from imagestore_sim.cluster.bus import PATH, Content
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.ids import new_uuid
from imagestore_sim.node.parts import CLOUD_BUS
from imagestore_sim.testing.client import CallFailed, Client
from imagestore_sim.virtual_clock import run_virtually
from three_nodes import NAMES, Watched, three_nodes

pytestmark = pytest.mark.thorough
CONFIG = "/global-configurations/backupStorage/ping.interval"


async def refusal(client: Client, method: str, path: str, body: object = None) -> str:
    """Return the code of the error with which a call ends, and its details."""
    try:
        await client.call(method, path, body)
    except CallFailed as failure:
        return f"{failure.code} {failure.error.get('details')}"
    return ""


async def lab(client: Client, method: str, path: str, body: object = None, data: bytes | None = None) -> Any:
    answer = await client.request(method, f"{client.url}/lab/v1/{path}", body, data=data)
    assert answer.status < 300, answer
    return answer.body or answer.text


async def _records_and_configuration(world: Watched, nodes: Clients) -> None:
    a, b, c = (nodes[name] for name in NAMES)
    zone = (await a.call("POST", "/zones", {"params": {"name": "z"}}))["inventory"]["uuid"]
    assert [[one["name"] for one in await client.query("/zones", f"uuid={zone}")] for client in (b, c, a)] == [
        ["z"]
    ] * 3
    for writer, name in ((b, "y"), (c, "x"), (a, "w")):
        await writer.call("PUT", f"/zones/{zone}/actions", {"updateZone": {"name": name}})
        for client in (a, b, c):
            assert [one["name"] for one in await client.query("/zones", f"uuid={zone}")] == [name]
    await a.call("POST", "/user-tags", {"params": {"resourceUuid": zone, "resourceType": "ZoneVO", "tag": "t"}})
    assert [one["uuid"] for one in await b.query("/zones", "__userTag__=t")] == [zone]
    await c.call("PUT", f"{CONFIG}/actions", {"updateGlobalConfig": {"value": "7"}})
    for name, client in nodes.items():
        options = await client.query("/global-configurations", "name=ping.interval", "category=backupStorage")
        assert [one["value"] for one in options] == ["7"]
        assert world.cluster.nodes[name].parts.store.configuration.text("backupStorage", "ping.interval") == "7"


async def _sessions(world: Watched, nodes: Clients) -> None:
    a, b, c = (nodes[name] for name in NAMES)
    kept = c.session_uuid
    begun = await a.log_in()
    b.session_uuid = c.session_uuid = begun
    assert await c.query("/zones")
    await b.log_out()
    b.session_uuid = begun
    for client in (a, c, b):
        assert (await refusal(client, "GET", "/zones")).startswith("ID.1001")
    for client in (a, b, c):
        client.session_uuid = kept


async def _storages(world: Watched, nodes: Clients) -> None:
    asked = iter(NAMES * 100)
    for storage in await nodes["a"].query(STORAGES):
        actions = f"{STORAGES}/{storage['uuid']}/actions"
        found = await nodes[next(asked)].call("PUT", actions, RECONNECT)
        assert found["inventory"]["status"] == "Connected"
    for number in range(3):
        await world.network.add(SimulatedHost(f"new-{number}", clock=world.clock))
        added = await nodes[next(asked)].add_image_store(f"new-{number}")
        uuid = added["uuid"]
        assert added["status"] == "Connected"
        tracking = [name for name in NAMES if uuid in world.cluster.nodes[name].storages.tracker.owned()]
        assert tracking == [owner(world, uuid)]
        update = {"updateImageStoreBackupStorage": {"name": "renamed"}}
        await nodes[next(asked)].call("PUT", f"{STORAGES}/{uuid}/actions", update)
        for client in nodes.values():
            assert [one["name"] for one in await client.query(STORAGES, f"uuid={uuid}")] == ["renamed"]
        probe = await lab(nodes[next(asked)], "POST", f"storages/{uuid}/ping")
        assert probe["status"] == "Connected"
        assert probe["lastProbe"]["total"] > 0
        assert uuid in {one["storageUuid"] for one in (await lab(nodes[next(asked)], "GET", "probes"))["probes"]}
        await nodes[next(asked)].call("DELETE", f"/backup-storage/{uuid}?deleteMode=Permissive")
        for client in nodes.values():
            assert await client.query(STORAGES, f"uuid={uuid}") == []
        assert [name for name in NAMES if uuid in world.cluster.nodes[name].storages.tracker.owned()] == []


async def _errors(world: Watched, nodes: Clients) -> None:
    """Expect the same error wherever the storage is."""
    there = {"name": "x", "hostname": "imagestore-0", "username": "root", "password": "password", "url": "/x"}
    nowhere = there | {"hostname": "nowhere"}
    for body in (there, nowhere):
        found = [await refusal(client, "POST", STORAGES, {"params": body}) for client in nodes.values() for _ in "123"]
        assert len(set(found)) == 1, found
        assert found[0].startswith("SYS.100")
    assert len(await nodes["a"].query(STORAGES)) == 9
    for client in nodes.values():
        assert (await refusal(client, "PUT", f"{STORAGES}/{'0' * 32}/actions", RECONNECT)).startswith("SYS.1003")


async def _jobs(world: Watched, nodes: Clients) -> None:
    """Expect each job to be of its ring owner, and every node to answer its polls."""
    uuids = []
    for number, client in enumerate(list(nodes.values()) * 2):
        answer = await client.request("POST", "/zones", {"params": {"name": f"job-{number}"}})
        uuids.append(answer.body["location"].rpartition("/")[2])
    for uuid in uuids:
        found = [await client.follow(f"{client.url}/zstack/v1/api-jobs/{uuid}") for client in nodes.values()]
        assert [one.status for one in found] == [200] * 3
        assert len({one.text for one in found}) == 1
        stored = await world.cluster.nodes["a"].parts.jobs.store.find(uuid)
        assert stored is not None
        assert stored.node == world.membership(owner(world, uuid)).uuid
    assert len({owner(world, uuid) for uuid in uuids}) > 1
    assert len(await nodes["b"].query("/zones", "name~=job-%")) == 6


async def _web_hooks(world: Watched, nodes: Clients) -> None:
    """Expect one post of each result, and one of each event by the node that has made it."""
    storages = await nodes["a"].query(STORAGES)
    async with open_receiver(world) as receiver:
        values = {"name": "h", "type": "CanonicalEvent", "opaque": "/backup-storage/status/change", "url": receiver.url}
        hook = (await nodes["a"].call("POST", "/web-hooks", {"params": values}))["inventory"]["uuid"]
        for storage in storages:
            path = f"{STORAGES}/{storage['uuid']}/actions"
            answer = await nodes["c"].request("PUT", path, RECONNECT, headers={"X-Web-Hook": receiver.url})
            await nodes["b"].follow(str(answer.body["location"]))
        await world.clock.sleep(3)
        assert len([one for one in receiver.bodies if "inventory" in one]) == len(storages)
        events = [one for one in receiver.bodies if "path" in one]
        assert len(events) == 2 * len(storages)
        assert {one["managementNodeId"] for one in events} == {world.membership(name).uuid for name in NAMES}
        await nodes["b"].call("DELETE", f"/web-hooks/{hook}")


async def _all_records(world: Watched, nodes: Clients) -> None:
    """Expect every node to follow when one adds, replaces and resets all records."""
    a, b, c = (nodes[name] for name in NAMES)
    for number in range(3):
        await world.network.add(SimulatedHost(f"more-{number}", clock=world.clock))
    taken = yaml.safe_load(await lab(b, "GET", "snapshot"))
    more = [dict(taken["backupStorages"][0], name=f"more-{n}", hostname=f"more-{n}", uuid="") for n in range(3)]
    for one in more:
        one["uuid"] = stable_uuid("backup-storage", one["name"])
    await lab(b, "POST", "snapshot?wait=true", data=yaml.safe_dump({"backupStorages": more}).encode())
    for client in (a, c, b):
        assert [one["status"] for one in await client.query(STORAGES)] == ["Connected"] * 12
    assert sum(len(owned) for owned in world.owned().values()) == 12
    await lab(c, "PUT", "snapshot?wait=true", data=yaml.safe_dump({"backupStorages": more[:2]}).encode())
    session = await a.log_in()
    b.session_uuid = c.session_uuid = session
    for client in (b, a, c):
        assert sorted(one["name"] for one in await client.query(STORAGES)) == ["more-0", "more-1"]
    assert sum(len(owned) for owned in world.owned().values()) == 2
    await lab(a, "POST", "reset?wait=true")
    assert (await refusal(b, "GET", "/zones")).startswith("ID.1001")
    session = await c.log_in()
    a.session_uuid = b.session_uuid = session
    for client in (c, a, b):
        assert [one["status"] for one in await client.query(STORAGES)] == ["Connected"] * 9
    assert sum(len(owned) for owned in world.owned().values()) == 9


async def _images(world: Watched, nodes: Clients) -> None:
    """Expect every node to tell how far an image is that comes to a storage, and any node to remove it."""
    a, b, c = (nodes[name] for name in NAMES)
    storage, job = (await a.query(STORAGES))[0]["uuid"], new_uuid("job")
    values = {"name": "i", "url": "http://x/i.qcow2", "format": "qcow2", "backupStorageUuids": [storage]}
    await a.request("POST", "/images", {"params": values}, headers={"X-Job-UUID": job})
    await world.clock.sleep(0.2)
    for client in nodes.values():
        progress = (await client.call("GET", f"/task-progresses/{job}"))["inventories"]
        assert [one["taskUuid"] for one in progress] == [job]
    image = (await b.follow(f"{b.url}/zstack/v1/api-jobs/{job}")).body["inventory"]
    assert [one["status"] for one in await c.query("/images", f"uuid={image['uuid']}")] == ["Ready"]
    await b.call("DELETE", f"/images/{image['uuid']}?deleteMode=Permissive")
    await c.call("PUT", f"/images/{image['uuid']}/actions", {"expungeImage": {}})
    for client in nodes.values():
        assert await client.query("/images", f"uuid={image['uuid']}") == []


async def _messages(world: Watched, nodes: Clients) -> None:
    """Expect a node to take what a node of its store has sealed for it, each message once."""
    parts, url = world.cluster.nodes["a"].parts, f"{nodes['a'].url}{PATH}"
    taken: list[int] = []

    async def take(content: Content) -> Content:
        taken.append(content["number"])
        return {}

    parts.bus.serve("test", take)
    seal = parts.store.vault.derived(CLOUD_BUS)
    message = {"from": world.membership("b").uuid, "start": "1", "to": parts.node_record.uuid, "service": "test"}
    sent = [
        message | {"number": 900_001, "content": {"number": 1}},
        message | {"number": 900_001, "content": {"number": 2}},
        message | {"number": 900_002, "content": {"number": 3}},
        message | {"number": 900_003, "content": {"number": 4}, "to": "another"},
        message | {"number": 900_001, "content": {"number": 5}, "start": "2"},
    ]
    sealed = [seal.encrypt(orjson.dumps(one)) for one in sent]
    forged = Fernet(Fernet.generate_key()).encrypt(orjson.dumps(sent[0]))
    answers = [await nodes["a"].request("POST", url, data=one) for one in (*sealed, forged, b"{}")]
    assert [one.status for one in answers] == [200, 200, 200, 410, 200, 403, 403]
    await world.clock.sleep(1)
    assert taken == [1, 3, 5], "the other start of the sender has numbers of its own"


async def _image_sources(world: Watched, nodes: Clients) -> None:
    a, b, c = (nodes[name] for name in NAMES)
    await lab(a, "PUT", "image-sources", {"sources": [{"url": "http://x/*", "size": "1G"}]})
    await lab(b, "POST", "image-sources", {"sources": [{"url": "http://y/*", "size": "2G"}]})
    assert [one["url"] for one in (await lab(c, "GET", "image-sources"))["sources"]] == ["http://y/*", "http://x/*"]


async def _events(world: Watched, nodes: Clients) -> None:
    """Expect the stream of one node to have the events of all, each once and in order."""
    async with aiohttp.ClientSession() as http, http.get(f"{nodes['a'].url}/lab/v1/events") as stream:
        for storage in await nodes["b"].query(STORAGES):
            await nodes["c"].call("PUT", f"{STORAGES}/{storage['uuid']}/actions", RECONNECT)
        numbers: list[int] = []
        while len(numbers) < 18:
            line = (await stream.content.readline()).decode()
            if line.startswith("id: "):
                numbers.append(int(line.removeprefix("id: ")))
        assert numbers == sorted(set(numbers))


async def play() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        for part in PARTS:
            await part(world, nodes)


PARTS = (
    _records_and_configuration,
    _sessions,
    _storages,
    _errors,
    _jobs,
    _web_hooks,
    _images,
    _messages,
    _image_sources,
    _events,
    _all_records,
)


def test_what_is_written_at_one_node_is_read_at_another() -> None:
    run_virtually(play())
