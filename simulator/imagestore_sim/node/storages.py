"""The parts that keep backup storages: their records, status, capacity, tracker and life cycle."""

from __future__ import annotations

from dataclasses import dataclass

from imagestore_sim.backup_storage.capacity import CapacityStore
from imagestore_sim.backup_storage.connector import Connector
from imagestore_sim.backup_storage.host_usage import HostUsage
from imagestore_sim.backup_storage.lifecycle import Lifecycle
from imagestore_sim.backup_storage.owned_probes import OwnedProbes
from imagestore_sim.backup_storage.ping_tracker import PingTracker
from imagestore_sim.backup_storage.records import StorageRecords
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.backup_storage.takeover import Takeover
from imagestore_sim.node.cluster import ClusterParts
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.store import Store


@dataclass(frozen=True, slots=True)
class StorageParts:
    """The life of backup storages, over one store."""

    records: StorageRecords
    capacities: CapacityStore
    status: StatusStore
    tracker: PingTracker
    lifecycle: Lifecycle
    takeover: Takeover | None
    """Follows the other nodes of the store; None if there can be none."""


def wire_storages(foundation: Foundation, store: Store, cluster: ClusterParts) -> StorageParts:
    """Return the parts that keep backup storages; none of them has started."""
    database, clock, events = store.database, foundation.clock, foundation.events
    records = StorageRecords(database, store.vault, clock)
    capacities = CapacityStore(database, events, clock)
    status = StatusStore(database, capacities, events, clock, cluster.fence)
    owned = OwnedProbes(cluster.peers, foundation.prober)
    connector = Connector(records, status, foundation.prober, store.configuration, owned)
    tracker = PingTracker(
        records,
        status,
        connector,
        foundation.prober,
        store.configuration,
        clock,
        foundation.settings.seed,
        foundation.metrics.ticked,
        foundation.supervisor,
        cluster.peers,
        owned,
    )
    hosts = HostUsage(database, foundation.prober, foundation.release)
    lifecycle = Lifecycle(database, records, status, connector, tracker, hosts, events, cluster.peers)
    takeover = None
    if cluster.membership is not None and cluster.fence is not None:
        takeover = Takeover(cluster.membership, cluster.fence, database, records, tracker, foundation.supervisor)
    return StorageParts(records, capacities, status, tracker, lifecycle, takeover)
