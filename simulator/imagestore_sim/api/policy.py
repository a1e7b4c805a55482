"""Policies, which say what users of an account may call; roles, which allow nothing (observed 20, 21)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import orjson

from imagestore_sim.api.account import PACKAGE, Description, Name
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.database.models import Policy, Role
from imagestore_sim.ids import new_uuid as another_uuid
from imagestore_sim.query import POLICY, ROLE
from imagestore_sim.rest.errors import invalid_argument
from imagestore_sim.rest.messages import AsyncMessage, Call, CreateMessage, DeleteMessage, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

ROLE_PACKAGE = f"{PACKAGE}.role.api"
ATTACHMENT = "/identities/accounts/{accountUuid}/roles/{roleUuid}"
MEMBERS = ("name", "effect", "principals", "actions", "resources")
EFFECTS = ("Allow", "Deny")
NO_MEANING = "a record only: it allows and forbids nothing"
Statement = dict[str, object]
handlers = Handlers[Services]()


class APIQueryPolicyMsg(
    QueryMessage,
    method="GET",
    path="/accounts/policies",
    optional_paths=("/accounts/policies/{uuid}",),
    package=PACKAGE,
    deviation="the schema does not name the classes of statements; DEFAULT-READ has one action, *:read",
):
    """Query policies. An account sees its own."""

    inventory = POLICY


@handlers.handles
async def query_policy(services: Services, message: APIQueryPolicyMsg, call: Call) -> Reply:
    """Return the policies that the query selects."""
    return await answer(services, message, call)


class APICreatePolicyMsg(
    CreateMessage,
    method="POST",
    path="/accounts/policies",
    package=PACKAGE,
    reply={"inventory": POLICY},
    for_everyone=True,
    deviation="actions are not checked; in ZStack those of accounts other than admin cannot name APIs for admins",
):
    """Create a policy of the caller's account."""

    name: Name
    """The name."""
    description: Description = None
    """A text for people."""
    statements: Annotated[list[Statement], Rule(nonempty=True)]
    """Each an object with `effect`, `Allow` or `Deny`, and `actions`, such as `["*:read"]`; `name`, `principals` and
    `resources` are optional."""


@handlers.checks
async def check_create_policy(services: Services, message: APICreatePolicyMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a statement without an effect or without actions."""
    for statement in statements_of(message.statements):
        shown = orjson.dumps(statement).decode()
        if "effect" not in statement:
            raise invalid_argument(f"a statement must have effect field. Invalid statement[{shown}]")
        if "actions" not in statement:
            raise invalid_argument(f"a statement must have action field. Invalid statement[{shown}]")
        if not statement["actions"]:
            raise invalid_argument(f"a statement must have a non-empty action field. Invalid statement[{shown}]")


@handlers.handles
async def create_policy(services: Services, message: APICreatePolicyMsg, call: Call) -> Reply:
    """Create the policy, and return it."""
    policy = new_uuid(message.resourceUuid)
    statements = orjson.dumps(statements_of(message.statements)).decode()
    values = {"uuid": policy, "accountUuid": call.account_uuid, "name": message.name, "statements": statements}
    await services.accounts.insert(Policy, values)
    return await services.inventory(POLICY, policy)


class APIDeletePolicyMsg(
    DeleteMessage, method="DELETE", path="/accounts/policies/{uuid}", package=PACKAGE, for_everyone=True
):
    """Delete a policy."""

    uuid: Annotated[str, Rule(resource="PolicyVO", missing_is_done=True)]


@handlers.handles
async def delete_policy(services: Services, message: APIDeletePolicyMsg, call: Call) -> Reply:
    """Delete the policy, and return an empty reply."""
    await services.accounts.remove(Policy, message.uuid)
    return Reply()


class APIQueryRoleMsg(
    QueryMessage,
    method="GET",
    path="/identities/roles",
    optional_paths=("/identities/roles/{uuid}",),
    package=ROLE_PACKAGE,
    deviation="ZStack's own 17 roles are not there, and policies of roles are not listed",
):
    """Query roles. An account sees its own."""

    inventory = ROLE


@handlers.handles
async def query_role(services: Services, message: APIQueryRoleMsg, call: Call) -> Reply:
    """Return the roles that the query selects."""
    return await answer(services, message, call)


class APICreateRoleMsg(
    CreateMessage,
    method="POST",
    path="/identities/roles",
    package=ROLE_PACKAGE,
    reply={"inventory": ROLE},
    for_everyone=True,
    deviation=f"{NO_MEANING}; policies cannot be attached",
):
    """Create a role of the caller's account."""

    name: Name
    """The name."""
    description: Description = None
    """A text for people."""
    statements: list[Statement] | None = None
    """Each an object with `effect`, `Allow` or `Deny`, and `actions`, such as `["*:read"]`; `name`, `principals` and
    `resources` are optional."""
    identity: Annotated[str | None, Rule(max_length=255, empty_string=False)] = None
    """Kept, and without an effect."""


@handlers.handles
async def create_role(services: Services, message: APICreateRoleMsg, call: Call) -> Reply:
    """Create the role, and return it."""
    role = new_uuid(message.resourceUuid)
    statements = [
        {
            "uuid": another_uuid(),
            "statementString": orjson.dumps(one).decode(),
            "roleUuid": role,
            "statement": one,
        }
        for one in statements_of(message.statements or ())
    ]
    values = {"uuid": role, "accountUuid": call.account_uuid, "statements": orjson.dumps(statements).decode()}
    given = message.given("name", "description", "identity")
    await services.accounts.insert(Role, {**values, **given, "type": "Customized", "state": "Enabled"})
    reply = await services.inventory(ROLE, role)
    return Reply({"inventory": {**reply.body["inventory"], "policies": []}}, reply.schema)  # type: ignore[dict-item]


class APIDeleteRoleMsg(
    DeleteMessage, method="DELETE", path="/identities/roles/{uuid}", package=ROLE_PACKAGE, for_everyone=True
):
    """Delete a role."""

    uuid: Annotated[str, Rule(resource="RoleVO", missing_is_done=True)]


@handlers.handles
async def delete_role(services: Services, message: APIDeleteRoleMsg, call: Call) -> Reply:
    """Delete the role, and return an empty reply."""
    await services.accounts.remove(Role, message.uuid)
    return Reply()


class APIAttachRoleToAccountMsg(
    AsyncMessage, method="POST", path=ATTACHMENT, package=ROLE_PACKAGE, deviation="accepted, without any effect"
):
    """Give a role to an account."""

    roleUuid: Annotated[str, Rule(resource="RoleVO")]
    accountUuid: Annotated[str, Rule(resource="AccountVO")]


@handlers.handles
async def attach_role(services: Services, message: APIAttachRoleToAccountMsg, call: Call) -> Reply:
    """Return an empty reply: no API shows the roles of an account."""
    return Reply()


class APIDetachRoleFromAccountMsg(
    DeleteMessage, method="DELETE", path=ATTACHMENT, package=ROLE_PACKAGE, deviation="accepted, without any effect"
):
    """Take a role from an account."""

    roleUuid: str
    """The uuid of the role."""
    accountUuid: str
    """The uuid of the account."""


@handlers.handles
async def detach_role(services: Services, message: APIDetachRoleFromAccountMsg, call: Call) -> Reply:
    """Return an empty reply."""
    return Reply()


def statements_of(given: Iterable[Statement]) -> list[Statement]:
    """Return statements with the members that ZStack knows, in its order; an effect that it does not know is none."""
    known = [{name: one[name] for name in MEMBERS if one.get(name) is not None} for one in given]
    return [{name: value for name, value in one.items() if name != "effect" or value in EFFECTS} for one in known]
