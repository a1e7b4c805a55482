"""The services that the handlers of the API call."""

from __future__ import annotations

from imagestore_sim.api import LongJobRunner, NodeRecord, Services
from imagestore_sim.api.rights import Rights
from imagestore_sim.backup_storage.image_events import ImageEvents
from imagestore_sim.backup_storage.image_life import ImageLife
from imagestore_sim.backup_storage.resource_config import ResourceConfigs
from imagestore_sim.backup_storage.tag_patterns import TagPatterns
from imagestore_sim.backup_storage.tags import Tags
from imagestore_sim.backup_storage.zones import Zones
from imagestore_sim.cluster import Bus, Peers
from imagestore_sim.identity.access_keys import AccessKeys
from imagestore_sim.identity.accounts import AccountRecords
from imagestore_sim.identity.members import Members
from imagestore_sim.identity.quotas import Quotas
from imagestore_sim.identity.shares import Shares
from imagestore_sim.node.event_hooks import wire_event_hooks
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.from_settings import leniency, zstack_version
from imagestore_sim.node.images import ImageParts, wire_uploads
from imagestore_sim.node.storages import StorageParts
from imagestore_sim.node.store import Store
from imagestore_sim.rest.sessions import Sessions


def wire_services(
    foundation: Foundation,
    store: Store,
    storages: StorageParts,
    images: ImageParts,
    tags: Tags,
    sessions: Sessions,
    node_record: NodeRecord,
    peers: Peers,
    bus: Bus,
) -> Services:
    """Return the services of the handlers."""
    database, clock, vault = store.database, foundation.clock, store.vault
    members = Members(database, clock)
    quotas = Quotas(database, clock, store.configuration)
    long_jobs = LongJobRunner(database, clock, images.images, peers)
    life = ImageLife(database, clock, tags, ImageEvents(foundation.events))
    return Services(
        clock=clock,
        database=database,
        queries=store.queries,
        sessions=sessions,
        lifecycle=storages.lifecycle,
        zones=Zones(database, clock),
        image_life=life,
        uploads=wire_uploads(foundation, store, storages, images, life, long_jobs, peers, bus),
        long_jobs=long_jobs,
        images=images.images,
        image_copies=images.copies,
        image_deletion=images.deletion,
        exports=images.exports,
        garbage=images.garbage,
        trash=images.trash,
        tags=tags,
        tag_patterns=TagPatterns(database, clock),
        configuration=store.configuration,
        resource_configs=ResourceConfigs(database, clock, store.configuration),
        node=node_record,
        web_hooks=wire_event_hooks(foundation, store, node_record),
        rights=Rights(database, members),
        members=members,
        accounts=AccountRecords(database, vault, clock, quotas),
        access_keys=AccessKeys(database, vault, clock),
        quotas=quotas,
        shares=Shares(database, clock),
        leniency=leniency(foundation.settings),
        version=zstack_version(foundation.settings),
    )
