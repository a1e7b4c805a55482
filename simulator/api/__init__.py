"""The APIs: the messages of each resource and their handlers, one module a resource."""

from __future__ import annotations

from simulator.api import backup_storage, global_config, image_store, management_node, session, zone
from simulator.api.errors import translate
from simulator.api.services import Services
from simulator.api.tagging import Tagging
from simulator.api.this_node import ThisNode
from simulator.rest.messages import Handlers

__all__ = ["Services", "Tagging", "ThisNode", "all_handlers", "translate"]


def all_handlers() -> Handlers[Services]:
    """Every API that is emulated."""
    handlers = Handlers[Services]()
    for module in (session, management_node, zone, backup_storage, image_store, global_config):
        handlers.include(module.handlers)
    return handlers
