"""Who owns resources, who else sees them, and what they are called (observed 10, 20)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypedDict

import orjson
from sqlalchemy import select

from imagestore_sim.api.account import PACKAGE
from imagestore_sim.api.not_emulated import refuse
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services
from imagestore_sim.database.models import ADMIN_UUID, Account, BackupStorage, Image, User, UserGroup, WebHook, Zone
from imagestore_sim.identity.quotas import IMAGE_NUM, IMAGE_SIZE, QuotaExceeded
from imagestore_sim.identity.shares import TYPE
from imagestore_sim.query import ACCOUNT, IMAGE, SHARED_RESOURCE
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.errors import DESCRIPTIONS, ApiError, ErrorCode, invalid_argument, missing_resource
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply, SyncMessage
from imagestore_sim.rest.parameters import Rule

SHARING = "/accounts/resources/actions"
CHANGE_STEP = "AccountManagerImpl.java: org.zstack.identity.AccountManagerImpl$5 (location:1/2)"
IMAGE_PACKAGE = "org.zstack.header.image"
WRITE = 2
"""ZStack's number for the permission of an owner."""
ONLY_IMAGES = "only images can be shared"
_Named = BackupStorage | Zone | Image | Account | User | UserGroup | WebHook
NAMED: Mapping[str, type[_Named]] = {
    "org.zstack.header.storage.backup.BackupStorageVO": BackupStorage,
    "org.zstack.header.zone.ZoneVO": Zone,
    f"{IMAGE_PACKAGE}.ImageVO": Image,
    "org.zstack.header.identity.AccountVO": Account,
    "org.zstack.header.identity.UserVO": User,
    "org.zstack.header.identity.UserGroupVO": UserGroup,
    "org.zstack.header.core.webhooks.WebhookVO": WebHook,
}
"""The Java class of each table whose rows have a name."""
handlers = Handlers[Services]()
Resources = Annotated[list[str], Rule(nonempty=True, resource="ResourceVO")]
Accounts = Annotated[list[str] | None, Rule(resource="AccountVO")]


class ResourceReference(TypedDict):
    """Which account owns a resource."""

    id: int
    """Always 0."""
    accountUuid: str
    """The uuid of the account."""
    ownerAccountUuid: str
    """The uuid of the account, again."""
    resourceUuid: str
    """The uuid of the resource."""
    resourceType: str
    """The type of the resource."""
    concreteResourceType: str
    """The Java class of the resource."""
    permission: int
    """What the account may do: 2, everything."""
    isShared: bool
    """Whether others see the resource."""
    createDate: str
    """When the resource was created."""
    lastOpDate: str
    """When its owner changed."""


class ResourceName(TypedDict):
    """The name and the type of a resource."""

    uuid: str
    """The uuid of the resource."""
    resourceName: str
    """Its name."""
    resourceType: str
    """Its type."""
    concreteResourceType: str
    """Its Java class."""


class APIQuerySharedResourceMsg(
    QueryMessage,
    method="GET",
    path="/accounts/resources",
    package=PACKAGE,
    for_everyone=False,
    deviation=ONLY_IMAGES,
):
    """Query what is shared with other accounts."""

    inventory = SHARED_RESOURCE


@handlers.handles
async def query_shared_resource(services: Services, message: APIQuerySharedResourceMsg, call: Call) -> Reply:
    """Return the shares that the query selects."""
    return await answer(services, message, call)


class APIShareResourceMsg(AsyncMessage, method="PUT", path=SHARING, package=PACKAGE, deviation=ONLY_IMAGES):
    """Let other accounts see resources, without changing them. Only admin shares."""

    resourceUuids: Resources
    accountUuids: Accounts = None
    toPublic: bool = False
    """Whether to share with every account."""


@handlers.checks
async def check_share_resource(services: Services, message: APIShareResourceMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 if nobody is named."""
    if not message.toPublic and not message.accountUuids:
        raise invalid_argument("toPublic is set to false, accountUuids cannot be null or empty")


@handlers.handles
async def share_resource(services: Services, message: APIShareResourceMsg, call: Call) -> Reply:
    """Share the resources. Raise ApiError SYS.1007 for one that belongs to no account."""
    owner = str(call.account_uuid)
    if await services.shares.without_owner(message.resourceUuids) is not None:
        # ZStack formats this text with a catalogue in which the apostrophe of "doesn't" keeps what follows as it is.
        raise invalid_argument(f"the account[uuid: {owner}] doesnt have a resource[uuid: {{1}}]")
    accounts = [None] if message.toPublic else list(message.accountUuids or ())
    await services.shares.share(owner, message.resourceUuids, accounts)
    return Reply()


class APIRevokeResourceSharingMsg(AsyncMessage, method="PUT", path=SHARING, package=PACKAGE):
    """Take resources back from other accounts."""

    resourceUuids: Resources
    toPublic: bool = False
    """Whether to end the share with every account."""
    accountUuids: Accounts = None
    all: bool = False
    """Whether to end every share."""


@handlers.checks
async def check_revoke_sharing(services: Services, message: APIRevokeResourceSharingMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 if nobody is named, even with `toPublic`."""
    if not message.all and not message.accountUuids:
        raise invalid_argument("all is set to false, accountUuids cannot be null or empty")


@handlers.handles
async def revoke_sharing(services: Services, message: APIRevokeResourceSharingMsg, call: Call) -> Reply:
    """Take the resources back from the accounts; else, with `toPublic`, end the share with all; else every share."""
    named: list[str | None] | None = list(message.accountUuids or ()) or ([None] if message.toPublic else None)
    await services.shares.revoke(str(call.account_uuid), message.resourceUuids, named)
    return Reply()


class APIChangeResourceOwnerMsg(
    AsyncMessage,
    method="POST",
    path="/account/{accountUuid}/resources",
    package=PACKAGE,
    reply={"inventory": ResourceReference},
    deviation="only images belong to accounts; the id of the reference is always 0",
):
    """Give a resource to another account."""

    accountUuid: Annotated[str, Rule(resource="AccountVO")]
    resourceUuid: Annotated[str, Rule(resource="ResourceVO")]


@handlers.handles
async def change_resource_owner(services: Services, message: APIChangeResourceOwnerMsg, call: Call) -> Reply:
    """Change the owner, and return who owns the resource.

    Raise ApiError SYS.1000 for a resource without owner or a quota that would be exceeded, ID.1004 for the same owner.
    """
    resource, target = message.resourceUuid, message.accountUuid
    owner = await services.rights.owner(resource)
    if owner is None or await services.shares.without_owner([resource]) is not None:
        if target != ADMIN_UUID:
            raise ApiError(ErrorCode("SYS.1000", None, location=CHANGE_STEP, looked_up=False))
        text = f"cannot find the resource[uuid:{resource}]; wrong resourceUuid or the resource is admin resource"
        raise invalid_argument(text)
    if target != ADMIN_UUID:
        if target == owner:
            raise ApiError(_same_owner(str(call.account_uuid), target, owner))
        await _check_quota(services, target, resource)
    await services.shares.give(resource, target)
    image = (await services.inventory(IMAGE, resource)).body.get("inventory")
    if not isinstance(image, dict):
        raise missing_resource("resourceUuid", resource, "ResourceVO")
    inventory = {
        "id": 0,
        "accountUuid": target,
        "ownerAccountUuid": target,
        "resourceUuid": resource,
        "resourceType": TYPE,
        "concreteResourceType": f"{IMAGE_PACKAGE}.{TYPE}",
        "permission": WRITE,
        "isShared": False,
        "createDate": image["createDate"],
        "lastOpDate": services.write_now(),
    }
    return Reply({"inventory": inventory}, {"inventory": f"{PACKAGE}.AccountResourceRefInventory"})


def _same_owner(account: str, target: str, owner: str) -> ErrorCode:
    text = (
        "Invalid ChangeResourceOwner operation.Original owner is the same as target owner."
        f"Current account is [uuid: {account}].The resource target owner account[uuid: {target}]."
        f"The resource original owner account[uuid:{owner}]."
    )
    return ErrorCode("ID.1004", text, location=CHANGE_STEP)


async def _check_quota(services: Services, target: str, image: str) -> None:
    size = select(Image.size).where(Image.uuid == image)
    row = await services.row(size, "resourceUuid", image, "ResourceVO")
    try:
        await services.quotas.check(target, {IMAGE_SIZE: row.size, IMAGE_NUM: 1})
    except QuotaExceeded as error:  # ZStack passes the whole error on as the text of another
        code = "ID.1003"
        shown = {"code": code, "description": DESCRIPTIONS[code], "details": str(error), "cost": "0ms"}
        raise ApiError(
            ErrorCode("SYS.1000", orjson.dumps(shown).decode(), location=CHANGE_STEP, looked_up=False)
        ) from None


class APIGetResourceAccountMsg(
    SyncMessage,
    method="GET",
    path="/resources/accounts",
    package=PACKAGE,
    reply={"inventories": {"": ACCOUNT}},
    for_everyone=True,
):
    """Get the accounts that own resources; admin owns what belongs to nobody, even what does not exist."""

    resourceUuids: Annotated[list[str], Rule(nonempty=True)]
    """The uuids of the resources."""


@handlers.handles
async def get_resource_account(services: Services, message: APIGetResourceAccountMsg, call: Call) -> Reply:
    """Return the owner of each resource, by the uuid of the resource."""
    owners = {one: await services.rights.owner(one) or ADMIN_UUID for one in message.resourceUuids}
    accounts = {one: await services.inventory(ACCOUNT, one) for one in set(owners.values())}
    inventories = {one: accounts[owner].body["inventory"] for one, owner in owners.items()}
    return Reply({"inventories": inventories}, {f"inventories.{one}": ACCOUNT.java_class for one in inventories})


class APIGetResourceNamesMsg(
    SyncMessage,
    method="GET",
    path="/resources/names",
    package="org.zstack.header.vo",
    reply={"inventories": list[ResourceName]},
    for_everyone=True,
):
    """Get names and types of resources, also of those that the caller does not see."""

    uuids: Annotated[list[str], Rule(nonempty=True)]
    """The uuids of the resources."""


@handlers.handles
async def get_resource_names(services: Services, message: APIGetResourceNamesMsg, call: Call) -> Reply:
    """Return the resources that exist, by uuid."""
    found = []
    for java_class, model in NAMED.items():
        rows = await services.database.read(select(model.uuid, model.name).where(model.uuid.in_(message.uuids)))
        kind = java_class.rpartition(".")[2]
        members = {"resourceType": kind, "concreteResourceType": java_class}
        found += [{"uuid": row.uuid, "resourceName": row.name, **members} for row in rows]
    found.sort(key=lambda one: one["uuid"])
    return Reply(
        {"inventories": found}, list_schema("inventories", ["org.zstack.header.vo.ResourceInventory"] * len(found))
    )


class APICheckResourcePermissionMsg(
    SyncMessage,
    method="GET",
    path="/accounts/resource/api-permissions",
    package=PACKAGE,
    reply={"apis": list[str]},
    deviation="not emulated; accounts other than admin are refused as in ZStack",
):
    """List which calls the caller may make for a type of resource."""

    resourceType: str | None = None


handlers.register(APICheckResourcePermissionMsg, refuse)
