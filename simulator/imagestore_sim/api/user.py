"""Users and groups of an account (observed 10, 20; ZStack's org.zstack.header.identity)."""

from __future__ import annotations

from typing import Annotated

from imagestore_sim.api.account import OLD_PASSWORD, PACKAGE, Description, Name, OptionalName
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.database.models import User, UserGroup
from imagestore_sim.query import USER, USER_GROUP
from imagestore_sim.rest.errors import invalid_argument
from imagestore_sim.rest.messages import AsyncMessage, Call, CreateMessage, DeleteMessage, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

handlers = Handlers[Services]()


class APIQueryUserMsg(
    QueryMessage,
    method="GET",
    path="/accounts/users",
    optional_paths=("/accounts/users/{uuid}",),
    package=PACKAGE,
    reply=("inventories",),
):
    """Query users. An account sees its own."""

    inventory = USER


@handlers.handles
async def query_user(services: Services, message: APIQueryUserMsg, call: Call) -> Reply:
    """Return the users that the query selects."""
    return await answer(services, message, call)


class APICreateUserMsg(
    CreateMessage, method="POST", path="/accounts/users", package=PACKAGE, reply=("inventory",), for_everyone=True
):
    """Create a user of the caller's account. `password` is the SHA-512 in hex that a login sends."""

    name: Name
    password: Name
    description: Description = None


@handlers.checks
async def check_create_user(services: Services, message: APICreateUserMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a name that another user of the account has."""
    account = str(call.account_uuid)
    if await services.accounts.has(User, account, message.name):
        where = f"already under the account[uuid:{account}]"
        raise invalid_argument(f"unable to create a user. A user called {message.name} is {where}")


@handlers.handles
async def create_user(services: Services, message: APICreateUserMsg, call: Call) -> Reply:
    """Create the user, and return it."""
    user = new_uuid(message.resourceUuid)
    given = message.given("name", "password", "description")
    await services.accounts.insert(User, {"uuid": user, "accountUuid": call.account_uuid, **given})
    return await services.inventory(USER, user)


class APIUpdateUserMsg(
    AsyncMessage, method="PUT", path="/accounts/users/actions", package=PACKAGE, reply=("inventory",), for_everyone=True
):
    """Change the name, the description or the password of a user."""

    uuid: Annotated[str | None, Rule(resource="UserVO")] = None
    password: OptionalName = None
    name: OptionalName = None
    description: Description = None
    oldPassword: OptionalName = None


@handlers.checks
async def check_update_user(services: Services, message: APIUpdateUserMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 if no user is named, or for a wrong old password."""
    uuid, old = message.uuid, message.oldPassword
    if uuid is None:
        # ZStack formats this text with a catalogue that drops quotes.
        text = "the current session is an account session. You need to specify the field uuid of the user"
        raise invalid_argument(f"{text} you want to update")
    if old is not None and not await services.accounts.is_password(User, uuid, old):
        raise invalid_argument(f"{OLD_PASSWORD} user[uuid:{uuid}]")


@handlers.handles
async def update_user(services: Services, message: APIUpdateUserMsg, call: Call) -> Reply:
    """Update the record, and return the user."""
    uuid = str(message.uuid)
    await services.accounts.change(User, uuid, message.given("name", "description", "password"))
    return await services.inventory(USER, uuid)


class APIDeleteUserMsg(
    DeleteMessage, method="DELETE", path="/accounts/users/{uuid}", package=PACKAGE, for_everyone=True
):
    """Delete a user, and end its sessions."""

    uuid: Annotated[str, Rule(resource="UserVO", missing_is_done=True)]


@handlers.handles
async def delete_user(services: Services, message: APIDeleteUserMsg, call: Call) -> Reply:
    """Delete the user, and return an empty reply."""
    await services.sessions.end_of(message.uuid)
    await services.accounts.remove(User, message.uuid)
    return Reply()


class APIQueryUserGroupMsg(
    QueryMessage,
    method="GET",
    path="/accounts/groups",
    optional_paths=("/accounts/groups/{uuid}",),
    package=PACKAGE,
    reply=("inventories",),
):
    """Query groups of users. An account sees its own."""

    inventory = USER_GROUP


@handlers.handles
async def query_user_group(services: Services, message: APIQueryUserGroupMsg, call: Call) -> Reply:
    """Return the groups that the query selects."""
    return await answer(services, message, call)


class APICreateUserGroupMsg(
    CreateMessage,
    method="POST",
    path="/accounts/groups",
    package=PACKAGE,
    reply=("inventory",),
    for_everyone=True,
    deviation="a group is a record only: users cannot be added to it",
):
    """Create a group in the caller's account."""

    name: Name
    description: Description = None


@handlers.checks
async def check_create_user_group(services: Services, message: APICreateUserGroupMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a name that another group of the account has."""
    account = str(call.account_uuid)
    if await services.accounts.has(UserGroup, account, message.name):
        where = f"already under the account[uuid:{account}]"
        raise invalid_argument(f"unable to create a group. A group called {message.name} is {where}")


@handlers.handles
async def create_user_group(services: Services, message: APICreateUserGroupMsg, call: Call) -> Reply:
    """Create the group, and return it."""
    group = new_uuid(message.resourceUuid)
    given = message.given("name", "description")
    await services.accounts.insert(UserGroup, {"uuid": group, "accountUuid": call.account_uuid, **given})
    return await services.inventory(USER_GROUP, group)


class APIDeleteUserGroupMsg(
    DeleteMessage, method="DELETE", path="/accounts/groups/{uuid}", package=PACKAGE, for_everyone=True
):
    """Delete a group, but not its users."""

    uuid: Annotated[str, Rule(resource="UserGroupVO", missing_is_done=True)]


@handlers.handles
async def delete_user_group(services: Services, message: APIDeleteUserGroupMsg, call: Call) -> Reply:
    """Delete the group, and return an empty reply."""
    await services.accounts.remove(UserGroup, message.uuid)
    return Reply()
