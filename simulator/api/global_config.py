"""The global configuration (domain 3.6)."""

from __future__ import annotations

from simulator.api.queries import QueryMessage, answer
from simulator.api.services import Services
from simulator.query import GLOBAL_CONFIG
from simulator.rest.messages import AsyncMessage, Call, Handlers, Reply

PACKAGE = "org.zstack.core.config"
PATH = "/global-configurations"
ONLY_OURS = "holds the options that do something here; ping.maxFailure begins at 1"
handlers = Handlers[Services]()


class APIQueryGlobalConfigMsg(
    QueryMessage, method="GET", path=PATH, package=PACKAGE, reply=("inventories",), deviation=ONLY_OURS
):
    """Query the options."""

    inventory = GLOBAL_CONFIG


@handlers.handles
async def query_global_config(services: Services, message: APIQueryGlobalConfigMsg, call: Call) -> Reply:
    """The options asked for."""
    return await answer(services, message)


class APIUpdateGlobalConfigMsg(
    AsyncMessage,
    method="PUT",
    path=f"{PATH}/{{category}}/{{name}}/actions",
    package=PACKAGE,
    reply=("inventory",),
    deviation=ONLY_OURS,
):
    """Set an option."""

    category: str
    name: str
    value: str | None = None


@handlers.handles
async def update_global_config(services: Services, message: APIUpdateGlobalConfigMsg, call: Call) -> Reply:
    """The option with its new value."""
    # An absent value is to Java what the word null is to the rules of the options.
    value = "null" if message.value is None else message.value
    changed = await services.configuration.change(message.category, message.name, value)
    return Reply({"inventory": dict(changed)}, {"inventory": GLOBAL_CONFIG.java_class})


class APIResetGlobalConfigMsg(AsyncMessage, method="PUT", path=f"{PATH}/actions", package=PACKAGE, deviation=ONLY_OURS):
    """Give every option its default."""


@handlers.handles
async def reset_global_config(services: Services, message: APIResetGlobalConfigMsg, call: Call) -> Reply:
    """Nothing."""
    await services.configuration.reset()
    return Reply()
