"""Rights: admin may do everything, others only with their own resources (observed 7 to 10; ZStack's RBACInfo)."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from sqlalchemy import insert

from fixed_data import B1, B2, B4, DATA, I1, UNKNOWN, Z1
from imagestore_sim.api import all_handlers, image_from_volume
from imagestore_sim.api.absent_resource_deletions import DELETIONS
from imagestore_sim.api.rights import OWNED
from imagestore_sim.database.models import LongJob
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.rest.parameters import Api, Kind
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
ANN, BOB = "d1000000000040008000000000000001", "d2000000000040008000000000000002"
ANNS = "c9000000000000000000000000000009"
ANNS_JOB = "c8000000000000000000000000000008"
ANNS_TAG, ZONE_TAG, SYSTEM_TAG, INHERENT_TAG, HOOK = (f"e{number}" + "0" * 30 for number in range(1, 6))
KID, GROUP, KEY, POLICY, ROLE, PATTERN = (f"f{number}" + "0" * 30 for number in range(1, 7))
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
    f"tags: [{{uuid: {PATTERN}, name: t, value: t, account: ann}}]\n"
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
    "TagPatternVO": PATTERN,
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
    "APIUpdateUserGroupMsg",
    "APIAddUserToGroupMsg",
    "APIRemoveUserFromGroupMsg",
    "APIAttachPolicyToUserMsg",
    "APIAttachPoliciesToUserMsg",
    "APIDetachPolicyFromUserMsg",
    "APIDetachPoliciesFromUserMsg",
    "APIAttachPolicyToUserGroupMsg",
    "APIDetachPolicyFromUserGroupMsg",
    "APICreateTagMsg",
    "APIUpdateTagMsg",
    "APIAttachTagToResourcesMsg",
    "APIDetachTagFromResourcesMsg",
    "APIUpdateResourceConfigMsg",
    "APIUpdateResourceConfigsMsg",
    "APIDeleteResourceConfigMsg",
}
OF_ONES_OWN = {
    *("APIAddImageMsg", "APISubmitLongJobMsg", "APICreateUserMsg", "APICreateUserGroupMsg"),
    *("APICreatePolicyMsg", "APICreateRoleMsg", "APICreateTagMsg"),
}
"""They name no resource that could be another account's."""
NOT_MINE = "permission denied, the account[uuid:{}] is not the owner of the resource[uuid:{}, type:{}]"
NOT_MINE_TAGGED = NOT_MINE.replace("the resource", "the tagged resource")
NOT_MY_TAG = "permission denied. The {} tag[uuid: {}] refer to a resource not belonging to the account[uuid: {}]"
HIDDEN = {ANNS, ANNS_JOB, KID, GROUP, KEY, POLICY, ROLE, PATTERN, I1}
SEEN_IN_ZSTACK = {
    "APIQueryUserTagMsg": {ANNS, I1},
    "APIQuerySystemTagMsg": {ANNS, I1},
    "APIGetResourceNamesMsg": {ANNS},
    "APIGetResourceAccountMsg": {ANNS},
    "APIGetImageQgaMsg": {ANNS},
}
"""What an answer shows of others, as in ZStack: tags of all resources, and what a caller gives (observed 7, 20)."""
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


def path_of(api: Api) -> str:
    return api.paths[0]


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
    path = path_of(api).format_map(values)
    if api.method == "DELETE":
        others = [(name, one) for name, of in values.items() for one in (of if isinstance(of, list) else ())]
        path += f"?{urlencode(others)}" if others else ""
    return api.method, path, {api.body_key: values}


async def test_the_apis_that_are_not_only_for_admin() -> None:
    assert {api.name for api in CHANGES if not api.admin_only} == OF_EVERYONE
    queries = {api.name for api in APIS if api.sync and api.admin_only}
    assert {"APIQueryWebhookMsg", "APIQueryManagementNodeMsg", "APIGetBackupStorageTypesMsg"} <= queries
    assert not {"APIQueryZoneMsg", "APIQueryImageMsg", "APIGetGlobalConfigOptionsMsg", "APIZQLQueryMsg"} & queries


@rows("api", [api for api in CHANGES if api.name not in OF_ONES_OWN], ids=lambda api: api.name)
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
        named = [one.rule.resource or "" for one in api.parameters if one.required or f"{{{one.name}}}" in path_of(api)]
        kind = next((one for one in [*named, "UserVO"] if one in OWNED), "")
        uuid = GIVEN[kind]
        expected = exceptions.get(api.name, ("SYS.1006", NOT_MINE.format(BOB, uuid, kind)))
    assert (failed.value.code, failed.value.error["details"]) == expected


@rows("api", [api for api in CHANGES if api.admin_only], ids=lambda api: api.name)
async def test_the_owner_of_an_image_is_not_admin(clients: dict[str, Client], api: Api) -> None:
    method, path, body = request(api)
    with pytest.raises(CallFailed) as failed:
        await clients["ann"].call(method, path, None if method == "DELETE" else body)
    assert failed.value.error["details"] == ADMIN_ONLY.format(api.java_class)


@rows("api", [api for api in APIS if api.sync and api.authenticated], ids=lambda api: api.name)
async def test_an_answer_shows_nothing_of_others(clients: dict[str, Client], api: Api) -> None:
    """Call every API that changes nothing as an account that owns nothing."""
    method, path, body = request(api)
    values = body[api.body_key]
    given = [(name, str(one)) for name, of in values.items() for one in (of if isinstance(of, list) else [of])]
    query = [] if "query" in values else given
    answer = await clients["bob"].request(method, path, None if method == "GET" else body, query=query)
    error = answer.body.get("error", {})
    assert (error.get("details") == ADMIN_ONLY.format(api.java_class)) == api.admin_only
    shown = {one for one in HIDDEN if one in str(answer.body)}
    given_by_bob = {one for one in HIDDEN if one in str(values)}
    assert shown <= (given_by_bob if error else SEEN_IN_ZSTACK.get(api.name, set()))


TARGETS = ("image", "longjob", "user", "usergroup", "accesskey", "policy", "role", "tagpattern")


@rows("target", TARGETS)
async def test_zql_shows_nothing_of_others(clients: dict[str, Client], target: str) -> None:
    for end in ("", ".uuid", " where uuid is not null", " return with (total)"):
        text = f"query {target}{end}"
        bobs = (await clients["bob"].call("GET", "/zql", query=[("zql", text)]))["results"][0]
        assert not {one for one in HIDDEN if one in str(bobs)}
        admins = (await clients["admin"].call("GET", "/zql", query=[("zql", text)]))["results"][0]
        assert bobs.get("total", 0) < admins["total"] if "total" in admins else bobs != admins


async def test_arguments_are_checked_before_rights(clients: dict[str, Client]) -> None:
    with pytest.raises(CallFailed, match="resource\\[uuid:0123456789ab4def8123456789abcdef, type:ZoneVO\\]"):
        await clients["bob"].call("PUT", f"/zones/{UNKNOWN}/actions", {"updateZone": {}})
    assert await clients["bob"].call("DELETE", f"/tags/{UNKNOWN}") == {}


@rows("name", ["bob", "ann", "admin"])
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


@asynccontextmanager
async def client_of_kid(node: ManagementNode) -> AsyncIterator[Client]:
    """Log in as the user kid of the account ann."""
    async with Client(node.url) as kid:
        password = hashlib.sha512(b"k").hexdigest()
        login = {"logInByUser": {"accountName": "ann", "userName": "kid", "password": password}}
        kid.session_uuid = (await kid.call("PUT", "/accounts/users/login", login))["inventory"]["uuid"]
        yield kid


async def told(client: Client, method: str, path: str, body: object = None) -> str:
    """Return the details of the error of a call, or an empty text."""
    try:
        await client.call(method, path, body)
    except CallFailed as failed:
        return str(failed.error["details"])
    return ""


TAG_ANNS = ("POST", "/user-tags", {"params": {"resourceType": "ImageVO", "resourceUuid": ANNS, "tag": "mine"}})
RENAME = ("PUT", f"/images/{ANNS}/actions", {"updateImage": {"name": "anns"}})
DESCRIBE = ("PUT", f"/images/{ANNS}/actions", {"updateImage": {"description": "d"}})
DENIED = "operation[API:{}] is denied by default, please contact admin to correct it"


async def test_a_user_of_an_account_can_only_query(node: ManagementNode) -> None:
    async with client_of_kid(node) as kid:
        assert [image["uuid"] for image in await kid.query("/images")] == [ANNS]
        assert await told(kid, *TAG_ANNS) == DENIED.format("org.zstack.header.tag.APICreateUserTagMsg")
        user = ("POST", "/accounts/users", {"params": {"name": "x", "password": "x"}})
        assert await told(kid, *user) == DENIED.format("org.zstack.header.identity.APICreateUserMsg")


async def test_a_user_can_call_what_its_policies_allow(node: ManagementNode, clients: dict[str, Client]) -> None:
    ann, update = clients["ann"], "org.zstack.header.image.APIUpdateImageMsg"

    async def policy(effect: str, *actions: str, principals: object = None) -> str:
        statement = {"effect": effect, "actions": actions, "principals": principals}
        body = {"params": {"name": effect, "statements": [statement]}}
        return str((await ann.call("POST", "/accounts/policies", body))["inventory"]["uuid"])

    default = DENIED.format(update)
    async with client_of_kid(node) as kid:
        for effect, actions, principals, expected in (
            ("Allow", (update,), None, ""),
            ("Allow", ("org.zstack.header.image.**",), None, ""),
            ("Allow", ("image:APIUpdateImageMsg",), None, ""),
            ("Allow", ("APIUpdateImageMsg",), [f"user:{KID}"], ""),
            ("Allow", ("APIUpdateImageMsg",), [f"user:{BOB}"], default),
            ("Allow", ("org.zstack.header.image.APIDelete*",), None, default),
            ("Allow", ("APIUpdateImageMsg",), [f"account:{ANN}"], "unknown principal[account]"),
        ):
            uuid = await policy(effect, *actions, principals=principals)
            await ann.call("POST", f"/accounts/users/{KID}/policies", {"params": {"policyUuid": uuid}})
            await ann.call("POST", f"/accounts/users/{KID}/policies", {"params": {"policyUuid": uuid}})
            assert (await told(kid, *RENAME), actions) == (expected, actions)
            assert await ann.query("/accounts/users", f"policy.uuid={uuid}")
            await ann.call("DELETE", f"/accounts/users/{KID}/policies/{uuid}")
            assert await told(kid, *RENAME) == default
            await ann.call("DELETE", f"/accounts/policies/{uuid}")


@pytest.mark.thorough
async def test_the_policies_of_a_group_are_those_of_its_users(node: ManagementNode, clients: dict[str, Client]) -> None:
    ann = clients["ann"]

    async def policy(effect: str, action: str) -> str:
        body = {"params": {"name": "p", "statements": [{"effect": effect, "actions": [action]}]}}
        return str((await ann.call("POST", "/accounts/policies", body))["inventory"]["uuid"])

    allowing, denying = await policy("Allow", "APIUpdateImageMsg"), await policy("Deny", "**.APIUpdateImageMsg:name")
    whole = await policy("Deny", "**.APIQueryZoneMsg")
    [reading] = [one["uuid"] for one in await ann.query("/accounts/policies", "name=DEFAULT-READ")]
    users, policies = f"/accounts/groups/{GROUP}/users", f"/accounts/groups/{GROUP}/policies"
    by = "the operation is denied by the policy[name:p"
    async with client_of_kid(node) as kid:
        for call, rename, describe, zones in (
            (("POST", policies, {"params": {"policyUuid": allowing}}), "denied", "denied", ""),
            (("POST", users, {"params": {"userUuid": KID}}), "", "", ""),
            (("POST", policies, {"params": {"policyUuid": denying}}), f"{by}, uuid:{denying}], field[name]", "", ""),
            (("POST", policies, {"params": {"policyUuid": whole}}), f"{by}, uuid:{denying}], field[name]", "", by),
            (("DELETE", f"{policies}/{denying}"), "", "", f"{by} uuid:{whole}]"),
            (("DELETE", f"{users}/{KID}"), "denied by default", "denied by default", ""),
            (("DELETE", f"/accounts/users/{KID}/policies?policyUuids={reading}"), "denied", "denied", "by default"),
            (
                ("POST", f"/accounts/users/{KID}/policy-collection", {"params": {"policyUuids": [reading]}}),
                "denied",
                "denied",
                "",
            ),
        ):
            await ann.call(*call)
            found = [await told(kid, *one) for one in (RENAME, DESCRIBE, ("GET", "/zones"))]
            for expected, one in zip((rename, describe, zones), found, strict=True):
                assert (expected in one, bool(expected)) == (True, bool(one)), (call, found)
    for uuid in (allowing, denying, whole):
        await ann.call("DELETE", f"/accounts/policies/{uuid}")


async def test_policies_and_members_are_of_the_callers_account(clients: dict[str, Client]) -> None:
    admin, ann = clients["admin"], clients["ann"]
    user = f"user[name: kid, uuid: {KID}] doesnt belong to the account[uuid: {{2}}]"
    body = {"params": {"userUuid": KID}}
    assert await told(admin, "POST", f"/accounts/groups/{GROUP}/users", body) == user
    await ann.call("POST", f"/accounts/groups/{GROUP}/users", body)
    assert [one["uuid"] for one in await ann.query("/accounts/groups", "user.name=kid")] == [GROUP]
    assert "ConstraintViolationException" in await told(ann, "POST", f"/accounts/groups/{GROUP}/users", body)
    await ann.call("DELETE", f"/accounts/groups/{GROUP}/users/{KID}")
    renamed = await ann.call("PUT", "/accounts/groups/actions", {"updateUserGroup": {"uuid": GROUP, "name": "staff"}})
    assert renamed["inventory"]["uuid"] == GROUP
