"""The APIs: the messages of each resource and their handlers, one module a resource."""

from __future__ import annotations

from simulator.api import backup_storage, global_config, image_store, management_node, session, web_hook, zone
from simulator.api.errors import translate
from simulator.api.services import Services
from simulator.rest.messages import Handlers

__all__ = ["Services", "all_handlers", "translate"]


def all_handlers() -> Handlers[Services]:
    """Every API that is emulated."""
    handlers = Handlers[Services]()
    for module in (session, management_node, zone, backup_storage, image_store, global_config, web_hook):
        handlers.include(module.handlers)
    return handlers
