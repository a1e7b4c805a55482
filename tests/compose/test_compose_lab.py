"""The lab in containers, as a client of its management node sees it while its hosts fail and change."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from compose.compose_lab import HOSTS, STORAGES, ComposeLab, succeed
from imagestore_sim.testing import CallFailed, Client

pytestmark = [pytest.mark.compose, pytest.mark.asyncio(loop_scope="session")]

BOUND = 30.0  # seconds; most take two or three, and a paused host is noticed after ten


async def _available(client: Client, host: str) -> int:
    [storage] = await client.query(STORAGES, f"hostname={host}")
    return int(storage["availableCapacity"])


async def _wait_for_available(client: Client, host: str, expected: int) -> float:
    """Wait until the API shows `expected` bytes, and return the seconds that took."""
    began = time.monotonic()
    while (seen := await _available(client, host)) != expected:
        assert time.monotonic() - began < BOUND, f"{host} shows {seen}, not {expected}"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def test_it_is_ready_with_three_connected_storages_after_up(lab: ComposeLab, client: Client) -> None:
    assert (await client.request("GET", f"{lab.url}/readyz")).status == 200
    storages = await client.query(STORAGES, sort="+name")
    assert [(one["name"], one["hostname"], one["status"]) for one in storages] == [
        (host, host, "Connected") for host in HOSTS
    ]
    [zone] = await client.query("/zones")
    assert [one["attachedZoneUuids"] for one in storages] == [[zone["uuid"]]] * len(HOSTS)


async def test_every_container_is_healthy_for_docker(lab: ComposeLab) -> None:
    for service in ("mn", *HOSTS):
        await lab.wait_until_healthy(service)


async def test_capacities_are_what_df_prints_in_each_container(lab: ComposeLab, client: Client) -> None:
    storages = {one["hostname"]: one for one in await client.query(STORAGES)}
    seen = {host: (storages[host]["totalCapacity"], storages[host]["availableCapacity"]) for host in HOSTS}
    assert seen == {host: await lab.df(host) for host in HOSTS}
    assert sorted(total for total, _ in seen.values()) == [256 * 2**20, 384 * 2**20, 512 * 2**20]


async def test_a_file_written_in_a_container_shows_within_a_ping(lab: ComposeLab, client: Client) -> None:
    before = await _available(client, "imagestore-1")
    await lab.in_storage("imagestore-1", "head -c 50M /dev/zero >registry/blob")
    assert await _wait_for_available(client, "imagestore-1", before - 50 * 2**20) < 3
    assert (await lab.df("imagestore-1"))[1] == before - 50 * 2**20
    await lab.in_storage("imagestore-1", "rm registry/blob")
    await _wait_for_available(client, "imagestore-1", before)


async def test_a_full_host_stays_connected_with_nothing_available(lab: ComposeLab, client: Client) -> None:
    before = await _available(client, "imagestore-1")
    await lab.in_storage("imagestore-1", "head -c 1G /dev/zero >export/blob 2>/dev/null; test -s export/blob")
    await _wait_for_available(client, "imagestore-1", 0)
    [storage] = await client.query(STORAGES, "name=imagestore-1")
    assert (storage["status"], storage["totalCapacity"]) == ("Connected", 256 * 2**20)
    await lab.in_storage("imagestore-1", "rm export/blob")
    await _wait_for_available(client, "imagestore-1", before)


async def test_a_host_that_is_stopped_is_disconnected_and_back_when_started(lab: ComposeLab, client: Client) -> None:
    await lab.compose("stop", "imagestore-2")
    gone = await client.wait_for_status("imagestore-2", "Disconnected", within=BOUND)
    assert gone["totalCapacity"] == 384 * 2**20, "the last capacity is kept"
    assert {one["name"] for one in await client.query(STORAGES, "status=Connected")} == {"imagestore-1", "imagestore-3"}
    await lab.compose("start", "imagestore-2")
    await client.wait_for_status("imagestore-2", "Connected", within=BOUND)


async def test_a_host_that_is_paused_is_disconnected_and_back_when_unpaused(lab: ComposeLab, client: Client) -> None:
    await lab.compose("pause", "imagestore-3")
    try:
        await client.wait_for_status("imagestore-3", "Disconnected", within=BOUND)
        others = await client.query(STORAGES, "name!=imagestore-3")
        assert {one["status"] for one in others} == {"Connected"}
    finally:
        await lab.compose("unpause", "imagestore-3")
    await client.wait_for_status("imagestore-3", "Connected", within=BOUND)


async def test_a_host_that_is_recreated_has_new_keys_and_is_connected_again(lab: ComposeLab, client: Client) -> None:
    [before] = await client.query(STORAGES, "name=imagestore-2")
    keys, container = await lab.host_keys("imagestore-2"), await lab.container("imagestore-2")
    await lab.compose("up", "-d", "--no-deps", "--force-recreate", "imagestore-2")
    assert await lab.container("imagestore-2") != container
    await lab.wait_until_healthy("imagestore-2")
    await client.call("PUT", f"{STORAGES}/{before['uuid']}/actions", {"reconnectImageStoreBackupStorage": {}})
    assert (await client.wait_for_status("imagestore-2", "Connected", within=BOUND))["uuid"] == before["uuid"]
    assert await lab.host_keys("imagestore-2") != keys


async def test_a_password_changed_on_the_host_has_to_be_changed_in_the_record(lab: ComposeLab, client: Client) -> None:
    [storage] = await client.query(STORAGES, "name=imagestore-2")
    actions = f"{STORAGES}/{storage['uuid']}/actions"
    reconnect: dict[str, object] = {"reconnectImageStoreBackupStorage": {}}

    async def change(password: str) -> None:
        await lab.execute("imagestore-2", "chpasswd", given=f"store-2:{password}\n")
        with pytest.raises(CallFailed, match="permission denied for user store-2"):
            await client.call("PUT", actions, reconnect)
        await client.wait_for_status("imagestore-2", "Disconnected", within=BOUND)
        await client.call("PUT", actions, {"updateImageStoreBackupStorage": {"password": password}})
        await client.call("PUT", actions, reconnect)
        await client.wait_for_status("imagestore-2", "Connected", within=BOUND)

    await change("another: $ecret")
    await change("password-2")


async def test_an_sshd_on_another_port_is_found_when_the_record_says_so(lab: ComposeLab, client: Client) -> None:
    [storage] = await client.query(STORAGES, "name=imagestore-3")
    actions = f"{STORAGES}/{storage['uuid']}/actions"

    async def move(port: int) -> None:
        await lab.execute("imagestore-3", "sh", "-c", f"echo Port {port} >/etc/ssh/sshd_config.d/port.conf")
        await lab.compose("restart", "imagestore-3")
        await client.wait_for_status("imagestore-3", "Disconnected", within=BOUND)
        await client.call("PUT", actions, {"updateImageStoreBackupStorage": {"sshPort": port}})
        connected = await client.wait_for_status("imagestore-3", "Connected", within=BOUND)
        assert connected["sshPort"] == port

    await move(2222)
    await move(22)


async def test_a_storage_is_added_by_the_name_of_its_container(lab: ComposeLab, client: Client) -> None:
    container = (await lab.container("imagestore-1"))[:12]
    own = {"username": "store-1", "password": "password-1", "url": "/zs/1"}
    added = await client.add_image_store(container, **own)
    assert (added["hostname"], added["status"]) == (container, "Connected")
    assert (added["totalCapacity"], added["availableCapacity"]) == await lab.df("imagestore-1")
    with pytest.raises(CallFailed, match="permission denied for user store-1"):
        await client.add_image_store("alias-0", **(own | {"password": "wrong"}))
    with pytest.raises(CallFailed, match="does not resolve"):
        await client.add_image_store("imagestore-4", **own)
    await client.call("DELETE", f"/backup-storage/{added['uuid']}")
    assert len(await client.query(STORAGES)) == len(HOSTS)


async def test_nothing_is_lost_when_the_node_is_restarted(lab: ComposeLab, client: Client) -> None:
    await client.call("POST", "/zones", {"params": {"name": "Zone2"}})
    await lab.execute("mn", "imagestore-sim", "ready")
    volatile = {"status", "lastOpDate", "totalCapacity", "availableCapacity"}

    async def records() -> list[dict[str, object]]:
        async with Client(lab.url) as fresh:
            await fresh.log_in()
            found = [*await fresh.query(STORAGES, sort="+name"), *await fresh.query("/zones", sort="+name")]
        return [{name: value for name, value in one.items() if name not in volatile} for one in found]

    before = await records()
    assert len(before) == len(HOSTS) + 2
    await lab.compose("restart", "mn")
    await lab.wait_until_ready()
    assert await records() == before
    # The session outlives the restart too
    [zone] = await client.query("/zones", "name=Zone2")
    await client.call("DELETE", f"/zones/{zone['uuid']}")
    assert {one["status"] for one in await client.query(STORAGES)} == {"Connected"}


async def test_nothing_is_lost_when_the_node_is_killed_in_the_middle_of_adds(lab: ComposeLab) -> None:
    container = await lab.container("mn")
    done: set[str] = set()
    jobs: dict[str, str] = {}
    enough = asyncio.Event()
    parallel = asyncio.Semaphore(6)

    async def add(client: Client, alias: str, host: str) -> None:
        number = host[-1]
        values = {"hostname": alias, "name": alias, "url": f"/zs/{number}"}
        account = {"username": f"store-{number}", "password": f"password-{number}"}
        async with parallel:
            accepted = await client.request("POST", STORAGES, {"params": values | account})
            jobs[alias] = accepted.body["location"].rpartition("/")[2]
            answer = await client.follow(accepted.body["location"])
        assert answer.status == 200, answer.text
        done.add(alias)
        if len(done) == len(lab.aliases) // 5:
            enough.set()

    async with Client(lab.url) as client:
        await client.log_in()
        adding = [asyncio.ensure_future(add(client, *pair)) for pair in lab.aliases.items()]
        await asyncio.wait_for(enough.wait(), BOUND)
        await succeed("docker", "kill", "--signal", "KILL", container)
        results = await asyncio.gather(*adding, return_exceptions=True)
    cut = [error for error in results if error is not None]
    assert cut, "it was killed too late to show anything"
    assert all(isinstance(error, aiohttp.ClientError) for error in cut), cut
    assert (await lab.inspect("mn"))["State"]["ExitCode"] == 137

    await succeed("docker", "start", container)
    await lab.wait_until_ready()
    async with Client(lab.url) as client:
        await client.log_in()
        there = {one["hostname"]: one for one in await client.query(STORAGES)}
        assert done | set(HOSTS) <= there.keys()
        for alias, job in jobs.items():
            answer = await client.request("GET", f"/api-jobs/{job}")
            assert answer.status in (200, 503), "a job that was accepted can be asked for, and has ended"
            assert (answer.status == 200) == (alias in there)
        for hostname, storage in there.items():
            await client.wait_for_status(hostname, "Connected", within=BOUND)
            if hostname not in HOSTS:
                await client.call("DELETE", f"/backup-storage/{storage['uuid']}")
