"""Access keys, of ZStack's paid editions (wire-protocol 2.7; observed 20)."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from sqlalchemy import select

from imagestore_sim.api.account import Description
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.database.models import ADMIN_UUID, Account, User
from imagestore_sim.identity.access_keys import STATE_AFTER, NewAccessKey
from imagestore_sim.query import ACCESS_KEY
from imagestore_sim.rest.errors import ApiError, ErrorCode, invalid_argument
from imagestore_sim.rest.messages import AsyncMessage, Call, CreateMessage, DeleteMessage, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.accessKey"
SHORTEST, LONGEST_ID, LONGEST_SECRET = 10, 20, 40
CLOSED = "ZStack's source is closed: the rules are those of its SDK, the error texts are made up"
handlers = Handlers[Services]()
Uuid = Annotated[str, Rule(max_length=32)]
Existing = Annotated[str, Rule(resource="AccessKeyVO")]


class KeyWithSecret(TypedDict):
    """An access key that has just been created."""

    uuid: str
    """The uuid of the key."""
    description: NotRequired[str]
    """A text for people."""
    accountUuid: str
    """The uuid of the account that signed requests act for."""
    userUuid: str
    """The uuid of the user, or of the account itself."""
    AccessKeyID: str
    """What requests that are signed with the key name it by."""
    AccessKeySecret: str
    """The secret that signs requests. No other answer shows it."""
    state: str
    """Enabled or Disabled."""
    createDate: str
    """When it was created."""
    lastOpDate: str
    """When it changed."""


class APICreateAccessKeyMsg(
    CreateMessage,
    method="POST",
    path="/accesskeys",
    package=PACKAGE,
    reply={"inventory": KeyWithSecret},
    for_everyone=True,
    paid=True,
    deviation=CLOSED,
):
    """Create an access key of an account or of one of its users. Only this answer shows the secret."""

    accountUuid: Uuid
    """The uuid of the account that signed requests act for."""
    userUuid: Uuid
    """The uuid of one of its users, or of the account itself."""
    description: Description = None
    """A text for people."""
    AccessKeyID: Annotated[str | None, Rule(min_length=SHORTEST, max_length=LONGEST_ID)] = None
    """The name of the key in signed requests; drawn at random by default."""
    AccessKeySecret: Annotated[str | None, Rule(min_length=SHORTEST, max_length=LONGEST_SECRET)] = None
    """The secret that signs requests; drawn at random by default."""


@handlers.checks
async def check_create_access_key(services: Services, message: APICreateAccessKeyMsg, call: Call) -> None:
    """Raise ApiError ID.1002 for another account than the caller's, SYS.1007 for an unknown account or user."""
    account, user = message.accountUuid, message.userUuid
    if call.account_uuid not in (ADMIN_UUID, account):
        text = f"the account[uuid:{call.account_uuid}] cannot create an access key of the account[uuid:{account}]"
        raise ApiError(ErrorCode("ID.1002", text))
    found = await services.database.read(select(Account.uuid).where(Account.uuid == account))
    if user != account:
        found = await services.database.read(select(User.uuid).where(User.uuid == user, User.accountUuid == account))
    if not found:
        raise invalid_argument(f"the account[uuid:{account}] has no user[uuid:{user}]")


@handlers.handles
async def create_access_key(services: Services, message: APICreateAccessKeyMsg, call: Call) -> Reply:
    """Create the key, and return it with its secret."""
    key = NewAccessKey(
        uuid=new_uuid(message.resourceUuid),
        account_uuid=message.accountUuid,
        user_uuid=message.userUuid,
        description=message.description,
        key_id=message.AccessKeyID,
        secret=message.AccessKeySecret,
    )
    secret = await services.access_keys.create(key)
    reply = await services.inventory(ACCESS_KEY, key.uuid)
    inventory = {**reply.body["inventory"], "AccessKeySecret": secret}  # type: ignore[dict-item]  # it was just made
    return Reply({"inventory": inventory}, reply.schema, secret=True)


class APIQueryAccessKeyMsg(
    QueryMessage,
    method="GET",
    path="/accesskeys",
    optional_paths=("/accesskeys/{uuid}",),
    package=PACKAGE,
    paid=True,
    deviation="secrets are not shown",
):
    """Query access keys. An account sees its own."""

    inventory = ACCESS_KEY


@handlers.handles
async def query_access_key(services: Services, message: APIQueryAccessKeyMsg, call: Call) -> Reply:
    """Return the keys that the query selects."""
    return await answer(services, message, call)


class APIChangeAccessKeyStateMsg(
    AsyncMessage,
    method="PUT",
    path="/accesskeys/{uuid}/actions",
    package=PACKAGE,
    reply={"inventory": ACCESS_KEY},
    for_everyone=True,
    paid=True,
    deviation=CLOSED,
):
    """Enable or disable an access key. A disabled one signs no requests."""

    uuid: Existing
    stateEvent: Annotated[str, Rule(valid_values=tuple(STATE_AFTER))]
    """`enable` or `disable`."""


@handlers.handles
async def change_access_key_state(services: Services, message: APIChangeAccessKeyStateMsg, call: Call) -> Reply:
    """Change the state, and return the key."""
    await services.access_keys.change_state(message.uuid, STATE_AFTER[message.stateEvent])
    return await services.inventory(ACCESS_KEY, message.uuid)


class APIDeleteAccessKeyMsg(
    DeleteMessage,
    method="DELETE",
    path="/accesskeys/{uuid}",
    package=PACKAGE,
    for_everyone=True,
    paid=True,
    deviation=CLOSED,
):
    """Delete an access key."""

    uuid: Annotated[str, Rule(resource="AccessKeyVO", missing_is_done=True)]


@handlers.handles
async def delete_access_key(services: Services, message: APIDeleteAccessKeyMsg, call: Call) -> Reply:
    """Delete the key, and return an empty reply."""
    await services.access_keys.delete(message.uuid)
    return Reply()
