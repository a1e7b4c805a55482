"""Calls that meet at two nodes of one MariaDB: the second one finds what the first one has done."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from sqlalchemy import CursorResult, Delete, Executable, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import BackupStorageError
from imagestore_sim.backup_storage.global_config import PING_MODE, RESERVED_CAPACITY
from imagestore_sim.backup_storage.records import NewStorage
from imagestore_sim.database import StoreConflict
from imagestore_sim.database.models import (
    ADMIN_UUID,
    BackupStorage,
    GlobalConfig,
    Image,
    ImageBackupStorageRef,
    Session,
    User,
    UserGroupPolicyRef,
    UserGroupUserRef,
    UserPolicyRef,
    UserTag,
)
from imagestore_sim.identity.quotas import IMAGE_NUM
from imagestore_sim.ids import new_uuid
from imagestore_sim.images.copies import Copy
from imagestore_sim.images.deletion import ImageDeletion
from imagestore_sim.images.rows import ImageRows
from imagestore_sim.images.uploads import Upload
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.rest import session_store
from imagestore_sim.rest.errors import ErrorCode
from imagestore_sim.rest.identity import Identity
from imagestore_sim.testing import CallFailed, Client
from rows import rows
from two_mariadb_nodes import deleted_image, two_nodes

pytestmark = pytest.mark.mariadb
nodes = two_nodes("meeting")
IMAGE_STORE, SFTP = "ImageStoreBackupStorage", "SftpBackupStorage"
Change = Callable[[ManagementNode, str], Coroutine[object, object, None]]
Step = Callable[[ManagementNode], Coroutine[object, object, object]]
StepOfTwo = Callable[[ManagementNode, str, str], Coroutine[object, object, object]]
PASSWORD = "p" * 128


async def _expunge(node: ManagementNode, image: str) -> None:
    await node.parts.services.image_deletion.expunge(image, None)


async def _meet(nodes: list[ManagementNode], first: Step, second: Step) -> object:
    """Let the other node begin `second` while `first` has not been committed; return what it returns or raises."""
    one, other = nodes
    async with asyncio.timeout(60):
        async with one.parts.store.database.atomic():
            await first(one)
            later = asyncio.create_task(other.parts.store.database.atomically(lambda: second(other)))
            await asyncio.wait([later], timeout=0.5)
        [ended] = await asyncio.gather(later, return_exceptions=True)
    return ended


async def _both(nodes: list[ManagementNode], step: Step) -> object:
    """Let both nodes do the same; return what the one returns or raises that comes second."""
    return await _meet(nodes, step, step)


@pytest.fixture
async def client(nodes: list[ManagementNode]) -> AsyncIterator[Client]:
    async with Client(nodes[0].url) as client:
        await client.log_in()
        yield client


async def _made(client: Client, path: str, **params: object) -> str:
    return str((await client.call("POST", path, {"params": params}))["inventory"]["uuid"])


async def _storage(client: Client, name: str = "s") -> str:
    capacity = {"totalCapacity": 9, "availableCapacity": 9}
    kind = {"type": "SimulatorBackupStorage", "url": f"/{name}"}
    return await _made(client, "/backup-storage/simulators", name=name, **kind, **capacity)


async def _image(client: Client, *storages: str) -> str:
    its = {"url": "http://x/i.qcow2", "format": "qcow2", "backupStorageUuids": list(storages)}
    return await _made(client, "/images", name="i", **its)


async def _account(client: Client) -> str:
    return await _made(client, "/accounts", name="a", password=PASSWORD)


async def test_two_nodes_do_not_attach_a_storage_to_a_zone_twice(nodes: list[ManagementNode], client: Client) -> None:
    storage, zone = await _storage(client), await _made(client, "/zones", name="z")
    ended = await _both(nodes, lambda node: node.parts.services.zones.attach(storage, zone))
    assert re.search("has been attached to zone", str(ended))
    assert [one["attachedZoneUuids"] for one in await client.query("/backup-storage")] == [[zone]]
    ended = await _both(nodes, lambda node: node.parts.services.zones.detach(storage, zone))
    assert re.search("has not been attached to zone", str(ended))


async def test_two_nodes_do_not_make_two_zones_the_default(nodes: list[ManagementNode], client: Client) -> None:
    def create(name: str) -> Step:
        return lambda node: node.parts.services.zones.create(new_uuid(), name, None, is_default=True)

    async def default() -> list[str]:
        return [zone["name"] for zone in await client.query("/zones") if zone["isDefault"]]

    assert await _meet(nodes, create("a"), create("b")) is None
    assert await default() == ["b"]
    zones = [await _made(client, "/zones", name=name) for name in "cd"]
    changes: list[Step] = [
        lambda node, uuid=uuid: node.parts.services.zones.change(uuid, {"isDefault": True})  # type: ignore[misc]
        for uuid in zones
    ]
    assert await _meet(nodes, *changes) is None
    assert await default() == ["d"]


async def test_two_nodes_do_not_give_a_resource_equal_tags(nodes: list[ManagementNode], client: Client) -> None:
    storage = await _storage(client)
    pattern = await _made(client, "/tags", name="p", value="v")
    ended = await _both(
        nodes, lambda node: node.parts.services.tags.create_system_tag(storage, "BackupStorageVO", "onlybackup")
    )
    assert ended is None
    tags: list[Step] = [
        lambda node: node.parts.services.tags.create_user_tag(storage, "BackupStorageVO", "t"),
        lambda node: node.parts.services.tag_patterns.attach(pattern, storage, "BackupStorageVO", {}),
    ]
    for tag in tags:
        assert re.match("Duplicated Tag", str(await _both(nodes, tag)))
    assert [one["tag"] for one in await client.query("/system-tags")] == ["onlybackup"]
    assert sorted(one["tag"] for one in await client.query("/user-tags")) == ["t", "v"]


async def test_an_image_gets_one_boot_mode_from_two_nodes(nodes: list[ManagementNode], client: Client) -> None:
    image = await _image(client, await _storage(client))
    calls: list[tuple[Step, str]] = [
        (lambda node: node.parts.services.image_life.set_boot_mode(image, "Legacy"), "bootMode::Legacy"),
        (lambda node: node.parts.services.image_deletion.update(image, {"architecture": "aarch64"}), "bootMode::UEFI"),
    ]
    for change, mode in calls:
        assert await _both(nodes, change) is None
        assert [one["tag"] for one in await client.query("/system-tags")] == [mode]
    assert await _both(nodes, lambda node: node.parts.services.image_life.set_guest_agent(image, enable=True)) is None
    assert sorted(one["tag"] for one in await client.query("/system-tags")) == ["bootMode::UEFI", "qemuga"]


def _tag_zone(node: ManagementNode, zone: str, _: str) -> Coroutine[object, object, object]:
    return node.parts.services.tags.create_system_tag(zone, "ZoneVO", "host::reservedCpu::1")


def _delete_zone(node: ManagementNode, zone: str, _: str) -> Coroutine[object, object, object]:
    return node.parts.services.zones.delete(zone)


def _tag_storage(node: ManagementNode, _: str, storage: str) -> Coroutine[object, object, object]:
    return node.parts.services.tags.create_user_tag(storage, "BackupStorageVO", "t")


def _configure_storage(node: ManagementNode, _: str, storage: str) -> Coroutine[object, object, object]:
    services = node.parts.services
    return services.resource_configs.change(RESERVED_CAPACITY, storage, "BackupStorageVO", "1G")


def _delete_storage(node: ManagementNode, _: str, storage: str) -> Coroutine[object, object, object]:
    return node.parts.storages.lifecycle.delete(storage)


@rows(
    ("tag", "remove"),
    [(_tag_zone, _delete_zone), (_tag_storage, _delete_storage), (_configure_storage, _delete_storage)],
)
async def test_what_a_resource_gets_while_it_is_deleted_is_deleted_with_it(
    nodes: list[ManagementNode], client: Client, tag: StepOfTwo, remove: StepOfTwo
) -> None:
    for first, second, text in [(tag, remove, "None"), (remove, tag, "has been deleted|doesnt match uuid")]:
        zone, storage = await _made(client, "/zones", name="z"), await _storage(client)
        ended = await _meet(
            nodes,
            lambda node: first(node, zone, storage),  # noqa: B023 - is called at once
            lambda node: second(node, zone, storage),  # noqa: B023 - is called at once
        )
        assert re.search(text, str(ended))
        for kept in ("/system-tags", "/user-tags", "/resource-configurations"):
            assert await client.query(kept) == []


async def _undo(node: ManagementNode, image: str) -> None:
    await node.parts.services.garbage.undo(image)  # it is the job of its own add, see below


@rows("remove", [_expunge, _undo])
async def test_tags_of_an_image_go_with_it(nodes: list[ManagementNode], client: Client, remove: Change) -> None:
    for remove_first in (False, True):
        image = await deleted_image(client)
        async with nodes[0].parts.store.database.transaction() as connection:
            await connection.execute(update(Image).where(Image.uuid == image).values(addedByJob=image))
        delete: Step = lambda node: remove(node, image)  # noqa: B023, E731
        if remove_first:
            mode: Step = lambda node: node.parts.services.image_life.set_boot_mode(image, "UEFI")  # noqa: B023, E731
            assert re.search("has been deleted", str(await _meet(nodes, delete, mode)))
        else:
            tag: Step = lambda node: node.parts.services.tags.create_user_tag(image, "ImageVO", "t")  # noqa: B023, E731
            await _meet(nodes, tag, delete)
        for kept in ("/system-tags", "/user-tags", "/images"):
            assert await client.query(kept) == []


async def _pattern(node: ManagementNode, account: str) -> str:
    uuid, values = new_uuid(), {"name": "p", "value": "v", "type": "simple"}
    await node.parts.services.tag_patterns.create(uuid, account, values)
    return uuid


async def test_no_tag_is_made_of_a_pattern_that_is_deleted(nodes: list[ManagementNode], client: Client) -> None:
    storage = await _storage(client)
    for path in ("pattern", "account"):
        account = await _account(client)
        pattern = await _pattern(nodes[0], account)
        delete: Step = {
            "pattern": lambda node: node.parts.services.tag_patterns.delete(pattern),  # noqa: B023
            "account": lambda node: node.parts.services.accounts.delete(account),  # noqa: B023
        }[path]
        attach: Step = lambda node: node.parts.services.tag_patterns.attach(  # noqa: E731
            pattern,  # noqa: B023
            storage,
            "BackupStorageVO",
            {},
        )
        assert await _meet(nodes, attach, delete) is None
        assert await client.query("/user-tags") == []
        assert re.search("has been deleted", str(await _meet(nodes, delete, attach)))
        if path == "pattern":
            await client.call("DELETE", f"/accounts/{account}")


@pytest.mark.parametrize("what", ["zone", "storage", "image of a storage", "image", "new image", "pattern", "account"])
async def test_no_tag_is_left_that_is_made_in_the_midst_of_a_deletion(
    nodes: list[ManagementNode], client: Client, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The other node makes it once the tags have been deleted, as far as those statements go."""
    services, storages = nodes[0].parts.services, nodes[0].parts.storages
    zone, account, image = await _made(client, "/zones", name="z"), await _account(client), await deleted_image(client)
    [storage] = [one["uuid"] for one in await client.query("/backup-storage")]
    async with nodes[0].parts.store.database.transaction() as connection:
        await connection.execute(update(Image).values(addedByJob=image))
    pattern = await _pattern(nodes[0], account)
    deletions: Mapping[str, tuple[str, str, Callable[[], Coroutine[object, object, None]]]] = {
        "zone": (zone, "ZoneVO", lambda: services.zones.delete(zone)),
        "storage": (storage, "BackupStorageVO", lambda: storages.lifecycle.delete(storage)),
        "image of a storage": (image, "ImageVO", lambda: storages.lifecycle.delete(storage)),
        "image": (image, "ImageVO", lambda: services.image_deletion.expunge(image, None)),
        "new image": (image, "ImageVO", lambda: services.garbage.undo(image)),
        "pattern": (zone, "ZoneVO", lambda: services.tag_patterns.delete(pattern)),
        "account": (zone, "ZoneVO", lambda: services.accounts.delete(account)),
    }
    resource, kind, delete = deletions[what]
    deleted, execute = asyncio.Event(), AsyncConnection.execute

    async def execute_slowly(
        self: AsyncConnection, statement: Executable, *others: Any, **options: Any
    ) -> CursorResult[Any]:
        result = await execute(self, statement, *others, **options)
        if isinstance(statement, Delete) and statement.table is UserTag.__table__:
            deleted.set()
            await asyncio.sleep(0.5)
        return result

    monkeypatch.setattr(AsyncConnection, "execute", execute_slowly)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(delete())
        await deleted.wait()
        with pytest.raises(BackupStorageError, match="has been deleted"):
            await nodes[1].parts.services.tag_patterns.attach(pattern, resource, kind, {})
    assert await client.query("/user-tags") == []


async def test_a_share_from_two_nodes_is_one(nodes: list[ManagementNode], client: Client) -> None:
    image, account = await _image(client, await _storage(client)), await _account(client)
    ended = await _both(nodes, lambda node: node.parts.services.shares.share(ADMIN_UUID, [image], [account, None]))
    assert ended is None
    assert len(await client.query("/accounts/resources")) == 2


async def test_a_member_that_two_nodes_add_is_there_for_the_second(nodes: list[ManagementNode], client: Client) -> None:
    user = await _made(client, "/accounts/users", name="u", password=PASSWORD)
    group = await _made(client, "/accounts/groups", name="g")
    statements = [{"effect": "Allow", "actions": ["*:read"]}]
    policy = await _made(client, "/accounts/policies", name="p", statements=statements)
    members: list[Step] = [
        lambda node: node.parts.services.members.add(UserGroupUserRef, userUuid=user, groupUuid=group),
        lambda node: node.parts.services.members.add(UserPolicyRef, userUuid=user, policyUuid=policy),
        lambda node: node.parts.services.members.add(UserGroupPolicyRef, groupUuid=group, policyUuid=policy),
    ]
    assert [await _both(nodes, add) for add in members] == [False, False, False]


async def test_logins_do_not_exceed_their_limit_together(nodes: list[ManagementNode], client: Client) -> None:
    change = {"updateGlobalConfig": {"value": "5"}}
    await client.call("PUT", "/global-configurations/identity/session.maxConcurrent/actions", change)
    await client.log_out()
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        clients = [await stack.enter_async_context(Client(node.url)) for node in nodes for _ in range(10)]
        ended = await asyncio.gather(*(one.log_in() for one in clients), return_exceptions=True)
    refused = [one for one in ended if isinstance(one, CallFailed)]
    assert len(refused) == len(clients) - 5, ended
    assert {one.code for one in refused} == {"ID.1006"}
    assert len(await nodes[0].parts.store.database.read(select(Session.uuid))) == 5


def _delete_user(node: ManagementNode, user: str) -> Coroutine[object, object, None]:
    async def delete() -> None:
        await node.parts.sessions.end_of(user)
        await node.parts.services.accounts.remove(User, user)

    return node.parts.store.database.atomically(delete)


async def _log_in_as_user(node: ManagementNode) -> None:
    await node.parts.sessions.log_in_by_user("u", PASSWORD, account_uuid=ADMIN_UUID, account_name=None)


async def _sessions_of(node: ManagementNode, user: str) -> Sequence[object]:
    return await node.parts.store.database.read(select(Session.uuid).where(Session.userUuid == user))


async def test_a_user_who_is_deleted_does_not_log_in(nodes: list[ManagementNode], client: Client) -> None:
    user = await _made(client, "/accounts/users", name="u", password=PASSWORD)
    ended = await _meet(nodes, lambda node: _delete_user(node, user), _log_in_as_user)
    assert re.match("ID.1000 wrong account or username", str(ended))
    assert await _sessions_of(nodes[0], user) == []


async def test_a_session_that_begins_while_its_user_is_deleted_goes_with_the_user(
    nodes: list[ManagementNode], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await _made(client, "/accounts/users", name="u", password=PASSWORD)
    counting, count = asyncio.Event(), session_store._count_exactly

    async def count_slowly(connection: AsyncConnection, identity: Identity) -> int:
        counting.set()
        await asyncio.sleep(0.5)
        return await count(connection, identity)

    monkeypatch.setattr(session_store, "_count_exactly", count_slowly)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(_log_in_as_user(nodes[0]))
        await counting.wait()
        await _delete_user(nodes[1], user)
    assert await _sessions_of(nodes[0], user) == []


async def test_both_of_two_nodes_set_an_option(nodes: list[ManagementNode], client: Client) -> None:
    storage = await _storage(client)
    options: list[Step] = [
        lambda node: node.parts.services.resource_configs.change(RESERVED_CAPACITY, storage, "BackupStorageVO", "1G"),
        lambda node: node.parts.services.configuration.change(PING_MODE.category, PING_MODE.name, "tcp"),
    ]
    async with asyncio.timeout(60):
        for change in options:
            await asyncio.gather(*map(change, nodes))
    assert [one["value"] for one in await client.query("/resource-configurations")] == ["1G"]
    stored = select(GlobalConfig.value).where(GlobalConfig.name == PING_MODE.name)
    assert [row.value for row in await nodes[0].parts.store.database.read(stored)] == ["tcp"]


async def test_an_image_goes_with_the_last_of_its_storages_whichever_node_deletes_them(
    nodes: list[ManagementNode], client: Client
) -> None:
    storages = [await _storage(client, name) for name in "ab"]
    await _image(client, *storages)
    both = zip(nodes, storages, strict=True)
    async with asyncio.timeout(60):
        await asyncio.gather(*(node.parts.storages.lifecycle.delete(uuid) for node, uuid in both))
    assert await client.query("/images") == []


@rows(("add_first", "owners"), [(True, [ADMIN_UUID]), (False, [])])
async def test_no_image_is_left_to_an_account_that_is_deleted(
    nodes: list[ManagementNode], client: Client, add_first: bool, owners: list[str]
) -> None:
    storage, account, image = await _storage(client), await _account(client), new_uuid()
    values = {"name": "i", "url": "http://x/i.qcow2", "format": "qcow2", "mediaType": "RootVolumeTemplate"}

    async def add(node: ManagementNode) -> None:
        services = node.parts.services
        check = partial(services.quotas.check, account, {IMAGE_NUM: 1})
        await services.images.add(image, {**values, "accountUuid": account}, [storage], new_uuid(), "x:1", check)

    async def delete(node: ManagementNode) -> None:
        await node.parts.services.accounts.delete(account)

    ended = await (_meet(nodes, add, delete) if add_first else _meet(nodes, delete, add))
    assert add_first == (ended is None), ended
    found = await nodes[0].parts.store.database.read(select(Image.accountUuid).where(Image.uuid == image))
    assert [row.accountUuid for row in found] == owners


async def _image_stores(node: ManagementNode, uuids: Sequence[str]) -> None:
    """Insert Image Stores that are Connected, and not pinged."""
    async with node.parts.store.database.transaction() as connection:
        for uuid in uuids:
            new = NewStorage(uuid=uuid, name=uuid, url="/u", hostname=uuid, username="root", password="p")
            await node.storages.records.insert(connection, new, None)
            there = {"tracked": False, "status": "Connected", "availableCapacity": 9}
            await connection.execute(update(BackupStorage).where(BackupStorage.uuid == uuid).values(**there))


async def test_two_nodes_do_not_copy_an_image_to_one_storage_twice(nodes: list[ManagementNode], client: Client) -> None:
    source, destination = stores = [new_uuid(), new_uuid()]
    await _image_stores(nodes[0], stores)
    image = await _image(client, source)
    wanted = Copy(image, source, destination, "copy", None)
    ended = await _both(nodes, lambda node: node.parts.services.image_copies.copy(wanted, new_uuid()))
    assert re.search("already contains the image", str(ended))


async def test_an_image_goes_with_the_last_of_its_uploads_whichever_node_ends_them(
    nodes: list[ManagementNode], client: Client
) -> None:
    stores = [new_uuid(), new_uuid()]
    await _image_stores(nodes[0], stores)
    image = await _image(client, *stores)
    async with nodes[0].parts.store.database.transaction() as connection:
        waits = {"status": "Downloading"}
        await connection.execute(update(Image).values(url="upload://i.qcow2", **waits))
        await connection.execute(update(ImageBackupStorageRef).values(**waits))

    def end(storage: str) -> Step:
        async def remove(node: ManagementNode) -> None:
            upload = Upload(image, await node.storages.records.load_existing(storage), None, None, 0.0)
            error = ErrorCode("SYS.1006", "nothing has come")
            await node.parts.services.uploads._suspend_or_remove(upload, error, can_be_resumed=False)

        return remove

    assert await _meet(nodes, *map(end, stores)) is None
    assert await client.query("/images") == []


def _meet_a_conflict(patch: pytest.MonkeyPatch, owner: type, method: str) -> None:
    """Let the next call of a method fail, as where MariaDB undoes a transaction for the sake of another one."""
    conflicts, call = iter([StoreConflict("nothing was written")]), getattr(owner, method)

    async def meet(*given: object, **named: object) -> object:
        for conflict in conflicts:
            raise conflict
        return await call(*given, **named)

    patch.setattr(owner, method, meet)


async def test_a_call_that_writes_in_several_transactions_makes_the_one_again_that_met_another(
    nodes: list[ManagementNode], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = stores = [new_uuid(), new_uuid()]
    await _image_stores(nodes[0], stores)
    _meet_a_conflict(monkeypatch, ImageRows, "insert_ref")
    image = await _image(client, source)
    _meet_a_conflict(monkeypatch, ImageRows, "insert_ref")
    services = nodes[0].parts.services
    copy = await services.image_copies.copy(Copy(image, source, destination, "copy", None), new_uuid())
    assert {one["uuid"] for one in await client.query("/images")} == {image, copy}
    await client.call("DELETE", f"/images/{image}")
    _meet_a_conflict(monkeypatch, ImageDeletion, "_remove")
    await client.call("PUT", f"/images/{image}/actions", {"expungeImage": {}})
    assert [one["uuid"] for one in await client.query("/images")] == [copy]


async def test_a_login_is_made_again(
    nodes: list[ManagementNode], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    conflicts = iter([StoreConflict("nothing was written")])

    async def meet_a_conflict(connection: AsyncConnection, rows_to_lock: Select[str]) -> None:
        for conflict in conflicts:
            raise conflict

    monkeypatch.setattr(session_store, "lock", meet_a_conflict)
    assert await client.log_in()
    assert next(conflicts, None) is None
