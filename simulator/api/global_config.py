"""Changing the global configuration (domain 3.6)."""

from __future__ import annotations

from simulator.api.services import Services
from simulator.rest.messages import AsyncMessage, Call, Handlers, Reply

PACKAGE = "org.zstack.core.config"
INVENTORY_CLASS = f"{PACKAGE}.GlobalConfigInventory"
handlers = Handlers[Services]()


class APIUpdateGlobalConfigMsg(
    AsyncMessage,
    method="PUT",
    path="/global-configurations/{category}/{name}/actions",
    package=PACKAGE,
    reply=("inventory",),
):
    """Set an option."""

    category: str
    name: str
    value: str


@handlers.handles
async def update_global_config(services: Services, message: APIUpdateGlobalConfigMsg, call: Call) -> Reply:
    """The option with its new value."""
    changed = await services.configuration.change(message.category, message.name, message.value)
    return Reply({"inventory": dict(changed)}, {"inventory": INVENTORY_CLASS})
