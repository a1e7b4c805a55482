"""The APIs: the messages of each resource and their handlers, one module a resource."""

from __future__ import annotations

from imagestore_sim.api import (
    absent_resource_deletions,
    absent_resource_queries,
    backup_storage,
    global_config,
    image,
    image_store,
    management_node,
    not_emulated,
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
from imagestore_sim.api.error_translation import translate
from imagestore_sim.api.new_resource_tags import NewResourceTags
from imagestore_sim.api.node_record import NodeRecord
from imagestore_sim.api.services import Services
from imagestore_sim.rest.messages import Handlers

__all__ = ["NewResourceTags", "NodeRecord", "Services", "all_handlers", "translate"]
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
    absent_resource_queries,
    absent_resource_deletions,
    not_emulated,
)


def all_handlers() -> Handlers[Services]:
    """Every API: those that are emulated, and those that say that they are not."""
    handlers = Handlers[Services]()
    for module in MODULES:
        handlers.include(module.handlers)
    return handlers
