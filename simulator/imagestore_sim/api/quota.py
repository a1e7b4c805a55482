"""Quotas of accounts (observed 7, 20; ZStack's org.zstack.header.identity)."""

from __future__ import annotations

from typing import Annotated, TypedDict

from imagestore_sim.api.account import PACKAGE
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services
from imagestore_sim.query import QUOTA
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.errors import ApiError, ErrorCode, invalid_argument
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply, SyncMessage
from imagestore_sim.rest.parameters import Rule

USAGE_CLASS = f"{PACKAGE}.Quota$QuotaUsage"
LARGEST = 2**63 - 1
handlers = Handlers[Services]()
Existing = Annotated[str, Rule(resource="AccountVO")]


class Usage(TypedDict):
    """A quota of an account, and how much of it the account has."""

    name: str
    """The name of the quota."""
    total: int
    """The limit; bytes for a quota of sizes."""
    used: int
    """How much the account has; bytes for a quota of sizes."""


class APIQueryQuotaMsg(QueryMessage, method="GET", path="/accounts/quotas", package=PACKAGE):
    """Query quotas. An account sees its own; admin has none."""

    inventory = QUOTA


@handlers.handles
async def query_quota(services: Services, message: APIQueryQuotaMsg, call: Call) -> Reply:
    """Return the quotas that the query selects."""
    return await answer(services, message, call)


class APIUpdateQuotaMsg(
    AsyncMessage, method="PUT", path="/accounts/quotas/actions", package=PACKAGE, reply={"inventory": QUOTA}
):
    """Set a quota of an account, to no less than what the account has."""

    identityUuid: Existing
    name: str
    """The name of the quota, such as `image.num`."""
    value: Annotated[int, Rule(long=True, number_range=(0, LARGEST))]
    """The new limit; bytes for a quota of sizes."""


@handlers.checks
async def check_update_quota(services: Services, message: APIUpdateQuotaMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a quota that the account does not have, SYS.1006 for less than the account has."""
    account, name = message.identityUuid, message.name
    if await services.quotas.find(account, name) is None:
        raise invalid_argument(f"cannot find Quota[name: {name}] for the account[uuid: {account}]")
    used = {one.name: one.used for one in await services.quotas.usages(account)}[name]
    if used > message.value:
        exceeded = f"used [name:{name}, usedValue:{used}] exceeds request quota: {message.value}"
        cause = ErrorCode("SYS.1007", f"the account[uuid:{account}] {exceeded}")
        text = f"cannot update Quota[name: {name}] for the account[uuid: {account}]"
        raise ApiError(ErrorCode("SYS.1006", text, cause=cause))


@handlers.handles
async def update_quota(services: Services, message: APIUpdateQuotaMsg, call: Call) -> Reply:
    """Set the quota, and return it."""
    quota = str(await services.quotas.find(message.identityUuid, message.name))
    await services.quotas.change(quota, message.value)
    return await services.inventory(QUOTA, quota)


class APIGetAccountQuotaUsageMsg(
    SyncMessage,
    method="GET",
    path="/accounts/quota/{uuid}/usages",
    package=PACKAGE,
    reply={"usages": list[Usage]},
    for_everyone=True,
    deviation="only images are counted: of all else, a lab has none",
):
    """Get the quotas of an account, and how much it has."""

    uuid: Existing


@handlers.handles
async def get_quota_usage(services: Services, message: APIGetAccountQuotaUsageMsg, call: Call) -> Reply:
    """Return the usages. Everybody may see those of every account."""
    usages = await services.quotas.usages(message.uuid)
    shown = [{"name": one.name, "total": one.total, "used": one.used} for one in usages]
    return Reply({"usages": shown}, list_schema("usages", [USAGE_CLASS] * len(shown)))
