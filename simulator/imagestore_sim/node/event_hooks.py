"""The web hooks of events, which carry the inventory of the storage or the image that an event is about."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from imagestore_sim.api import NodeRecord
from imagestore_sim.backup_storage.event_web_hooks import EventWebHooks
from imagestore_sim.backup_storage.events import Event
from imagestore_sim.backup_storage.image_events import TRACKED
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.store import Store
from imagestore_sim.query import BACKUP_STORAGE, IMAGE, QueryEngine
from imagestore_sim.query.inventories import SSH_HOST
from imagestore_sim.rest.encoding import without_nulls
from imagestore_sim.rest.faulted_posts import course_of


def wire_event_hooks(foundation: Foundation, store: Store, node_record: NodeRecord) -> EventWebHooks:
    """Return the web hooks of events; they have not started."""
    return EventWebHooks(
        store.database,
        foundation.events,
        foundation.clock,
        lambda: node_record.uuid,
        partial(_inventory, store.queries),
        foundation.supervisor,
        partial(course_of, foundation.node_faults),
    )


async def _inventory(queries: QueryEngine, event: Event) -> Mapping[str, object] | None:
    """Return the inventory that an event carries, of a storage without the fields of its host; None if it is gone."""
    if event.path == TRACKED:
        image = await queries.find(IMAGE, event.resource_uuid)
        return without_nulls(image.rows[0]) if image.rows and event.content["success"] else None
    found = await queries.find(BACKUP_STORAGE, event.resource_uuid)
    of_host = {field.name for field in SSH_HOST}
    inventory = without_nulls(found.rows[0]) if found.rows else {}
    return {name: value for name, value in inventory.items() if name not in of_host} or None
