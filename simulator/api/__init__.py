"""The APIs: the messages of each resource and their handlers, one module a resource."""

from __future__ import annotations

from simulator.api import (
    absent_deletions,
    backup_storage,
    global_config,
    image,
    image_store,
    management_node,
    not_emulated,
    open_queries,
    session,
    sftp_backup_storage,
    simulator_backup_storage,
    tag,
    trash,
    web_hook,
    zone,
    zql,
    zwatch,
)
from simulator.api.errors import translate
from simulator.api.services import Services
from simulator.api.tagging import Tagging
from simulator.api.this_node import ThisNode
from simulator.rest.messages import Handlers

__all__ = ["Services", "Tagging", "ThisNode", "all_handlers", "translate"]
MODULES = (
    session,
    management_node,
    zone,
    backup_storage,
    image_store,
    sftp_backup_storage,
    simulator_backup_storage,
    trash,
    image,
    tag,
    global_config,
    web_hook,
    zwatch,
    zql,
    open_queries,
    absent_deletions,
    not_emulated,
)


def all_handlers() -> Handlers[Services]:
    """Every API: those that are emulated, and those that say that they are not."""
    handlers = Handlers[Services]()
    for module in MODULES:
        handlers.include(module.handlers)
    return handlers
