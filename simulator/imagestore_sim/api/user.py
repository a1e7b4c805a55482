"""Users and groups of an account (observed 10, 20; ZStack's org.zstack.header.identity)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from sqlalchemy import select

from imagestore_sim.api.account import OLD_PASSWORD, PACKAGE, Description, Name, OptionalName
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.backup_storage.errors import constraint_violation
from imagestore_sim.database.models import (
    Policy,
    User,
    UserGroup,
    UserGroupPolicyRef,
    UserGroupUserRef,
    UserPolicyRef,
)
from imagestore_sim.query import USER, USER_GROUP
from imagestore_sim.rest.errors import invalid_argument
from imagestore_sim.rest.messages import AsyncMessage, Call, CreateMessage, DeleteMessage, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

handlers = Handlers[Services]()
ExistingUser = Annotated[str, Rule(resource="UserVO")]
ExistingGroup = Annotated[str, Rule(resource="UserGroupVO")]
ExistingPolicy = Annotated[str, Rule(resource="PolicyVO")]
NAMES: Mapping[str, type[User | UserGroup | Policy]] = {"user": User, "group": UserGroup, "policy": Policy}


class APIQueryUserMsg(
    QueryMessage,
    method="GET",
    path="/accounts/users",
    optional_paths=("/accounts/users/{uuid}",),
    package=PACKAGE,
):
    """Query users. An account sees its own."""

    inventory = USER


@handlers.handles
async def query_user(services: Services, message: APIQueryUserMsg, call: Call) -> Reply:
    """Return the users that the query selects."""
    return await answer(services, message, call)


class APICreateUserMsg(
    CreateMessage, method="POST", path="/accounts/users", package=PACKAGE, reply={"inventory": USER}, for_everyone=True
):
    """Create a user of the caller's account. `password` is the SHA-512 in hex that a login sends."""

    name: Name
    """The name, which no other user of the account may have."""
    password: Name
    """The SHA-512 of the password, in hex."""
    description: Description = None
    """A text for people."""


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
    AsyncMessage,
    method="PUT",
    path="/accounts/users/actions",
    package=PACKAGE,
    reply={"inventory": USER},
    for_everyone=True,
):
    """Change the name, the description or the password of a user."""

    uuid: Annotated[str | None, Rule(resource="UserVO")] = None
    password: OptionalName = None
    """The SHA-512 of the new password, in hex."""
    name: OptionalName = None
    """The new name."""
    description: Description = None
    """A text for people."""
    oldPassword: OptionalName = None
    """The SHA-512 of the old password, in hex; not checked if absent."""


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
    reply={"inventory": USER_GROUP},
    for_everyone=True,
):
    """Create a group in the caller's account."""

    name: Name
    """The name, which no other group of the account may have."""
    description: Description = None
    """A text for people."""


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


class APIUpdateUserGroupMsg(
    AsyncMessage,
    method="PUT",
    path="/accounts/groups/actions",
    package=PACKAGE,
    reply={"inventory": USER_GROUP},
    for_everyone=True,
):
    """Change the name or the description of a group."""

    uuid: ExistingGroup
    name: OptionalName = None
    """The new name."""
    description: Description = None
    """A text for people."""


@handlers.handles
async def update_user_group(services: Services, message: APIUpdateUserGroupMsg, call: Call) -> Reply:
    """Update the record, and return the group."""
    await services.accounts.change(UserGroup, message.uuid, message.given("name", "description"))
    return await services.inventory(USER_GROUP, message.uuid)


class APIAddUserToGroupMsg(
    AsyncMessage, method="POST", path="/accounts/groups/{groupUuid}/users", package=PACKAGE, for_everyone=True
):
    """Put a user into a group, so that it has the group's policies."""

    userUuid: ExistingUser
    groupUuid: ExistingGroup


@handlers.checks
async def check_add_user(services: Services, message: APIAddUserToGroupMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a user or group of another account than the caller's."""
    await _check_mine(services, call, user=message.userUuid, group=message.groupUuid)


@handlers.handles
async def add_user_to_group(services: Services, message: APIAddUserToGroupMsg, call: Call) -> Reply:
    """Add the user. Raise NotStored if it is in the group already."""
    if not await services.members.add(UserGroupUserRef, userUuid=message.userUuid, groupUuid=message.groupUuid):
        raise constraint_violation()
    return Reply()


class APIRemoveUserFromGroupMsg(
    AsyncMessage,
    method="DELETE",
    path="/accounts/groups/{groupUuid}/users/{userUuid}",
    package=PACKAGE,
    for_everyone=True,
):
    """Take a user out of a group. Succeed if it is not in it."""

    userUuid: ExistingUser
    groupUuid: ExistingGroup


@handlers.handles
async def remove_user_from_group(services: Services, message: APIRemoveUserFromGroupMsg, call: Call) -> Reply:
    """Remove the user, and return an empty reply."""
    await services.members.remove(UserGroupUserRef, userUuid=message.userUuid, groupUuid=message.groupUuid)
    return Reply()


class APIAttachPolicyToUserMsg(
    AsyncMessage, method="POST", path="/accounts/users/{userUuid}/policies", package=PACKAGE, for_everyone=True
):
    """Give a user a policy. Succeed if it has it."""

    userUuid: ExistingUser
    policyUuid: ExistingPolicy


@handlers.checks
async def check_attach_to_user(services: Services, message: APIAttachPolicyToUserMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a policy or user of another account than the caller's."""
    await _check_mine(services, call, policy=message.policyUuid, user=message.userUuid)


@handlers.handles
async def attach_to_user(services: Services, message: APIAttachPolicyToUserMsg, call: Call) -> Reply:
    """Attach the policy, and return an empty reply."""
    await services.members.add(UserPolicyRef, userUuid=message.userUuid, policyUuid=message.policyUuid)
    return Reply()


class APIAttachPoliciesToUserMsg(
    AsyncMessage,
    method="POST",
    path="/accounts/users/{userUuid}/policy-collection",
    package=PACKAGE,
    for_everyone=True,
):
    """Give a user policies, of any account."""

    userUuid: ExistingUser
    policyUuids: Annotated[list[str], Rule(resource="PolicyVO", nonempty=True)]


@handlers.handles
async def attach_several_to_user(services: Services, message: APIAttachPoliciesToUserMsg, call: Call) -> Reply:
    """Attach the policies, and return an empty reply."""
    for policy in message.policyUuids:
        await services.members.add(UserPolicyRef, userUuid=message.userUuid, policyUuid=policy)
    return Reply()


class APIDetachPolicyFromUserMsg(
    AsyncMessage,
    method="DELETE",
    path="/accounts/users/{userUuid}/policies/{policyUuid}",
    package=PACKAGE,
    for_everyone=True,
):
    """Take a policy from a user. Succeed if the user does not have it."""

    policyUuid: ExistingPolicy
    userUuid: ExistingUser


@handlers.checks
async def check_detach_from_user(services: Services, message: APIDetachPolicyFromUserMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a policy or user of another account than the caller's."""
    await _check_mine(services, call, policy=message.policyUuid, user=message.userUuid)


@handlers.handles
async def detach_from_user(services: Services, message: APIDetachPolicyFromUserMsg, call: Call) -> Reply:
    """Detach the policy, and return an empty reply."""
    await services.members.remove(UserPolicyRef, userUuid=message.userUuid, policyUuid=message.policyUuid)
    return Reply()


class APIDetachPoliciesFromUserMsg(
    AsyncMessage, method="DELETE", path="/accounts/users/{userUuid}/policies", package=PACKAGE, for_everyone=True
):
    """Take policies from a user."""

    policyUuids: Annotated[list[str], Rule(resource="PolicyVO")]
    userUuid: ExistingUser


@handlers.handles
async def detach_several_from_user(services: Services, message: APIDetachPoliciesFromUserMsg, call: Call) -> Reply:
    """Detach the policies, and return an empty reply."""
    for policy in message.policyUuids:
        await services.members.remove(UserPolicyRef, userUuid=message.userUuid, policyUuid=policy)
    return Reply()


class APIAttachPolicyToUserGroupMsg(
    AsyncMessage, method="POST", path="/accounts/groups/{groupUuid}/policies", package=PACKAGE, for_everyone=True
):
    """Give a policy to all users of a group. Succeed if the group has it."""

    policyUuid: ExistingPolicy
    groupUuid: ExistingGroup


@handlers.checks
async def check_attach_to_group(services: Services, message: APIAttachPolicyToUserGroupMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a policy or group of another account than the caller's."""
    await _check_mine(services, call, policy=message.policyUuid, group=message.groupUuid)


@handlers.handles
async def attach_to_group(services: Services, message: APIAttachPolicyToUserGroupMsg, call: Call) -> Reply:
    """Attach the policy, and return an empty reply."""
    await services.members.add(UserGroupPolicyRef, groupUuid=message.groupUuid, policyUuid=message.policyUuid)
    return Reply()


class APIDetachPolicyFromUserGroupMsg(
    AsyncMessage,
    method="DELETE",
    path="/accounts/groups/{groupUuid}/policies/{policyUuid}",
    package=PACKAGE,
    for_everyone=True,
):
    """Take a policy from the users of a group. Succeed if the group does not have it."""

    policyUuid: ExistingPolicy
    groupUuid: ExistingGroup


@handlers.checks
async def check_detach_from_group(services: Services, message: APIDetachPolicyFromUserGroupMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a policy or group of another account than the caller's."""
    await _check_mine(services, call, policy=message.policyUuid, group=message.groupUuid)


@handlers.handles
async def detach_from_group(services: Services, message: APIDetachPolicyFromUserGroupMsg, call: Call) -> Reply:
    """Detach the policy, and return an empty reply."""
    await services.members.remove(UserGroupPolicyRef, groupUuid=message.groupUuid, policyUuid=message.policyUuid)
    return Reply()


async def _check_mine(services: Services, call: Call, **named: str) -> None:
    """Raise ApiError SYS.1007 for the first record of another account; `named` has uuids by what they are."""
    for what, uuid in named.items():
        model = NAMES[what]
        columns = select(model.name, model.accountUuid).where(model.uuid == uuid)
        row = await services.row(columns, f"{what}Uuid", uuid, model.__tablename__)
        if row.accountUuid != call.account_uuid:
            # ZStack formats this text with a catalogue in which the apostrophe of "doesn't" keeps what follows.
            raise invalid_argument(f"{what}[name: {row.name}, uuid: {uuid}] doesnt belong to the account[uuid: {{2}}]")
