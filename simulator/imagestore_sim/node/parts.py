"""The parts of a management node whose database is open, wired once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from imagestore_sim.api import NodeRecord, Services
from imagestore_sim.backup_storage.event_feed import EventFeed
from imagestore_sim.backup_storage.tags import Tags
from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.cluster import JOB, Bus, FollowedState, Leaving
from imagestore_sim.lab_api import ClusterFigures, EventStream, MetricsPage
from imagestore_sim.node.cluster import ClusterParts, wire_cluster
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.from_settings import ping_options
from imagestore_sim.node.images import ImageParts, wire_images
from imagestore_sim.node.rest_api import wire_rest_server
from imagestore_sim.node.services import wire_services
from imagestore_sim.node.storages import StorageParts, wire_storages
from imagestore_sim.node.store import Store
from imagestore_sim.node.sweep import Sweep
from imagestore_sim.rest.faulted_posts import course_of
from imagestore_sim.rest.job_web_hooks import JobWebHooks
from imagestore_sim.rest.jobs import Jobs
from imagestore_sim.rest.response_cache import ResponseCache
from imagestore_sim.rest.server import RestServer
from imagestore_sim.rest.sessions import Sessions
from imagestore_sim.settings import Settings

CLOUD_BUS = "messages between management nodes"
"""What the key of these messages is derived for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A node's parts over its open store."""

    store: Store
    cluster: ClusterParts
    storages: StorageParts
    images: ImageParts
    node_record: NodeRecord
    bus: Bus
    leaving: Leaving | None
    """None where the store is not shared."""
    sweep: Sweep
    followed: FollowedState
    """Reloads what is kept in memory when other nodes change the store."""
    sessions: Sessions
    jobs: Jobs
    job_hooks: JobWebHooks
    """Posts the results of jobs to the address in `X-Web-Hook`; hooks of events are `services.web_hooks`."""
    response_cache: ResponseCache
    services: Services
    rest: RestServer[Services]
    event_stream: EventStream
    metrics_page: MetricsPage

    async def load(self, records: Bootstrap, settings: Settings) -> None:
        """Load the records, and start what works in the background, except for the tracker."""
        await self.store.load_configuration(ping_options(settings))
        records = await self._with_sources(records)
        await self.store.database.atomically(partial(self.store.bootstrap_loader.load, records))
        await self.node_record.open()
        await self.sessions.open()
        await self.jobs.open()
        await self.services.web_hooks.open()
        await self.services.long_jobs.open()
        self.images.expunge.start()
        if self.cluster.membership is not None:
            self.followed.start()
            self.sweep.start()

    async def _with_sources(self, records: Bootstrap) -> Bootstrap:
        """Return the records to load: without image sources where other nodes run, which may have changed theirs.

        Those that an earlier run has left in a shared store are forgotten, as they are where a node has its own.
        """
        sources = self.store.image_sources
        if self.cluster.joins_others:
            await sources.read()
            return records.model_copy(update={"imageSources": ()})
        if self.cluster.membership is not None:
            await sources.change(lambda _: ())
        return records

    async def restart(self) -> None:
        """Leave the node as a kill and a start leave it; the store stays open, and storages are not connected again.

        Raise StoreUnavailable.
        """
        await self.jobs.close()
        await self.services.long_jobs.close()
        await self.services.uploads.close()
        await self.images.garbage.close()  # what ends before may leave it bits to remove
        await self.services.web_hooks.close()
        await self.job_hooks.close()
        await self.node_record.open()
        await self.jobs.open()
        await self.services.web_hooks.open()
        await self.services.long_jobs.open()
        await self.services.uploads.open()
        await self.storages.lifecycle.restart()
        await self.images.garbage.open()

    def cut_off(self) -> None:
        """Post nothing more, and let the heart stand still, as a kill -9 would."""
        self.cluster.cut_off()
        self.job_hooks.cut_off()
        self.services.web_hooks.cut_off()
        self.bus.cut_off()

    async def close(self) -> None:
        """Cancel what runs in the background. The store stays open."""
        async with AsyncExitStack() as stack:  # the last one pushed closes first: jobs and pings end before the hooks
            stack.push_async_callback(self.bus.close)
            stack.push_async_callback(self.sessions.close)
            stack.push_async_callback(self.job_hooks.close)
            stack.push_async_callback(self.services.web_hooks.close)
            if self.leaving is not None:
                stack.push_async_callback(self.services.web_hooks.drain)
                stack.push_async_callback(self.leaving.leave)
            stack.push_async_callback(self.storages.tracker.stop)
            stack.push_async_callback(self.storages.lifecycle.close)
            stack.push_async_callback(self.images.garbage.close)  # what ends before may leave it bits to remove
            stack.push_async_callback(self.images.expunge.close)
            stack.push_async_callback(self.services.uploads.close)
            stack.push_async_callback(self.services.long_jobs.close)
            stack.push_async_callback(self.jobs.close)
            stack.push_async_callback(self.followed.close)  # it and the next begin work in those that close after them
            stack.push_async_callback(self.sweep.close)
            if self.storages.takeover is not None:
                stack.push_async_callback(self.storages.takeover.close)
            if self.leaving is not None:
                stack.push_async_callback(self.leaving.prepare)


def wire(foundation: Foundation, store: Store, is_ready: Callable[[], bool], url: str) -> Parts:
    """Return the parts over an open store; none of them has started. `url` is where the node listens."""
    database, clock, supervisor = store.database, foundation.clock, foundation.supervisor
    cluster = wire_cluster(foundation, store, url)
    storages = wire_storages(foundation, store, cluster)
    tags = Tags(database, clock)
    images = wire_images(foundation, store, storages, tags, cluster.peers)
    node_record = NodeRecord(database, clock, foundation.settings.host, is_ready, cluster.peers)
    bus = Bus(cluster.peers, store.vault.derived(CLOUD_BUS), clock, foundation.links)
    followed = FollowedState(database, clock, supervisor)
    followed.follow(store.configuration.reload)
    followed.follow(store.image_sources.read)
    sessions = Sessions(database, store.vault, clock, store.configuration, followed, supervisor)
    jobs = Jobs(
        database,
        store.vault,
        clock,
        cluster.peers,
        foundation.metrics.job_ended,
        supervisor,
        (lambda _: None) if cluster.fence is None else partial(cluster.fence.refuse, JOB),
    )
    response_cache = ResponseCache(lambda: followed.revision)
    job_hooks = JobWebHooks(clock, partial(course_of, foundation.node_faults))
    services = wire_services(foundation, store, storages, images, tags, sessions, node_record, cluster.peers, bus)
    if cluster.membership is not None:
        foundation.events.follow_all()
        foundation.events.published = followed.hint
        followed.follow(EventFeed(foundation.events, store.event_log).read)
    removals = (
        storages.lifecycle.delete_half_added,
        images.garbage.drop_half_added,
        jobs.end_left,
        services.long_jobs.end_left,
        services.uploads.open,
    )
    followed.follow(services.web_hooks.read)
    followed.follow(services.long_jobs.follow_cancels)
    return Parts(
        store=store,
        cluster=cluster,
        storages=storages,
        images=images,
        node_record=node_record,
        bus=bus,
        leaving=None if cluster.membership is None else Leaving(cluster.membership, bus),
        sweep=Sweep(removals, cluster.peers, clock, supervisor),
        followed=followed,
        sessions=sessions,
        jobs=jobs,
        job_hooks=job_hooks,
        response_cache=response_cache,
        services=services,
        rest=wire_rest_server(foundation, store, services, jobs, job_hooks, response_cache, cluster.peers, bus),
        event_stream=EventStream(foundation.events, store.event_log),
        metrics_page=MetricsPage(
            foundation.metrics,
            database,
            response_cache,
            storages.status.last_probes,
            foundation.node_faults,
            partial(_figures, cluster, storages),
        ),
    )


def _figures(cluster: ClusterParts, storages: StorageParts) -> ClusterFigures:
    """Return the figures of the cluster as this node knows it."""
    taken_over = 0 if storages.takeover is None else storages.takeover.taken_over
    refused = {} if cluster.fence is None else dict(cluster.fence.refused)
    return ClusterFigures(len(cluster.peers.members), len(storages.tracker.owned()), taken_over, refused)
