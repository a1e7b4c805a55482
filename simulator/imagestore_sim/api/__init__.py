"""The APIs: a module for each resource declares its messages and their handlers.

A new API is a message class and a function decorated with `@handlers.handles` in the module of its resource;
`rest.messages` explains the declaration. What no module declares, `not_emulated` answers, from the `catalogue` of all
APIs. The other modules here serve them: `queries` and `legacy_queries` (all query APIs), `storage_calls` (add and
update a storage), `services` (what handlers work with), `error_translation`, `rights`, `user_policies`,
`resource_types`, `new_resource_tags`, `long_job_runner`, `node_record`, `url_validator`, `path_patterns`, and
`fidelity` (the page that lists all APIs).
"""

from __future__ import annotations

from functools import cache, partial

from imagestore_sim.api import (
    absent_resource_deletions,
    absent_resource_queries,
    access_key,
    account,
    backup_storage,
    global_config,
    image,
    image_deletion,
    image_export,
    image_from_volume,
    image_life,
    image_store,
    long_job,
    management_node,
    not_emulated,
    policy,
    quota,
    resource_config,
    resource_owner,
    session,
    sftp_backup_storage,
    simulator_backup_storage,
    tag,
    tag_pattern,
    task_progress,
    trash,
    user,
    web_hook,
    zone,
    zql,
    zwatch,
)
from imagestore_sim.api.catalogue import catalogue, message_name
from imagestore_sim.api.error_translation import translate
from imagestore_sim.api.long_job_runner import LongJobRunner
from imagestore_sim.api.new_resource_tags import NewResourceTags
from imagestore_sim.api.node_record import NodeRecord
from imagestore_sim.api.services import Services
from imagestore_sim.rest.messages import Handlers, LateHandlers
from imagestore_sim.rest.versions import ZStackVersion

__all__ = [
    "LongJobRunner",
    "NewResourceTags",
    "NodeRecord",
    "Services",
    "all_handlers",
    "handlers_of",
    "translate",
]
MODULES = (
    session,
    account,
    user,
    policy,
    access_key,
    quota,
    resource_owner,
    management_node,
    zone,
    backup_storage,
    image_store,
    sftp_backup_storage,
    simulator_backup_storage,
    trash,
    image,
    image_export,
    image_life,
    image_from_volume,
    long_job,
    image_deletion,
    task_progress,
    tag,
    tag_pattern,
    global_config,
    resource_config,
    web_hook,
    zwatch,
    zql,
    absent_resource_queries,
    absent_resource_deletions,
)


def all_handlers() -> Handlers[Services]:
    """Return the handlers of every API: of those that are emulated, and of those that answer that they are not."""
    handlers = Handlers[Services]()
    for module in MODULES:
        handlers.include(module.handlers)
    declared = frozenset(handlers.names())
    handlers.include(not_emulated.handlers_but(declared))
    return handlers


@cache
def handlers_of(version: ZStackVersion) -> Handlers[Services]:
    """Return the handlers of the APIs that a version of ZStack has. They are chosen once in a process."""
    return LateHandlers(partial(_chosen_for, version))


def _chosen_for(version: ZStackVersion) -> Handlers[Services]:
    has = cache(version.has)
    return all_handlers().but(message_name(api) for api in catalogue()["apis"] if not has(api.get("since")))
