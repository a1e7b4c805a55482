"""The global configuration: every option of ZStack, with its rule (domain 3.6; observed 15)."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services
from imagestore_sim.database.global_config_rules import NullPointer
from imagestore_sim.query import GLOBAL_CONFIG
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply, SyncMessage

PACKAGE = "org.zstack.core.config"
PATH = "/global-configurations"
ONE = f"{PATH}/{{category}}/{{name}}"
OURS = (
    "options of what is not emulated have no effect; ping.maxFailure is 1 by default unless the node is strict; "
    "ping.mode is the emulator's own, and listed only while it is not `capacity`"
)
handlers = Handlers[Services]()


class Options(TypedDict):
    """What values an option takes: listed ones, or a number between bounds."""

    validValue: NotRequired[list[str]]
    """The values."""
    numberGreaterThanOrEqual: NotRequired[int]
    """The least number."""
    numberLessThanOrEqual: NotRequired[int]
    """The greatest number."""


class APIQueryGlobalConfigMsg(QueryMessage, method="GET", path=PATH, package=PACKAGE, deviation=OURS):
    """Query the options."""

    inventory = GLOBAL_CONFIG


@handlers.handles
async def query_global_config(services: Services, message: APIQueryGlobalConfigMsg, call: Call) -> Reply:
    """Return the options that the query selects."""
    return await answer(services, message, call)


class APIGetGlobalConfigOptionsMsg(
    SyncMessage,
    method="GET",
    path=ONE,
    package=PACKAGE,
    reply={"options": Options},
    for_everyone=True,
    source="observed 15",
):
    """Get the valid values of an option, or the bounds of its number."""

    category: str
    """The category of the option, such as `backupStorage`."""
    name: str
    """The name of the option, such as `ping.interval`."""


@handlers.handles
async def get_global_config_options(services: Services, message: APIGetGlobalConfigOptionsMsg, call: Call) -> Reply:
    """Return the values or bounds; an empty reply for an option that no class of ZStack declares."""
    limits = services.configuration.find(message.category, message.name).limits()
    return Reply() if limits is None else Reply({"options": limits})


class APIUpdateGlobalConfigMsg(
    AsyncMessage,
    method="PUT",
    path=f"{ONE}/actions",
    package=PACKAGE,
    reply={"inventory": GLOBAL_CONFIG},
    deviation=OURS,
):
    """Set an option."""

    category: str
    """The category of the option, such as `backupStorage`."""
    name: str
    """The name of the option, such as `ping.interval`."""
    value: str | None = None
    """The new value, as a text."""


@handlers.handles
async def update_global_config(services: Services, message: APIUpdateGlobalConfigMsg, call: Call) -> Reply:
    """Set the option, and return it."""
    services.configuration.find(message.category, message.name)
    if message.value is None:
        raise NullPointer
    changed = await services.configuration.change(message.category, message.name, message.value)
    return Reply({"inventory": dict(changed)}, {"inventory": GLOBAL_CONFIG.java_class})


class APIResetGlobalConfigMsg(AsyncMessage, method="PUT", path=f"{PATH}/actions", package=PACKAGE, deviation=OURS):
    """Reset every option to its default."""


@handlers.handles
async def reset_global_config(services: Services, message: APIResetGlobalConfigMsg, call: Call) -> Reply:
    """Reset every option, and return an empty reply."""
    await services.configuration.reset()
    return Reply()
