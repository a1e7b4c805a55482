"""The services that the handlers of the API call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from imagestore_sim.api import NodeRecord, Services
from imagestore_sim.api.rights import Rights
from imagestore_sim.backup_storage.event_web_hooks import EventWebHooks
from imagestore_sim.backup_storage.images import Images
from imagestore_sim.backup_storage.lifecycle import Lifecycle
from imagestore_sim.backup_storage.tags import Tags
from imagestore_sim.backup_storage.zones import Zones
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.from_settings import leniency
from imagestore_sim.node.store import Store
from imagestore_sim.query import BACKUP_STORAGE, QueryEngine
from imagestore_sim.query.folding import fold_padded
from imagestore_sim.query.inventories import SSH_HOST
from imagestore_sim.rest.encoding import without_nulls
from imagestore_sim.rest.sessions import Sessions


def wire_services(
    foundation: Foundation, store: Store, lifecycle: Lifecycle, sessions: Sessions, node_record: NodeRecord
) -> Services:
    """Return the services of the handlers."""
    database, clock = store.database, foundation.clock
    return Services(
        clock=clock,
        database=database,
        queries=store.queries,
        sessions=sessions,
        lifecycle=lifecycle,
        zones=Zones(database, clock),
        images=Images(database, clock),
        tags=Tags(database, clock, fold_padded),
        configuration=store.configuration,
        node=node_record,
        web_hooks=_web_hooks(foundation, store, node_record),
        rights=Rights(database),
        leniency=leniency(foundation.settings),
    )


def _web_hooks(foundation: Foundation, store: Store, node_record: NodeRecord) -> EventWebHooks:
    inventory = partial(_inventory, store.queries)
    return EventWebHooks(
        store.database,
        foundation.events,
        foundation.clock,
        lambda: node_record.uuid,
        inventory,
        foundation.supervisor,
    )


async def _inventory(queries: QueryEngine, storage_uuid: str) -> Mapping[str, object] | None:
    """Return the inventory that events carry: the fields that every type has, without those of its host."""
    found = await queries.find(BACKUP_STORAGE, storage_uuid)
    of_host = {field.name for field in SSH_HOST}
    inventory = without_nulls(found.rows[0]) if found.rows else {}
    return {name: value for name, value in inventory.items() if name not in of_host} or None
