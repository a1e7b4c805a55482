"""System tags and user tags (query-semantics 4.5; ZStack's TagManagerImpl and TagApiInterceptor)."""

from __future__ import annotations

import pytest

from fixed_data import B1, B2, I2, UNKNOWN, Z1
from imagestore_sim.testing import CallFailed, Client
from rows import rows
from sqlite_statements import count_statements

NETWORK = "backupStorage::data::network::cidr::"


def tag(text: str, resource: str = B1, resource_type: str = "BackupStorageVO") -> dict[str, object]:
    return {"params": {"resourceType": resource_type, "resourceUuid": resource, "tag": text}}


async def test_tags_of_the_data_are_found(fixed: Client) -> None:
    [system] = await fixed.query("/system-tags", "tag=allowbackup")
    assert (system["resourceUuid"], system["resourceType"], system["type"], system["inherent"]) == (
        B1,
        "BackupStorageVO",
        "System",
        False,
    )
    [user] = await fixed.query("/user-tags", "resourceUuid=" + B1)
    assert (user["tag"], user["type"]) == ("gold", "User")
    answer = await fixed.request("GET", f"/user-tags/{user['uuid']}")
    assert answer.body["schema"] == {"inventories[0]": "org.zstack.header.tag.UserTagInventory"}


@rows(
    ("resource", "resource_type", "text"),
    [
        (B1, "BackupStorageVO", "remote"),
        (B2, "BackupStorageVO", "onlybackup"),
        (B1, "BackupStorageVO", f"{NETWORK}10.0.0.0/24"),
        (B1, "BackupStorageVO", "extraips::10.0.0.1,10.0.0.2"),
        (Z1, "ZoneVO", "host::reservedMemory::1G"),
        (I2, "ImageVO", "bootMode::UEFI"),
    ],
)
async def test_a_system_tag_is_created_and_conditions_find_it(
    fixed: Client, resource: str, resource_type: str, text: str
) -> None:
    made = (await fixed.call("POST", "/system-tags", tag(text, resource, resource_type)))["inventory"]
    assert (made["tag"], made["resourceUuid"], made["resourceType"]) == (text, resource, resource_type)
    path = {"BackupStorageVO": "/backup-storage", "ZoneVO": "/zones", "ImageVO": "/images"}[resource_type]
    assert [one["uuid"] for one in await fixed.query(path, f"__systemTag__={text}")] == [resource]


async def test_an_existing_system_tag_is_ignored(fixed: Client) -> None:
    assert await fixed.call("POST", "/system-tags", tag("allowbackup")) == {}
    assert len(await fixed.query("/system-tags", "tag=allowbackup")) == 1


@rows("path", ["/system-tags", "/user-tags"])
@rows(
    ("body", "code", "details"),
    [
        (tag("remote", UNKNOWN), "SYS.1003", f"invalid field[resourceUuid], resource[uuid:{UNKNOWN}, type:ResourceVO]"),
        (tag("remote", B1, "NoSuchVO"), "SYS.1007", "no resource type[NoSuchVO] found in tag system"),
        ({"params": {}}, "SYS.1007", "field["),
    ],
)
async def test_a_tag_needs_a_resource_that_can_have_one(
    fixed: Client, path: str, body: dict[str, object], code: str, details: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("POST", path, body)
    assert caught.value.code == code
    assert caught.value.error["details"].startswith(details)


@rows(
    ("body", "details"),
    [
        (tag("nonsense"), "no system tag matches[nonsense] for resourceType[BackupStorageVO]"),
        (tag("extraips::"), "no system tag matches[extraips::] for resourceType[BackupStorageVO]"),
        (tag("extraips::a::b"), "no system tag matches[extraips::a::b] for resourceType[BackupStorageVO]"),
        (tag("remote", Z1, "ZoneVO"), "no system tag matches[remote] for resourceType[ZoneVO]"),
        (tag("remote", Z1), "The argument :resourceType doesnt match uuid"),
        (tag(f"{NETWORK}10.0.0.1/24"), "[10.0.0.1/24] is not a standard cidr, do you mean [10.0.0.0/24]?"),
    ],
)
async def test_a_system_tag_must_be_one_that_its_type_has(fixed: Client, body: dict[str, object], details: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("POST", "/system-tags", body)
    assert (caught.value.code, caught.value.error["details"]) == ("SYS.1007", details)


async def test_several_system_tags_are_created_in_one_call(fixed: Client) -> None:
    body = {"params": {"resourceType": "BackupStorageVO", "tags": ["remote", "allowbackup", "onlybackup"]}}
    made = (await fixed.call("POST", f"/system-tags/{B1}/tags", body))["inventories"]
    assert [one["tag"] for one in made] == ["remote", "onlybackup"]
    with pytest.raises(CallFailed, match="must be a nonempty list"):
        await fixed.call("POST", f"/system-tags/{B1}/tags", {"params": {"resourceType": "x", "tags": []}})


async def test_a_user_tag_is_any_text_once(fixed: Client) -> None:
    made = (await fixed.call("POST", "/user-tags", tag("my own", Z1, "ZoneVO")))["inventory"]
    assert (made["tag"], made["type"]) == ("my own", "User")
    assert [one["uuid"] for one in await fixed.query("/zones", "__userTag__=my own")] == [Z1]
    with pytest.raises(CallFailed) as caught:
        await fixed.call("POST", "/user-tags", tag("gold"))
    assert (caught.value.code, caught.value.error["details"]) == (
        "SYS.1006",
        f"Duplicated Tag[tag:gold, type:User, resourceType:BackupStorageVO, resourceUuid:{B1}]",
    )


async def test_the_text_of_a_system_tag_can_be_changed(fixed: Client) -> None:
    [old] = await fixed.query("/system-tags", "tag=allowbackup")
    path = f"/system-tags/{old['uuid']}/actions"
    changed = (await fixed.call("PUT", path, {"updateSystemTag": {"tag": "remote"}}))["inventory"]
    assert (changed["uuid"], changed["tag"]) == (old["uuid"], "remote")
    with pytest.raises(CallFailed, match=r"no system tag matches\[x\] for resourceType"):
        await fixed.call("PUT", path, {"updateSystemTag": {"tag": "x"}})
    with pytest.raises(CallFailed, match="type:SystemTagVO] not found"):
        await fixed.call("PUT", f"/system-tags/{UNKNOWN}/actions", {"updateSystemTag": {"tag": "remote"}})


@pytest.mark.parametrize("kind", ["system", "user"])
async def test_a_tag_is_deleted_whether_it_exists_or_not(fixed: Client, kind: str) -> None:
    [one] = await fixed.query(f"/{kind}-tags", f"resourceUuid={B1}")
    for uuid in (one["uuid"], one["uuid"], UNKNOWN):
        assert await fixed.call("DELETE", f"/tags/{uuid}") == {}
    assert await fixed.query(f"/{kind}-tags", f"resourceUuid={B1}") == []


async def test_tags_go_with_their_storage(fixed: Client) -> None:
    await fixed.call("DELETE", f"/backup-storage/{B1}")
    assert await fixed.query("/user-tags") == []
    # The image that lay there alone is gone too, and its tag with it.
    assert await fixed.query("/system-tags") == []


@rows("again", ["gold", "GOLD", "Gold", "göld", "gold  "])
async def test_a_user_tag_that_differs_only_by_case_or_accents_exists_already(fixed: Client, again: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("POST", "/user-tags", tag(again))
    where = f"type:User, resourceType:BackupStorageVO, resourceUuid:{B1}"
    details = f"Duplicated Tag[tag:{again.strip()}, {where}]"
    assert (caught.value.code, caught.value.error["details"]) == ("SYS.1006", details)


async def test_a_system_tag_that_differs_only_by_case_is_ignored(fixed: Client) -> None:
    made = await fixed.call("POST", "/system-tags", tag("extraips::A"))
    assert made["inventory"]["tag"] == "extraips::A"
    assert await fixed.call("POST", "/system-tags", tag("extraips::a")) == {}


async def test_a_user_tag_may_have_any_resource_type_and_is_deleted_with_its_resource(fixed: Client) -> None:
    for kind in ("VmInstanceVO", "ImageStoreBackupStorageVO", "BackupStorageVO", "ResourceVO"):
        assert (await fixed.call("POST", "/user-tags", tag("odd", B1, kind)))["inventory"]["resourceType"] == kind
    with pytest.raises(CallFailed, match=r"no resource type\[backupstoragevo\] found in tag system"):
        await fixed.call("POST", "/user-tags", tag("odd", B1, "backupstoragevo"))
    await fixed.call("DELETE", f"/backup-storage/{B1}")
    assert await fixed.query("/user-tags", f"resourceUuid={B1}") == []


async def test_a_tag_of_characters_that_zstacks_database_cannot_hold_is_not_kept(fixed: Client) -> None:
    answer = await fixed.request("POST", "/user-tags", tag("\N{GRINNING FACE}"))
    assert answer.status == 202
    polled = await fixed.request("GET", str(answer.body["location"]))
    assert (polled.status, polled.text) == (404, "the job has been expired")
    assert await fixed.query("/user-tags", "tag~=%", f"resourceUuid={B1}", fields="tag") == [{"tag": "gold"}]


async def test_very_many_tags_of_a_new_resource_take_few_statements(
    fixed: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = count_statements(monkeypatch)
    user, system = [f"t{number}" for number in range(301)], [f"host::reservedCpu::{number}" for number in range(100)]
    body = {"params": {"name": "tagged"}, "userTags": user, "systemTags": system}
    uuid = (await fixed.call("POST", "/zones", body))["inventory"]["uuid"]
    assert statements.count < 60
    for path, tags in (("/user-tags", user), ("/system-tags", system)):
        found = await fixed.query(path, f"resourceUuid={uuid}", limit="1000")
        assert sorted(one["tag"] for one in found) == sorted(tags)
        assert {one["resourceType"] for one in found} == {"ZoneVO"}
