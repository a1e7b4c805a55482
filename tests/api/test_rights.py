"""Rights: admin may do everything, others only with their own resources (observed 7 to 10; ZStack's RBACInfo)."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert

from fixed_data import B1, B2, B4, DATA, I1, UNKNOWN, Z1
from imagestore_sim.api import all_handlers, image_from_volume
from imagestore_sim.api.absent_resource_deletions import DELETIONS
from imagestore_sim.database.models import LongJob
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.rest.parameters import Api, Kind
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client

pytestmark = pytest.mark.asyncio(loop_scope="module")
ANN, BOB = "d1000000000040008000000000000001", "d2000000000040008000000000000002"
ANNS = "c9000000000000000000000000000009"
ANNS_JOB = "c8000000000000000000000000000008"
ANNS_TAG, ZONE_TAG, SYSTEM_TAG, INHERENT_TAG, HOOK = (f"e{number}" + "0" * 30 for number in range(1, 6))
KID, GROUP, KEY, POLICY, ROLE = (f"f{number}" + "0" * 30 for number in range(1, 6))
RECORDS = DATA.replace(
    "isDefault: true}",
    f"isDefault: true, userTags: [{{uuid: {ZONE_TAG}, tag: north}}]}}",
) + (
    f"  - {{uuid: {ANNS}, name: anns, account: ann, userTags: [{{uuid: {ANNS_TAG}, tag: hers}}],\n"
    f"     systemTags: [{{uuid: {SYSTEM_TAG}, tag: qemuga}}, {{uuid: {INHERENT_TAG}, tag: remote, inherent: true}}],\n"
    f"     backupStorageRefs: [{{backupStorageUuid: {B1}, installPath: 'zstore://anns/1'}}]}}\n"
    "accounts:\n"
    f"  - {{uuid: {ANN}, name: ann, password: a, users: [{{uuid: {KID}, name: kid, password: k}}],\n"
    f"     groups: [{{uuid: {GROUP}, name: staff}}], policies: [{{uuid: {POLICY}, name: p}}],\n"
    f"     roles: [{{uuid: {ROLE}, name: r}}]}}\n"
    f"  - {{uuid: {BOB}, name: bob, password: b}}\n"
    f"accessKeys: [{{uuid: {KEY}, accessKeyId: 0123456789, accessKeySecret: example-secret, account: ann}}]\n"
    f"webHooks: [{{uuid: {HOOK}, name: w, url: 'http://127.0.0.1:1/', type: CanonicalEvent, opaque: /x}}]\n"
)
GIVEN = {
    "ZoneVO": Z1,
    "BackupStorageVO": B1,
    "ImageStoreBackupStorageVO": B1,
    "SftpBackupStorageVO": B4,
    "ImageVO": ANNS,
    "LongJobVO": ANNS_JOB,
    "ResourceVO": ANNS,
    "SystemTagVO": SYSTEM_TAG,
    "WebhookVO": HOOK,
    "AccountVO": ANN,
    "UserVO": KID,
    "UserGroupVO": GROUP,
    "AccessKeyVO": KEY,
    "PolicyVO": POLICY,
    "RoleVO": ROLE,
}
TEXTS: dict[str, object] = {
    "dstBackupStorageUuid": B2,
    "resourceType": "ImageVO",
    "tag": "qemuga",
    "category": "image",
    "type": "ours",
}
AS: dict[Kind, Callable[[object], object]] = {
    Kind.STRINGS: lambda text: [text],
    Kind.INTEGER: lambda _: 1,
    Kind.LONG: lambda _: 1,
    Kind.BOOLEAN: lambda _: True,
    Kind.MAP: lambda _: {},
    Kind.OBJECTS: lambda _: [{"effect": "Allow", "actions": ["x"]}],
}
APIS = [message.api for message in all_handlers().by_message if not message.__module__.endswith(".not_emulated")]
OF_WHAT_IS_NEVER_THERE = {name.rpartition(".")[2] for name, _, resource in DELETIONS if resource} | {
    message.api.name for message in image_from_volume.handlers.by_message
}
"""What does not exist everybody may delete, and nobody can use: that is checked before the rights."""
CHANGES = [
    api
    for api in APIS
    if api.authenticated and not api.sync and api.name not in {"APIRenewSessionMsg"} | OF_WHAT_IS_NEVER_THERE
]
OF_EVERYONE = {
    "APIAddImageMsg",
    "APICalculateImageHashMsg",
    "APIChangeImageStateMsg",
    "APIRecoverImageMsg",
    "APISetImageBootModeMsg",
    "APISetImageQgaMsg",
    "APISyncImageSizeMsg",
    "APISubmitLongJobMsg",
    "APICancelLongJobMsg",
    "APIResumeLongJobMsg",
    "APIRerunLongJobMsg",
    "APIUpdateLongJobMsg",
    "APICleanLongJobMsg",
    "APIDeleteLongJobMsg",
    "APIUpdateImageMsg",
    "APIDeleteImageMsg",
    "APIExpungeImageMsg",
    "APIExportImageFromBackupStorageMsg",
    "APIDeleteExportedImageFromBackupStorageMsg",
    "APICreateSystemTagMsg",
    "APICreateSystemTagsMsg",
    "APICreateUserTagMsg",
    "APIUpdateSystemTagMsg",
    "APIDeleteTagMsg",
    "APIUpdateAccountMsg",
    "APIDeleteAccountMsg",
    "APICreateUserMsg",
    "APIUpdateUserMsg",
    "APIDeleteUserMsg",
    "APICreateUserGroupMsg",
    "APIDeleteUserGroupMsg",
    "APICreateAccessKeyMsg",
    "APIChangeAccessKeyStateMsg",
    "APIDeleteAccessKeyMsg",
    "APICreatePolicyMsg",
    "APIDeletePolicyMsg",
    "APICreateRoleMsg",
    "APIDeleteRoleMsg",
}
OF_ONES_OWN = {
    *("APIAddImageMsg", "APISubmitLongJobMsg", "APICreateUserMsg", "APICreateUserGroupMsg"),
    *("APICreatePolicyMsg", "APICreateRoleMsg"),
}
"""They name no resource that could be another account's."""
NOT_MINE = "permission denied, the account[uuid:{}] is not the owner of the resource[uuid:{}, type:{}]"
NOT_MINE_TAGGED = NOT_MINE.replace("the resource", "the tagged resource")
NOT_MY_TAG = "permission denied. The {} tag[uuid: {}] refer to a resource not belonging to the account[uuid: {}]"
ADMIN_ONLY = "request api[name: {}] is admin only, can not be executed by current user"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ManagementNode]:
    directory = tmp_path_factory.mktemp("rights")
    (directory / "records.yaml").write_text(RECORDS)
    settings = Settings(port=0, database=str(directory / "node.db"), bootstrap=directory / "records.yaml")
    node = ManagementNode(settings)
    await node.start()
    job = {"uuid": ANNS_JOB, "name": "hers", "apiId": "x", "jobName": "x", "jobData": "{}", "state": "Succeeded"}
    async with node.parts.store.database.transaction() as connection:
        values = {**job, "accountUuid": ANN, "createDate": node.parts.services.clock.local()}
        await connection.execute(insert(LongJob).values(**values))
    yield node
    await node.stop()


async def client_of(node: ManagementNode, name: str) -> Client:
    client = Client(node.url)
    await client.log_in(name, {"admin": "password"}.get(name, name[0]))
    return client


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def clients(node: ManagementNode) -> AsyncIterator[dict[str, Client]]:
    clients = {name: await client_of(node, name) for name in ("admin", "ann", "bob")}
    yield clients
    for client in clients.values():
        await client.close()


def request(api: Api) -> tuple[str, str, dict[str, Any]]:
    """Return a call of an API with all required parameters, for ann's image where it takes an image."""
    values: dict[str, Any] = {}
    for parameter in api.parameters:
        if not parameter.required and f"{{{parameter.name}}}" not in api.paths[0]:
            continue
        rule = parameter.rule
        text = GIVEN.get(rule.resource or "") or TEXTS.get(parameter.name) or (rule.valid_values or ("x",))[0]
        values[parameter.name] = AS.get(parameter.kind, str)(text)
    if api.name == "APIDeleteTagMsg":
        values["uuid"] = ANNS_TAG
    if api.name == "APIUpdateUserMsg":
        values["uuid"] = KID
    if api.name == "APICreateAccessKeyMsg":
        values |= {"accountUuid": ANN, "userUuid": ANN}
    return api.method, api.paths[0].format_map(values), {api.body_key: values}


async def test_the_apis_that_are_not_only_for_admin() -> None:
    assert {api.name for api in CHANGES if not api.admin_only} == OF_EVERYONE
    queries = {api.name for api in APIS if api.sync and api.admin_only}
    assert {"APIQueryWebhookMsg", "APIQueryManagementNodeMsg", "APIGetBackupStorageTypesMsg"} <= queries
    assert not {"APIQueryZoneMsg", "APIQueryImageMsg", "APIGetGlobalConfigOptionsMsg", "APIZQLQueryMsg"} & queries


@pytest.mark.parametrize("api", [api for api in CHANGES if api.name not in OF_ONES_OWN], ids=lambda api: api.name)
async def test_an_account_cannot_change_resources_of_others(clients: dict[str, Client], api: Api) -> None:
    method, path, body = request(api)
    with pytest.raises(CallFailed) as failed:
        await clients["bob"].call(method, path, None if method == "DELETE" else body)
    exceptions = {
        "APIDeleteTagMsg": ("ID.1002", NOT_MY_TAG.format("user", ANNS_TAG, BOB)),
        "APIUpdateSystemTagMsg": (
            "SYS.1006",
            NOT_MINE_TAGGED.format(BOB, ANNS, "ImageVO"),
        ),
        "APIUpdateAccountMsg": (
            "SYS.1006",
            f"account[uuid: {ANN}, name: ann] is a normal account, "
            f"it cannot reset the password of another account[uuid: {ANN}]",
        ),
        "APIDeleteAccountMsg": ("SYS.1007", "Only admin can delete account."),
        "APICreateAccessKeyMsg": (
            "ID.1002",
            f"the account[uuid:{BOB}] cannot create an access key of the account[uuid:{ANN}]",
        ),
    }
    if api.admin_only:
        expected = ("ID.1002", ADMIN_ONLY.format(api.java_class))
    else:
        kind = "ResourceVO" if "Tag" in api.name else "ImageVO"
        for word, other in (
            ("LongJob", "LongJobVO"),
            ("UserGroup", "UserGroupVO"),
            ("User", "UserVO"),
            ("AccessKey", "AccessKeyVO"),
            ("Policy", "PolicyVO"),
            ("Role", "RoleVO"),
        ):
            kind = other if kind == "ImageVO" and word in api.name else kind
        uuid = ANNS_JOB if kind == "LongJobVO" else GIVEN[kind]
        expected = exceptions.get(api.name, ("SYS.1006", NOT_MINE.format(BOB, uuid, kind)))
    assert (failed.value.code, failed.value.error["details"]) == expected


@pytest.mark.parametrize("api", [api for api in CHANGES if api.admin_only], ids=lambda api: api.name)
async def test_the_owner_of_an_image_is_not_admin(clients: dict[str, Client], api: Api) -> None:
    method, path, body = request(api)
    with pytest.raises(CallFailed) as failed:
        await clients["ann"].call(method, path, None if method == "DELETE" else body)
    assert failed.value.error["details"] == ADMIN_ONLY.format(api.java_class)


async def test_arguments_are_checked_before_rights(clients: dict[str, Client]) -> None:
    with pytest.raises(CallFailed, match="resource\\[uuid:0123456789ab4def8123456789abcdef, type:ZoneVO\\]"):
        await clients["bob"].call("PUT", f"/zones/{UNKNOWN}/actions", {"updateZone": {}})
    assert await clients["bob"].call("DELETE", f"/tags/{UNKNOWN}") == {}


@pytest.mark.parametrize("name", ["bob", "ann", "admin"])
async def test_images_of_others_are_hidden(clients: dict[str, Client], name: str) -> None:
    client, hidden = clients[name], {"bob": {I1, ANNS}, "ann": {I1}, "admin": set()}[name]
    seen = {image["uuid"] for image in await client.query("/images")}
    assert {I1, ANNS} - seen == hidden
    assert (await client.call("GET", "/images", query=[("count", "true")]))["total"] == len(seen)
    zql = await client.call("GET", "/zql", query=[("zql", "query image return with (total)")])
    assert zql["results"][0]["total"] == len(seen)
    assert len(await client.query("/longjobs")) == (name != "bob")
    for image in (I1, ANNS):
        assert len(await client.query(f"/images/{image}")) == (image not in hidden)
    assert [one["uuid"] for one in await client.query("/backup-storage", "image.name=anns")] == [B1]
    assert {tag["tag"] for tag in await client.query("/user-tags")} >= {"hers", "north", "gold"}
    assert len(await client.query("/zones")) == 2


async def test_an_account_can_change_neither_the_image_nor_the_tags_of_admin(clients: dict[str, Client]) -> None:
    export = {"exportImageFromBackupStorage": {"imageUuid": I1}}
    with pytest.raises(CallFailed) as failed:
        await clients["ann"].call("PUT", f"/backup-storage/{B1}/actions", export)
    assert failed.value.error["details"] == NOT_MINE.format(ANN, I1, "ImageVO")
    with pytest.raises(CallFailed) as failed:
        await clients["ann"].call("DELETE", f"/tags/{ZONE_TAG}")
    assert (failed.value.code, failed.value.error["details"]) == (
        "SYS.1000",
        "No entity found for query",
    )
    assert await clients["admin"].query("/user-tags", f"uuid={ZONE_TAG}")
    with pytest.raises(CallFailed, match="is an inherent system tag"):
        await clients["bob"].call("DELETE", f"/tags/{INHERENT_TAG}")


async def test_an_account_can_tag_its_own_resources(clients: dict[str, Client]) -> None:
    body = {"params": {"resourceType": "ImageVO", "resourceUuid": ANNS, "tag": "mine"}}
    made = (await clients["ann"].call("POST", "/user-tags", body))["inventory"]
    body["params"]["resourceUuid"], body["params"]["resourceType"] = Z1, "ZoneVO"
    with pytest.raises(CallFailed) as failed:
        await clients["ann"].call("POST", "/user-tags", body)
    assert failed.value.error["details"] == NOT_MINE.format(ANN, Z1, "ResourceVO")
    assert await clients["ann"].call("DELETE", f"/tags/{made['uuid']}") == {}


async def test_a_user_of_an_account_can_only_query(node: ManagementNode) -> None:
    async with Client(node.url) as kid:
        password = hashlib.sha512(b"k").hexdigest()
        login = {"logInByUser": {"accountName": "ann", "userName": "kid", "password": password}}
        kid.session_uuid = (await kid.call("PUT", "/accounts/users/login", login))["inventory"]["uuid"]
        assert [image["uuid"] for image in await kid.query("/images")] == [ANNS]
        body = {"params": {"resourceType": "ImageVO", "resourceUuid": ANNS, "tag": "mine"}}
        with pytest.raises(CallFailed) as failed:
            await kid.call("POST", "/user-tags", body)
    denied = "operation[API:org.zstack.header.tag.APICreateUserTagMsg] is denied by default"
    assert failed.value.error["details"] == f"{denied}, please contact admin to correct it"
