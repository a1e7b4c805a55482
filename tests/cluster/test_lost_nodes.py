"""What becomes of calls and jobs when a node is lost that they need."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from sqlalchemy import select

from cluster_clients import RECONNECT, STORAGES, Clients, clients, owner
from hook_receiver import Receiver, open_receiver
from imagestore_sim.cluster import Link, NodeLeft
from imagestore_sim.cluster.bus import Content
from imagestore_sim.cluster.rows import JOINING, Member, MemberRows
from imagestore_sim.database.models import Job
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.ids import new_uuid
from imagestore_sim.rest.messages import Reply
from imagestore_sim.testing.client import Client
from imagestore_sim.virtual_clock import run_virtually
from three_nodes import NAMES, Watched, three_nodes

HALF = 2**20


def job_of(world: Watched, name: str) -> str:
    """Return a new uuid of a job that the ring gives to a node."""
    return next(uuid for _ in range(1000) if owner(world, uuid := new_uuid("job")) == name)


async def begin(client: Client, method: str, path: str, body: object, job: str) -> None:
    answer = await client.request(method, path, body, headers={"X-Job-UUID": job})
    assert answer.status == 202, answer


async def poll(client: Client, job: str) -> tuple[int, str]:
    """Return the status of a poll, and the details of the error that the job has ended with."""
    answer = await client.request("GET", f"/api-jobs/{job}")
    return answer.status, answer.body.get("error", {}).get("details", "")


async def storage_of(world: Watched, nodes: Clients, name: str) -> str:
    """Return the uuid of a storage that a node owns, whose host answers no probe."""
    for storage in await nodes["a"].query(STORAGES):
        if owner(world, storage["uuid"]) == name:
            await world.network[storage["hostname"]].apply(read_fault("hung_sftp", {}))
            return str(storage["uuid"])
    raise AssertionError(f"{name} owns no storage")


async def _owner_of_the_storage_is_killed() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        lost, storage = world.membership("b").uuid, await storage_of(world, nodes, "b")
        job = job_of(world, "c")
        await begin(nodes["a"], "PUT", f"{STORAGES}/{storage}/actions", RECONNECT, job)
        await world.clock.sleep(0.5)
        assert await poll(nodes["a"], job) == (202, "")
        await world.cluster.kill("b")
        await world.clock.sleep(6)
        ended = (503, f"management node[uuid:{lost}] is unavailable")
        assert [await poll(nodes[name], job) for name in ("a", "c")] == [ended] * 2


def test_a_call_ends_when_the_node_leaves_that_carries_it_out() -> None:
    """ZStack: SYS.1012 (CloudBus3ManagementNodeLifeCycleTracker)."""
    run_virtually(_owner_of_the_storage_is_killed())


async def _owner_of_the_job_is_killed(mode: str, seconds: float) -> tuple[str, list[tuple[int, str]], int]:
    """Kill the node that carries out an AddImageStoreBackupStorage; return its uuid, the polls, and the rows left."""
    async with three_nodes(mode) as world, clients(world) as nodes:
        host = SimulatedHost("slow", clock=world.clock)
        await world.network.add(host)
        await host.apply(read_fault("hung_sftp", {}))
        job, lost = job_of(world, "b"), world.membership("b").uuid
        values = {"name": "slow", "hostname": "slow", "username": "root", "password": "password", "url": "/x"}
        await begin(nodes["a"], "POST", STORAGES, {"params": values}, job)
        await world.clock.sleep(0.5)
        await world.cluster.kill("b")
        await world.clock.sleep(seconds)
        polls = [await poll(nodes[name], job) for name in ("a", "c")]
        return lost, polls, len(await nodes["c"].query(STORAGES, "name=slow"))


@pytest.mark.thorough
def test_a_job_of_a_node_that_has_left_ends_in_the_quick_mode() -> None:
    lost, polls, rows = run_virtually(_owner_of_the_job_is_killed("quick", 6))
    assert polls == [(503, f"management node[uuid:{lost}] is unavailable")] * 2
    assert rows == 0


@pytest.mark.thorough
def test_a_job_of_a_node_that_has_left_never_ends_in_the_faithful_mode() -> None:
    """ZStack: the row stays as it is for good (MysqlAsyncRestStore); the storage that it was adding does not."""
    _, polls, rows = run_virtually(_owner_of_the_job_is_killed("faithful", 90))
    assert polls == [(202, "")] * 2
    assert rows == 0


ZONE: dict[str, object] = {"params": {"name": "z"}}


async def begin_hooked(client: Client, method: str, path: str, body: object, job: str, hook: Receiver) -> None:
    """Begin a job whose end is posted to a receiver."""
    answer = await client.request(method, path, body, headers={"X-Job-UUID": job, "X-Web-Hook": hook.url})
    assert answer.status == 202, answer


async def _node_of_a_job_stops() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes, open_receiver(world) as hook:
        leaving, job = world.cluster.nodes["b"].parts.leaving, job_of(world, "b")
        assert leaving is not None
        await leaving.prepare()  # the first step of a stop: it takes no message, and its row is still there
        await begin_hooked(nodes["a"], "POST", "/zones", ZONE, job, hook)
        await world.clock.sleep(2)
        assert await poll(nodes["c"], job) == (200, "")
        assert [body["inventory"]["name"] for body in hook.bodies] == ["z"]


def test_a_job_is_carried_out_by_the_node_that_was_asked_while_its_own_stops() -> None:
    run_virtually(_node_of_a_job_stops())


async def _message_of_a_job_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave(node: str, *_: object, **__: object) -> Content:
        raise NodeLeft(node)

    async def never() -> Reply:
        raise AssertionError("another node carries this out")

    async with three_nodes("quick") as world, clients(world) as nodes, open_receiver(world) as hook:
        storage, job = await storage_of(world, nodes, "a"), job_of(world, "b")
        monkeypatch.setattr(world.cluster.nodes["a"].parts.bus, "call", leave)
        await begin_hooked(nodes["a"], "PUT", f"{STORAGES}/{storage}/actions", RECONNECT, job, hook)
        await world.clock.sleep(0.5)
        jobs, name = world.cluster.nodes["b"].parts.jobs, "APIReconnectImageStoreBackupStorageMsg"
        await jobs.take(job, name, world.membership("a").uuid, never, None, waits=True)
        assert await poll(nodes["a"], job) == (202, "")
        await world.clock.sleep(120)
        status, details = await poll(nodes["c"], job)
        assert (status, "carries this out" in details) == (503, False)
        assert [body["error"]["details"] for body in hook.bodies] == [details]


def test_a_job_that_its_giver_carries_out_is_not_taken_by_a_message_that_comes_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_virtually(_message_of_a_job_comes_late(monkeypatch))


async def _reply_about_a_job_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async with three_nodes("quick") as world, clients(world) as nodes, open_receiver(world) as hook:
        job, bus = job_of(world, "b"), world.cluster.nodes["a"].parts.bus
        call = bus.call

        async def call_in_vain(node: str, service: str, content: Content, *, seconds: float) -> Content:
            await call(node, service, content, seconds=seconds)
            raise NodeLeft(node)

        monkeypatch.setattr(bus, "call", call_in_vain)
        await begin_hooked(nodes["a"], "POST", "/zones", ZONE, job, hook)
        await world.clock.sleep(2)
        assert await poll(nodes["c"], job) == (200, "")
        assert len(await nodes["a"].query("/zones", "name=z")) == len(hook.bodies) == 1


def test_a_job_that_was_taken_is_carried_out_once_if_its_giver_does_not_hear_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_virtually(_reply_about_a_job_is_lost(monkeypatch))


async def _node_of_a_job_with_a_web_hook_is_killed() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes, open_receiver(world) as hook:
        storage, job, lost = await storage_of(world, nodes, "b"), job_of(world, "b"), world.membership("b").uuid
        await begin_hooked(nodes["a"], "PUT", f"{STORAGES}/{storage}/actions", RECONNECT, job, hook)
        await world.clock.sleep(0.5)
        await world.cluster.kill("b")
        await world.clock.sleep(10)
        details = f"management node[uuid:{lost}] is unavailable"
        assert [body["error"]["details"] for body in hook.bodies] == [details]
        assert await poll(nodes["c"], job) == (503, details)


def test_the_end_of_a_job_whose_node_was_killed_is_posted_once() -> None:
    run_virtually(_node_of_a_job_with_a_web_hook_is_killed())


async def _node_of_a_job_cannot_be_reached_to_post() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes, open_receiver(world) as hook:
        world.cluster.part("a", "b")
        await begin_hooked(nodes["a"], "POST", "/zones", ZONE, job_of(world, "b"), hook)
        await world.clock.sleep(60)
        details = f"management node[uuid:{world.membership('b').uuid}] is unavailable"
        assert [body["error"]["details"] for body in hook.bodies] == [details]


def test_the_end_of_a_job_is_posted_whose_node_cannot_be_reached() -> None:
    run_virtually(_node_of_a_job_cannot_be_reached_to_post())


async def _lost_job_adds_an_image() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        a, job = nodes["a"], new_uuid("job")
        sources = {"sources": [{"url": "*", "size": "10G", "actualSize": "10G", "rate": "100M"}]}
        await a.request("PUT", f"{a.url}/lab/v1/image-sources", sources)
        lost = {"kind": "job_lost", "point": "before", "when": {"api": "AddImage"}}
        await a.request("POST", f"{a.url}/lab/v1/node/faults", lost)
        [storage, *_] = await a.query(STORAGES)
        params = {"name": "i", "url": "http://x/i.raw", "format": "raw", "backupStorageUuids": [storage["uuid"]]}
        await begin(a, "POST", "/images", {"params": params}, job)
        await world.clock.sleep(70)
        assert [image["status"] for image in await a.query("/images")] == ["Downloading"]
        assert [(await poll(client, job))[0] for client in nodes.values()] == [404] * 3
        await world.clock.sleep(90)
        assert [image["status"] for image in await a.query("/images")] == ["Ready"]
        rows = select(Job.uuid).where(Job.uuid == job)
        assert not await world.cluster.nodes["b"].parts.store.database.read(rows)


def test_the_work_of_a_lost_job_is_done_though_nodes_delete_what_none_carries_out() -> None:
    run_virtually(_lost_job_adds_an_image())


async def _owner_of_the_job_dies_while_it_starts_again() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        storage, job, lost = await storage_of(world, nodes, "b"), job_of(world, "b"), world.membership("b").uuid
        await begin(nodes["a"], "PUT", f"{STORAGES}/{storage}/actions", RECONNECT, job)
        await world.clock.sleep(0.5)
        rows, store = MemberRows(), world.cluster.nodes["a"].parts.store.database
        await world.cluster.kill("b")
        async with store.transaction() as connection:  # it has begun to start again, and its row is that of the start
            epoch, at = await rows.raise_epoch(connection), world.clock.local()
            await rows.insert(connection, Member(lost, "127.0.0.1", 9, JOINING, epoch, 0, at, at, "quick"))
        await world.clock.sleep(6)
        assert await poll(nodes["a"], job) == (202, "")
        async with store.transaction() as connection:
            await rows.raise_epoch(connection)
            assert await rows.remove(connection, lost, epoch)
        await world.clock.sleep(31)
        ended = (503, f"management node[uuid:{lost}] is unavailable")
        assert [await poll(nodes[name], job) for name in ("a", "c")] == [ended] * 2


def test_a_job_of_a_node_ends_that_has_died_while_it_started_again() -> None:
    run_virtually(_owner_of_the_job_dies_while_it_starts_again())


async def _job_between_a_reset_and_what_follows_it() -> tuple[int, str]:
    """Begin a reconnect on a node that has not followed yet a reset that another one has committed."""
    async with three_nodes("quick") as world, clients(world) as nodes:
        job, following = job_of(world, "b"), world.cluster.nodes["b"].changes
        async with following._one_change:
            resetting = asyncio.create_task(world.cluster.nodes["a"].changes.reset())
            await world.clock.sleep(1)
            await nodes["b"].log_in()
            storage = next(one for one in await nodes["b"].query(STORAGES) if owner(world, one["uuid"]) == "b")
            host = world.network[storage["hostname"]]
            await host.apply(read_fault("hung_sftp", {}))
            await begin(nodes["b"], "PUT", f"{STORAGES}/{storage['uuid']}/actions", RECONNECT, job)
            await world.clock.sleep(0.5)
            assert await poll(nodes["c"], job) == (202, "")
        await resetting
        for applied in host.faults:
            await applied.heal()
        await world.clock.sleep(60)
        return await poll(nodes["c"], job)


def test_a_job_ends_that_began_before_its_node_followed_a_reset_of_another_one() -> None:
    status, details = run_virtually(_job_between_a_reset_and_what_follows_it())
    assert status in (200, 503)
    assert "records were replaced" not in details


async def _paused_owner_of_the_job() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        storage, job, lost = await storage_of(world, nodes, "b"), job_of(world, "b"), world.membership("b").uuid
        await begin(nodes["a"], "PUT", f"{STORAGES}/{storage}/actions", RECONNECT, job)
        await world.clock.sleep(0.5)
        world.cluster.pause("b")
        await world.clock.sleep(6)
        ended = (503, f"management node[uuid:{lost}] is unavailable")
        assert await poll(nodes["c"], job) == ended
        world.cluster.resume("b")
        await world.clock.sleep(60)
        assert [await poll(nodes[name], job) for name in NAMES] == [ended] * 3


@pytest.mark.thorough
def test_a_node_that_was_taken_for_dead_does_not_end_a_job_again() -> None:
    run_virtually(_paused_owner_of_the_job())


async def _unreachable_owner() -> None:
    async with three_nodes("faithful") as world, clients(world) as nodes:
        job, there = job_of(world, "b"), world.membership("b").uuid
        world.cluster.cut("a", Link.PEERS)
        await begin(nodes["a"], "POST", "/zones", {"params": {"name": "z"}}, job)
        await world.clock.sleep(60)
        assert await poll(nodes["c"], job) == (503, f"management node[uuid:{there}] is unavailable")
        assert await nodes["b"].query("/zones", "name=z") == []
        world.cluster.join("a", Link.PEERS)
        job = job_of(world, "b")
        world.cluster.cut("b", Link.PEERS)
        await begin(nodes["a"], "POST", "/zones", {"params": {"name": "z"}}, job)
        await world.clock.sleep(5)
        world.cluster.join("b", Link.PEERS)
        await world.clock.sleep(5)
        assert (await poll(nodes["c"], job))[0] == 200
        assert len(await nodes["b"].query("/zones", "name=z")) == 1


@pytest.mark.thorough
def test_a_job_ends_when_its_node_lives_but_cannot_be_reached() -> None:
    run_virtually(_unreachable_owner())


async def _locations(mode: str) -> list[bool]:
    """Return whether each node names its own address, or the one that the client used."""
    async with three_nodes(mode) as world, clients(world) as nodes:
        found = []
        for client in nodes.values():
            headers = {"Host": "proxy:8080"}
            answer = await client.request("POST", "/zones", {"params": {"name": "z"}}, headers=headers)
            found.append(answer.body["location"].startswith(f"{client.url}/"))
        return found


@pytest.mark.thorough
def test_a_client_is_sent_to_the_node_itself_in_the_faithful_mode() -> None:
    """ZStack builds the location of its configured address (RESTFacadeImpl)."""
    assert run_virtually(_locations("faithful")) == [True] * 3
    assert run_virtually(_locations("quick")) == [False] * 3


async def _parted_nodes() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        uuids = {name: world.membership(name).uuid for name in NAMES}

        async def zone(caller: str, carrier: str, name: str) -> tuple[int, str]:
            job = job_of(world, carrier)
            await begin(nodes[caller], "POST", "/zones", {"params": {"name": name}}, job)
            await world.clock.sleep(60)
            return await poll(nodes["c"], job)

        world.cluster.part("a", "b")
        assert await zone("a", "b", "lost") == (503, f"management node[uuid:{uuids['b']}] is unavailable")
        assert await zone("b", "a", "lost") == (503, f"management node[uuid:{uuids['a']}] is unavailable")
        for caller, carrier in (("a", "c"), ("c", "a"), ("b", "c"), ("c", "b")):
            assert (await zone(caller, carrier, "there"))[0] == 200
        assert len(world.membership("a").members) == 3
        world.cluster.reunite("b", "a")
        for caller, carrier in (("a", "b"), ("b", "a")):
            assert (await zone(caller, carrier, "there"))[0] == 200
        assert len(await nodes["a"].query("/zones", "name=there")) == 6
        assert await nodes["a"].query("/zones", "name=lost") == []


@pytest.mark.thorough
def test_two_nodes_can_be_cut_off_from_each_other_alone() -> None:
    run_virtually(_parted_nodes())


async def _node_of_a_long_job_stands_still() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        sources = {"sources": [{"url": "*", "size": "1G", "actualSize": "1G", "rate": "10M"}]}
        await nodes["a"].request("PUT", f"{nodes['a'].url}/lab/v1/image-sources", sources)
        [storage, *_] = await nodes["a"].query(STORAGES)
        disk = world.network[storage["hostname"]].disk

        def used() -> int:
            return int(disk.storage_disk().state().used)

        before = used()
        image = {"name": "i", "url": "http://x/i.raw", "format": "raw", "backupStorageUuids": [storage["uuid"]]}
        job = {"jobName": "APIAddImageMsg", "jobData": json.dumps(image)}
        submitted = (await nodes["a"].call("POST", "/longjobs", {"params": job}))["inventory"]
        name = next(one for one in NAMES if world.membership(one).uuid == submitted["managementNodeUuid"])
        other = next(one for one in NAMES if one != name)
        await world.clock.sleep(10)
        assert used() - before > 2**20
        world.cluster.pause(name)
        await world.clock.sleep(8)
        [ended] = await nodes[other].query(f"/longjobs/{submitted['uuid']}")
        assert (ended["state"], json.loads(ended["jobResult"])["code"]) == ("Failed", "SYS.1012")
        world.cluster.resume(name)
        await world.clock.sleep(150)
        assert await nodes[other].query(f"/longjobs/{submitted['uuid']}") == [ended]
        assert await nodes[other].query("/images") == []
        assert used() - before < 2**20, "its bits are gone"


@pytest.mark.thorough
def test_a_long_job_ends_once_whose_node_was_taken_for_dead_and_goes_on() -> None:
    run_virtually(_node_of_a_long_job_stands_still())


async def _node_of_an_upload_stands_still() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        [storage, *_] = await nodes["a"].query(STORAGES)
        wanted = {"name": "up", "url": "upload://i.raw", "format": "raw", "backupStorageUuids": [storage["uuid"]]}
        image = (await nodes["a"].call("POST", "/images", {"params": wanted}))["inventory"]
        url, bits = image["backupStorageRefs"][0]["installPath"], bytes(2 * HALF)
        name = next(one for one in NAMES if url.startswith(nodes[one].url))
        assert await _send_half(url, image["uuid"], bits, 0) == 200
        world.cluster.pause(name)
        await world.clock.sleep(8)
        world.cluster.resume(name)
        await world.clock.sleep(5)
        assert await _send_half(url, image["uuid"], bits, HALF) == 200
        await world.clock.sleep(30)
        [found] = await nodes["a"].query("/images")
        assert (found["status"], found["size"]) == ("Ready", len(bits))
        disk = world.network[storage["hostname"]].disk
        assert disk.stat(f"/zstack/registry/{image['uuid']}/{image['uuid']}").size == len(bits)


async def _send_half(url: str, image: str, bits: bytes, offset: int) -> int:
    """Send a half of an image, and return the status of the answer."""
    headers = {"X-IMAGE-UUID": image, "X-IMAGE-SIZE": str(len(bits)), "X-SLICE-OFFSET": str(offset)}
    headers |= {"X-SLICE-SIZE": str(HALF), "X-SLICE-INDEX": str(offset // HALF)}
    piece = bits[offset : offset + HALF]
    async with aiohttp.ClientSession() as http, http.put(url, data=piece, headers=headers) as answer:
        return answer.status


@pytest.mark.thorough
def test_an_upload_that_two_nodes_wait_for_is_kept() -> None:
    """One was taken for dead; its client goes on to send to it."""
    run_virtually(_node_of_an_upload_stands_still())


async def _node_of_an_export_stands_still() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        rates = [{"url": "http://*", "size": "1G", "actualSize": "1G"}, {"url": "export://*", "rate": "100M"}]
        await nodes["a"].request("PUT", f"{nodes['a'].url}/lab/v1/image-sources", {"sources": rates})
        storage = next(one for one in await nodes["a"].query(STORAGES) if owner(world, one["uuid"]) == "b")
        disk, wanted = world.network[storage["hostname"]].disk, [storage["uuid"]]
        image = {"name": "i", "url": "http://x/i.raw", "format": "raw", "backupStorageUuids": wanted}
        uuid = (await nodes["a"].call("POST", "/images", {"params": image}))["inventory"]["uuid"]
        job, export = job_of(world, "a"), {"exportImageFromBackupStorage": {"imageUuid": uuid}}
        await begin(nodes["a"], "PUT", f"/backup-storage/{storage['uuid']}/actions", export, job)
        await world.clock.sleep(4)
        world.cluster.pause("b")
        await world.clock.sleep(8)
        world.cluster.resume("b")
        await world.clock.sleep(60)
        [found] = await nodes["a"].query("/images")
        [ref] = found["backupStorageRefs"]
        exports = disk.listdir("/zstack/export") if disk.exists("/zstack/export") else []
        assert (await poll(nodes["a"], job))[0] == 503
        assert (exports, "exportUrl" in ref) == ([], False)
        assert disk.stat(f"/zstack/registry/{uuid}/{uuid}").size == 2**30


@pytest.mark.thorough
def test_nothing_is_left_of_an_export_whose_node_was_taken_for_dead_and_goes_on() -> None:
    """Another node has removed the file, and the node goes on to write it."""
    run_virtually(_node_of_an_export_stands_still())
