"""Accounts (observed 8, 9, 20; ZStack's org.zstack.header.identity)."""

from __future__ import annotations

from typing import Annotated

from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.database.models import ADMIN_UUID, Account
from imagestore_sim.identity.accounts import ADMIN, NORMAL
from imagestore_sim.query import ACCOUNT
from imagestore_sim.rest.errors import invalid_argument, operation_failed
from imagestore_sim.rest.messages import AsyncMessage, Call, CreateMessage, DeleteMessage, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.header.identity"
LONGEST_NAME, LONGEST_DESCRIPTION = 255, 2048
handlers = Handlers[Services]()
Name = Annotated[str, Rule(max_length=LONGEST_NAME)]
OptionalName = Annotated[str | None, Rule(max_length=LONGEST_NAME)]
Description = Annotated[str | None, Rule(max_length=LONGEST_DESCRIPTION)]
OLD_PASSWORD = "old password is not equal to the original password, cannot update the password of"  # noqa: S105 - a text


class APIQueryAccountMsg(
    QueryMessage,
    method="GET",
    path="/accounts",
    optional_paths=("/accounts/{uuid}",),
    package=PACKAGE,
):
    """Query accounts. Every account sees all of them."""

    inventory = ACCOUNT


@handlers.handles
async def query_account(services: Services, message: APIQueryAccountMsg, call: Call) -> Reply:
    """Return the accounts that the query selects."""
    return await answer(services, message, call)


class APICreateAccountMsg(
    CreateMessage, method="POST", path="/accounts", package=PACKAGE, reply={"inventory": ACCOUNT}
):
    """Create an account, with the default quotas. `password` is the SHA-512 in hex that a login sends."""

    name: Name
    """The name, which no other account may have."""
    password: Name
    """The SHA-512 of the password, in hex."""
    type: Annotated[str | None, Rule(valid_values=(ADMIN, NORMAL))] = None
    """`Normal` by default. Only the account `admin` itself may do everything."""
    description: Description = None
    """A text for people."""


@handlers.checks
async def check_create_account(services: Services, message: APICreateAccountMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a name that another account has."""
    if await services.accounts.is_named(message.name):
        raise invalid_argument(f"unable to create an account. An account already called {message.name}")


@handlers.handles
async def create_account(services: Services, message: APICreateAccountMsg, call: Call) -> Reply:
    """Create the account, and return it."""
    account = new_uuid(message.resourceUuid)
    values = {"type": NORMAL, **message.given("name", "password", "type", "description")}
    await services.accounts.create(account, values)
    return await services.inventory(ACCOUNT, account)


class APIUpdateAccountMsg(
    AsyncMessage,
    method="PUT",
    path="/accounts/{uuid}",
    package=PACKAGE,
    reply={"inventory": ACCOUNT},
    for_everyone=True,
):
    """Change the name, the description or the password of an account. Sessions outlive a new password."""

    uuid: Annotated[str, Rule(resource="AccountVO")]
    password: OptionalName = None
    """The SHA-512 of the new password, in hex."""
    name: OptionalName = None
    """The new name, which no other account may have."""
    description: Description = None
    """A text for people."""
    oldPassword: OptionalName = None
    """The SHA-512 of the old password, in hex; not checked if absent."""


@handlers.checks
async def check_update_account(services: Services, message: APIUpdateAccountMsg, call: Call) -> None:
    """Check name, old password and caller, in ZStack's order.

    Raise ApiError SYS.1007 for a name that an account has, SYS.1006 for a wrong old password, for a new name of admin,
    and for an account that is not the caller's own.
    """
    accounts, uuid, old = services.accounts, message.uuid, message.oldPassword
    if message.name is not None and await accounts.is_named(message.name):
        raise invalid_argument(f"unable to update name. An account already called {message.name}")
    if old is not None and not await accounts.is_password(Account, uuid, old):
        raise operation_failed(f"{OLD_PASSWORD} account[uuid: {uuid}]")
    if call.account_uuid == ADMIN_UUID:
        if message.name is not None and uuid == ADMIN_UUID:
            raise operation_failed("the name of admin account cannot be updated")
    elif call.account_uuid != uuid:
        found = await services.inventory(ACCOUNT, uuid)
        name = found.body["inventory"]["name"]  # type: ignore[index]  # a rule checks that it exists
        raise operation_failed(
            f"account[uuid: {uuid}, name: {name}] is a normal account, "
            f"it cannot reset the password of another account[uuid: {uuid}]"
        )


@handlers.handles
async def update_account(services: Services, message: APIUpdateAccountMsg, call: Call) -> Reply:
    """Update the record, and return the account."""
    await services.accounts.change(Account, message.uuid, message.given("name", "description", "password"))
    return await services.inventory(ACCOUNT, message.uuid)


class APIDeleteAccountMsg(DeleteMessage, method="DELETE", path="/accounts/{uuid}", package=PACKAGE, for_everyone=True):
    """Delete an account with all that belongs to it, and end its sessions. Its images become Deleted, and admin's."""

    uuid: Annotated[str, Rule(resource="AccountVO", missing_is_done=True)]


@handlers.checks
async def check_delete_account(services: Services, message: APIDeleteAccountMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for the account admin, and for a caller other than admin."""
    if message.uuid == ADMIN_UUID == call.account_uuid:
        raise invalid_argument("account cannot delete itself")
    if message.uuid == ADMIN_UUID:
        raise invalid_argument("cannot delete builtin admin account.")
    if call.account_uuid != ADMIN_UUID:
        raise invalid_argument("Only admin can delete account.")


@handlers.handles
async def delete_account(services: Services, message: APIDeleteAccountMsg, call: Call) -> Reply:
    """Delete the account, and return an empty reply."""
    await services.sessions.end_of(message.uuid)
    await services.accounts.delete(message.uuid)
    return Reply()
