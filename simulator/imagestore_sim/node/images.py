"""The parts that keep images: their records, transfers, and the removal of their bits."""

from __future__ import annotations

from dataclasses import dataclass

from imagestore_sim.backup_storage.image_events import ImageEvents
from imagestore_sim.backup_storage.image_life import ImageLife
from imagestore_sim.backup_storage.resource_config import ResourceConfigs
from imagestore_sim.backup_storage.tags import Tags
from imagestore_sim.cluster import Bus, Peers
from imagestore_sim.images.bits import Bits
from imagestore_sim.images.copies import ImageCopies
from imagestore_sim.images.deletion import ImageDeletion
from imagestore_sim.images.exports import Exports
from imagestore_sim.images.expunge import PeriodicExpunge
from imagestore_sim.images.garbage import Garbage
from imagestore_sim.images.images import Images
from imagestore_sim.images.remote_length import RemoteLengths
from imagestore_sim.images.space import Space
from imagestore_sim.images.transfer import Transfers
from imagestore_sim.images.trash import Trash
from imagestore_sim.images.uploads import UploadJobs, Uploads
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.storages import StorageParts
from imagestore_sim.node.store import Store


@dataclass(frozen=True, slots=True)
class ImageParts:
    """The life of images, over one store."""

    images: Images
    copies: ImageCopies
    deletion: ImageDeletion
    garbage: Garbage
    expunge: PeriodicExpunge
    exports: Exports
    trash: Trash
    space: Space
    events: ImageEvents


def wire_images(foundation: Foundation, store: Store, storages: StorageParts, tags: Tags, peers: Peers) -> ImageParts:
    """Return the parts that keep images; none of them has started."""
    database, clock, settings = store.database, foundation.clock, foundation.settings
    bits = Bits(foundation.prober)
    space = Space(bits, storages.status, storages.capacities, ResourceConfigs(database, clock, store.configuration))
    transfers = Transfers(storages.records, bits, space, clock, foundation.metrics.transferred)
    events = ImageEvents(foundation.events)
    garbage = Garbage(
        database,
        storages.records,
        bits,
        space,
        store.configuration,
        foundation.events,
        clock,
        peers,
        writes=settings.write_images and not settings.read_only_hosts,
    )
    parts = (database, clock, storages.records, foundation.image_sources, transfers, garbage, events)
    images = Images(*parts, RemoteLengths(clock), asks=settings.image_lengths)
    copies = ImageCopies(*parts)
    deletion = ImageDeletion(database, clock, store.configuration, garbage, tags, events)
    expunge = PeriodicExpunge(database, clock, store.configuration, deletion, foundation.supervisor, peers)
    exports = Exports(database, clock, storages.records, foundation.image_sources, transfers, garbage)
    trash = Trash(database, garbage)
    return ImageParts(images, copies, deletion, garbage, expunge, exports, trash, space, events)


def wire_uploads(
    foundation: Foundation,
    store: Store,
    storages: StorageParts,
    images: ImageParts,
    life: ImageLife,
    jobs: UploadJobs,
    peers: Peers,
    bus: Bus,
) -> Uploads:
    """Return what takes images that clients send; nothing has started."""
    parts = (images.garbage, images.space, images.images.transfers, life, images.events, jobs)
    return Uploads(store.database, foundation.clock, store.configuration, storages.records, *parts, peers, bus)
