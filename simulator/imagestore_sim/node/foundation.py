"""The parts of a node that exist before its database is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from imagestore_sim.backup_storage.events import Events
from imagestore_sim.backup_storage.host_usage import Release
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import Links, NodeClock
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.images.sources import ImageSources
from imagestore_sim.lab_api import CallHistory, Guard, Metrics, ProbePage
from imagestore_sim.node.from_settings import new_guard, new_probe_page, new_prober
from imagestore_sim.probe import Prober, Resolve
from imagestore_sim.rest.journal import Journal
from imagestore_sim.rest.node_faults import NodeFaults
from imagestore_sim.settings import Settings
from imagestore_sim.supervision import Supervisor
from imagestore_sim.watchdog import Watchdog


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """The parts of a node that need no database. Everything else is wired over them."""

    settings: Settings
    clock: Clock
    guard: Guard
    prober: Prober
    probe_page: ProbePage
    release: Release
    """Called with the host names that no record uses any more."""
    events: Events
    image_sources: ImageSources
    metrics: Metrics
    supervisor: Supervisor
    watchdog: Watchdog
    journal: Journal
    calls: CallHistory
    """The calls of the journal that a story is made of."""
    node_faults: NodeFaults
    links: Links | None
    """What can be cut of a node that shares its store with others in this process; None: it shares it with none."""
    store_clock: Clock
    """The time of a store without a clock of its own."""

    @classmethod
    def lay(
        cls, settings: Settings, clock: Clock, resolve: Resolve | None, release: Release, links: Links | None = None
    ) -> Self:
        """Return the foundation of a new node. Raise ValueError for a host name or a file that cannot be used.

        Raise BootstrapError for a file of modules that cannot be used.
        """
        store_clock = clock
        if links is not None:
            clock = NodeClock(clock, links)
            resolve = links.resolving(resolve) if resolve is not None else None
        metrics = Metrics()
        supervisor = Supervisor(clock.sleep, metrics.loop, explained=(StoreUnavailable,))
        node_faults = NodeFaults(clock, settings.seed)
        return cls(
            settings=settings,
            clock=clock,
            guard=new_guard(settings),
            prober=new_prober(settings, clock, resolve, metrics.probed),
            probe_page=new_probe_page(settings, clock, resolve),
            release=release,
            events=Events(clock),
            image_sources=ImageSources(settings.seed),
            metrics=metrics,
            supervisor=supervisor,
            watchdog=Watchdog(metrics.loop, supervisor.report_stalls),
            journal=Journal(),
            calls=CallHistory(lambda: not node_faults.is_empty),
            node_faults=node_faults,
            links=links,
            store_clock=store_clock,
        )
