"""Calls that meet at two nodes of one MariaDB: what one of them has acknowledged, the other one finds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Literal

import orjson
import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.api.long_job_runner import ADD_IMAGE
from imagestore_sim.backup_storage.errors import BackupStorageError
from imagestore_sim.backup_storage.records import NewStorage, StorageRecords
from imagestore_sim.bootstrap import BackupStorageRecord, Bootstrap
from imagestore_sim.bootstrap.records import ZoneRecord
from imagestore_sim.cluster import MODES
from imagestore_sim.database.models import ADMIN_UUID, BackupStorage, Event, Image, Job, LongJob, SystemTag
from imagestore_sim.database.models import ImageStoreBackupStorage as Host
from imagestore_sim.identity.owners import AccountGone
from imagestore_sim.identity.quotas import IMAGE_NUM, QuotaExceeded
from imagestore_sim.ids import new_uuid
from imagestore_sim.images.sources import ImageSource, added
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.rest.errors import ErrorCode
from imagestore_sim.rest.job_store import FailedJob, JobState
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from mariadb_server import VAULT_KEY, GaleraCluster, MariaDbServer, free_port
from rows import rows
from two_mariadb_nodes import deleted_image, nodes_over, two_nodes

pytestmark = pytest.mark.mariadb
nodes = two_nodes("races")
IMAGE_STORE, SFTP = "ImageStoreBackupStorage", "SftpBackupStorage"
Change = Callable[[ManagementNode, str], Coroutine[object, object, None]]


class _Connects:
    """Connects a storage that is new, on whichever node."""

    async def connect_new(self, uuid: str) -> None:
        """Ask no host."""


async def _recover(node: ManagementNode, image: str) -> None:
    await node.parts.services.image_life.recover(image, None)


async def _expunge(node: ManagementNode, image: str) -> None:
    await node.parts.services.image_deletion.expunge(image, None)


@rows(("first", "second", "left"), [(_recover, _expunge, ["Ready"]), (_expunge, _recover, [])])
async def test_a_recovery_and_an_expunge_of_one_image_come_one_after_the_other(
    nodes: list[ManagementNode], first: Change, second: Change, left: list[str]
) -> None:
    one, other = nodes
    async with Client(one.url) as client:
        await client.log_in()
        image = await deleted_image(client)
        async with asyncio.timeout(60):
            async with one.parts.store.database.atomic():
                await first(one, image)
                later = asyncio.create_task(second(other, image))
                await asyncio.wait([later], timeout=0.5)
            with pytest.raises(BackupStorageError, match="is not deleted on any backup storage"):
                await later
        assert [found["status"] for found in await client.query(f"/images/{image}")] == left


async def test_calls_at_two_nodes_do_not_exceed_a_quota_together(nodes: list[ManagementNode]) -> None:
    one, other = nodes
    async with Client(one.url) as client:
        await client.log_in()
        answer = await client.call("POST", "/accounts", {"params": {"name": "a", "password": "p" * 128}})
        account = answer["inventory"]["uuid"]
        limit = {"updateQuota": {"identityUuid": account, "name": IMAGE_NUM, "value": 1}}
        await client.call("PUT", "/accounts/quotas/actions", limit)
        image = await deleted_image(client)
    wanted, excess = {IMAGE_NUM: 1}, f"account.uuid: {account} name: a. exceeds a quota.name: image.num"
    async with asyncio.timeout(60):
        async with one.parts.store.database.atomic(), one.parts.store.database.transaction() as connection:
            await one.parts.services.quotas.check(account, wanted)
            await connection.execute(update(Image).where(Image.uuid == image).values(accountUuid=account))
            later = asyncio.create_task(other.parts.services.quotas.check(account, wanted))
            await asyncio.wait([later], timeout=0.5)
        with pytest.raises(QuotaExceeded, match=excess):
            await later


@pytest.mark.parametrize("kinds", [(SFTP, IMAGE_STORE), (IMAGE_STORE, SFTP)])
async def test_one_host_does_not_get_storages_of_two_types_at_two_nodes(
    nodes: list[ManagementNode], kinds: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have been checked before either is written, and the second writes while the first has not committed."""
    inserted = asyncio.Event()
    inserts = StorageRecords.insert

    async def insert_and_wait(
        self: StorageRecords, connection: AsyncConnection, new: NewStorage, job: str | None
    ) -> None:
        await inserts(self, connection, new, job)
        if inserted.is_set():
            return
        inserted.set()
        await asyncio.sleep(0.5)

    monkeypatch.setattr(StorageRecords, "insert", insert_and_wait)
    for node in nodes:
        monkeypatch.setattr(node.storages.lifecycle, "_connector", _Connects())
    add = partial(NewStorage, name="n", hostname="one", url="/one", username="root", password="password")
    storages = [add(uuid=new_uuid("resource"), type=kind) for kind in kinds]
    async with asyncio.timeout(60):
        adds = [node.storages.lifecycle.add(one) for node, one in zip(nodes, storages, strict=True)]
        ended = await asyncio.gather(*adds, return_exceptions=True)
    [refused] = [error for error in ended if error is not None]
    assert re.match("More than one BackupStorage on the same host identified by hostname", str(refused))
    assert [len(await node.storages.records.tracked()) for node in nodes] == [1, 1]


def _uuid_of(node: ManagementNode) -> str:
    """Return a new uuid that the ring gives to a node."""
    peers = node.parts.cluster.peers
    return next(uuid for _ in range(1000) if peers.owner_of(uuid := new_uuid("resource")) == peers.uuid)


async def _until_they_know_each_other(nodes: list[ManagementNode]) -> None:
    async with asyncio.timeout(60):
        while any(len(node.parts.cluster.peers.members) < len(nodes) for node in nodes):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", ["delete", "update"])
async def test_a_call_about_a_storage_is_made_again_that_meets_a_change_at_another_node(
    nodes: list[ManagementNode], kind: str
) -> None:
    """MariaDB undoes the smaller one of two transactions that wait for each other: that of the call."""
    one, other = nodes
    await _until_they_know_each_other(nodes)
    new = NewStorage(uuid=_uuid_of(other), name="n", hostname="h", url="/h", username="root", password="password")
    async with other.parts.store.database.transaction() as connection:
        await other.storages.records.insert(connection, new, None)
    method, path, body, left = "DELETE", f"/backup-storage/{new.uuid}?deleteMode=Permissive", {}, []
    last = update(SystemTag).where(SystemTag.resourceUuid == new.uuid).values(tag="t")  # a delete removes tags first
    if kind == "update":
        method, path, left = "PUT", f"/backup-storage/image-store/{new.uuid}/actions", ["changed"]
        body = {"updateImageStoreBackupStorage": {"name": "changed", "username": "other"}}
        last = update(Host).where(Host.uuid == new.uuid).values(sshPort=2)
    else:
        tag = {"uuid": new_uuid("resource"), "resourceUuid": new.uuid, "resourceType": "BackupStorageVO", "tag": "s"}
        now = {"createDate": one.foundation.clock.local(), "lastOpDate": one.foundation.clock.local()}
        async with other.parts.store.database.transaction() as connection:
            await connection.execute(insert(SystemTag).values(type="System", inherent=False, **tag, **now))
    async with Client(other.url) as client, asyncio.timeout(60):
        await client.log_in()
        async with one.parts.store.database.transaction() as connection:
            for number in range(100):  # so that it is the larger one
                changed = update(BackupStorage).where(BackupStorage.uuid == new.uuid).values(description=str(number))
                await connection.execute(changed)
            answer = await client.request(method, path, body, headers={"X-Job-UUID": _uuid_of(other)})
            await asyncio.sleep(0.5)
            await connection.execute(last)
        ended = await client.follow(answer.body["location"])
        assert ended.status == 200, ended.text
        assert [found["name"] for found in await client.query("/backup-storage", f"uuid={new.uuid}")] == left


async def test_of_two_nodes_that_fail_the_job_of_a_third_one_posts_its_end(nodes: list[ManagementNode]) -> None:
    one, other = (node.parts for node in nodes)
    posted: list[FailedJob] = []
    job = {"uuid": "f" * 32, "apiMessageName": "APICreateZoneMsg", "createDate": 1, "lastOpDate": 1}
    about = {"state": JobState.PROCESSING, "managementNodeUuid": "d" * 32, "webHook": "http://localhost/h"}
    async with one.store.database.transaction() as connection:
        await connection.execute(insert(Job).values(**job, **about))
    for parts in (one, other):
        parts.jobs.store.on_failed = posted.append
    fail = partial(other.jobs.store.fail_running_of, "d" * 32)
    async with asyncio.timeout(60):
        async with one.store.database.atomic():
            await one.jobs.store.fail_running_of("d" * 32)
            later = asyncio.create_task(other.store.database.atomically(fail))
            await asyncio.wait([later], timeout=0.5)
            assert posted == []
        await later
    assert [(failed.uuid, failed.web_hook) for failed in posted] == [("f" * 32, "http://localhost/h")]


async def test_of_the_jobs_about_an_image_the_one_that_adds_it_waits_for_its_upload(
    nodes: list[ManagementNode],
) -> None:
    one, other = nodes
    jobs, uuid = one.parts.services.long_jobs, one.parts.cluster.peers.uuid
    async with Client(one.url) as client:
        await client.log_in()
        await deleted_image(client)
        [storage] = await client.query("/backup-storage")
        wanted = {"name": "i", "url": "upload://i.qcow2", "format": "qcow2", "backupStorageUuids": [storage["uuid"]]}
        params = {"jobName": ADD_IMAGE, "jobData": orjson.dumps(wanted).decode(), "targetResourceUuid": storage["uuid"]}
        added = (await client.call("POST", "/longjobs", {"params": params}))["inventory"]["uuid"]
        while not (waiting := await client.query("/images", "status=Downloading")):
            await asyncio.sleep(0.05)
        image = waiting[0]["uuid"]
        about = {"jobName": "APIExportImageFromBackupStorageMsg", "jobData": "{}", "targetResourceUuid": image}
        row = {"uuid": "e" * 32, "name": "export", "apiId": "c" * 32, "state": "Running", "accountUuid": ADMIN_UUID}
        async with one.parts.store.database.transaction() as connection:
            values = {**row, **about, "managementNodeUuid": uuid, "createDate": one.foundation.clock.local()}
            await connection.execute(insert(LongJob).values(**values))
        await jobs.open()  # as after a kill
        assert {job["uuid"]: job["state"] for job in await client.query("/longjobs")} == {
            added: "Running",
            "e" * 32: "Failed",
        }
        assert await jobs.upload_suspended(image, ErrorCode("SYS.1006", "nothing has come"))
        assert await other.parts.services.long_jobs.is_suspended(image)


@pytest.mark.parametrize("mode", MODES)
async def test_a_node_that_starts_again_at_its_address_gives_up_the_uploads_to_it(
    mariadb_server: MariaDbServer, mode: Literal["faithful", "quick"]
) -> None:
    url = mariadb_server.new_database(f"uploads_{mode}")
    settings = Settings(port=free_port(), database=url, vault_key=VAULT_KEY, cluster_mode=mode, log_level="error")
    node = ManagementNode(settings)
    await node.start(Bootstrap())
    async with Client(node.url) as client:
        await client.log_in()
        await deleted_image(client)
        option = "/global-configurations/image/upload.failure.tolerance.count/actions"
        await client.call("PUT", option, {"updateGlobalConfig": {"value": "2"}})
        [storage] = await client.query("/backup-storage")
        image = {"name": "up", "url": "upload://i", "format": "raw", "backupStorageUuids": [storage["uuid"]]}
        params = {"jobName": ADD_IMAGE, "jobData": orjson.dumps(image).decode()}
        job = (await client.call("POST", "/longjobs", {"params": params}))["inventory"]["uuid"]
        while not await client.query("/images", "status=Downloading"):
            await asyncio.sleep(0.05)
    await node.kill()
    again = ManagementNode(settings)
    await again.start(Bootstrap())
    try:
        async with Client(again.url) as client, asyncio.timeout(20):
            await client.log_in()
            while [one["state"] for one in await client.query(f"/longjobs/{job}")] != ["Failed"]:
                await asyncio.sleep(0.1)
            assert await client.query("/images", "name=up") == []
    finally:
        await again.stop()


async def _account(client: Client) -> str:
    answer = await client.call("POST", "/accounts", {"params": {"name": "a", "password": "p" * 128}})
    return str(answer["inventory"]["uuid"])


async def test_an_image_is_given_to_an_account_before_another_node_deletes_it_or_not_at_all(
    nodes: list[ManagementNode],
) -> None:
    one, other = nodes
    async with Client(one.url) as client, asyncio.timeout(60):
        await client.log_in()
        image, account = await deleted_image(client), await _account(client)
        async with one.parts.store.database.atomic():
            await one.parts.services.accounts.delete(account)
            later = asyncio.create_task(other.parts.services.shares.give(image, account))
            await asyncio.wait([later], timeout=0.5)
        with pytest.raises(AccountGone):
            await later
        account = await _account(client)
        async with one.parts.store.database.atomic():
            await one.parts.services.shares.give(image, account)
            deletion = asyncio.create_task(other.parts.services.accounts.delete(account))
            await asyncio.wait([deletion], timeout=0.5)
        await deletion
        owners = await client.call("GET", "/resources/accounts", query=[("resourceUuids", image)])
        assert owners["inventories"][image]["uuid"] == ADMIN_UUID


def _records(name: str) -> Bootstrap:
    return Bootstrap(
        zones=tuple(ZoneRecord(name=f"{name}-{number}") for number in range(3)),
        backupStorages=tuple(
            BackupStorageRecord(
                name=f"{name}-{number}", hostname=f"{name}-{number}", username="r", password="p", url="/", tracked=False
            )
            for number in range(3)
        ),
    )


async def _names(node: ManagementNode) -> list[str]:
    taken = await node.changes.snapshot()
    return sorted([*(zone.name for zone in taken.zones), *(storage.name for storage in taken.backupStorages)])


async def test_of_replacements_at_two_nodes_at_once_the_records_of_the_last_one_are_left(
    nodes: list[ManagementNode],
) -> None:
    """The tables are empty, so that the second one sees nothing that it has to delete."""
    one, other = nodes
    async with asyncio.timeout(60):
        async with one.parts.store.database.atomic():
            await one.parts.store.bootstrap_loader.load(_records("first"), replace=True)
            later = asyncio.create_task(other.changes.replace(_records("second")))
            await asyncio.wait([later], timeout=0.5)
        await later
    assert await _names(one) == sorted(2 * [f"second-{number}" for number in range(3)])


async def test_records_that_two_nodes_add_at_once_are_there_once(nodes: list[ManagementNode]) -> None:
    one, other = nodes
    async with asyncio.timeout(60):
        async with one.parts.store.database.atomic():
            await one.parts.store.bootstrap_loader.load(_records("new"))
            later = asyncio.create_task(other.changes.add(_records("new")))
            await asyncio.wait([later], timeout=0.5)
        await later
    assert await _names(one) == sorted(2 * [f"new-{number}" for number in range(3)])


async def test_changes_of_image_sources_at_two_nodes_are_both_there_at_each(nodes: list[ManagementNode]) -> None:
    one, other = nodes
    async with Client(other.url) as client, asyncio.timeout(60):
        path = f"{client.url}/lab/v1/image-sources"
        async with one.parts.store.database.atomic():
            await one.parts.store.image_sources.add([ImageSource("http://first/*")])
            later = asyncio.create_task(client.request("POST", path, {"sources": [{"url": "http://second/*"}]}))
            await asyncio.wait([later], timeout=0.5)
        both = ["http://second/*", "http://first/*"]
        assert [source["url"] for source in (await later).body["sources"]] == both
        for node in nodes:
            answer = await client.request("GET", f"{node.url}/lab/v1/image-sources")
            assert [source["url"] for source in answer.body["sources"]] == both


async def test_an_event_whose_transaction_ends_after_later_ones_reaches_those_who_follow_at_another_node(
    nodes: list[ManagementNode],
) -> None:
    one, other = nodes
    later = {"time": 0, "resourceUuid": "u", "content": "{}"}  # of long ago, by the clock of its node
    with other.events.follow() as follower:
        async with asyncio.timeout(60):
            async with one.parts.store.database.transaction() as open_one:
                await one.events.record(open_one, "/first", "u", {})
                for path in ("/second", "/third"):
                    async with other.parts.store.database.transaction() as connection:
                        await connection.execute(insert(Event).values(path=path, **later))
                    await other.parts.followed.catch_up()
            got: list[str] = []
            while len(got) < 3:
                await other.parts.followed.catch_up()
                if (event := await follower.get()).resource_uuid == "u":
                    got.append(event.path)
    assert got == ["/second", "/third", "/first"]


async def test_nodes_on_two_servers_of_a_galera_cluster_change_all_records_one_after_the_other(
    galera: GaleraCluster,
) -> None:
    """The servers have no locks in common: the change whose COMMIT is the later one is undone, and made again."""
    galera.servers[0].new_database("races")
    async with (
        nodes_over(*(server.url("races") for server in galera.servers[:2])) as (one, other),
        asyncio.timeout(120),
    ):
        for _ in range(3):
            await one.changes.replace(Bootstrap())
            await asyncio.gather(one.changes.replace(_records("first")), other.changes.replace(_records("second")))
            assert {name.rpartition("-")[0] for name in await _names(other)} in ({"first"}, {"second"})
            await asyncio.gather(*(node.changes.add(_records("new")) for node in (one, other)))
            assert len(await _names(one)) == 12
        sources = [node.parts.store.image_sources for node in (one, other)]
        for number in range(5):
            new = [[ImageSource(f"http://{number}/{node}/*")] for node in "ab"]
            await asyncio.gather(*(each.change(partial(added, its)) for each, its in zip(sources, new, strict=True)))
        await one.parts.followed.catch_up()
        assert len(one.foundation.image_sources.all()) == 10
