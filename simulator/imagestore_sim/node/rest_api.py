"""ZStack's REST API and message API over the services of a node."""

from __future__ import annotations

from functools import partial

from imagestore_sim.api import NewResourceTags, Services, handlers_of, translate
from imagestore_sim.cluster import Bus, Peers
from imagestore_sim.node.fault_records import FaultRecords
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.store import Store
from imagestore_sim.rest.async_calls import AsyncCalls
from imagestore_sim.rest.authentication import Authentication
from imagestore_sim.rest.dispatch import Dispatcher, Rules
from imagestore_sim.rest.job_starter import JobStarter
from imagestore_sim.rest.job_web_hooks import JobWebHooks
from imagestore_sim.rest.jobs import POLLS, Jobs
from imagestore_sim.rest.legacy_api import LegacyApi
from imagestore_sim.rest.remote_handlers import RemoteHandlers
from imagestore_sim.rest.response_cache import ResponseCache
from imagestore_sim.rest.server import Dependencies, RestServer


def wire_rest_server(
    foundation: Foundation,
    store: Store,
    services: Services,
    jobs: Jobs,
    job_hooks: JobWebHooks,
    response_cache: ResponseCache,
    peers: Peers,
    bus: Bus,
) -> RestServer[Services]:
    """Return the server of both APIs: they share handlers, sessions and jobs."""
    records = FaultRecords(store.database, foundation.events)
    faults = foundation.node_faults
    faults.database, faults.facts, faults.record = store.database, records, records.record
    version, clock, leniency = services.version, foundation.clock, services.leniency
    handlers = handlers_of(version)
    faults.find_apis = lambda: (*handlers.names(), POLLS)
    rules = Rules(
        missing=services.missing,
        tags=NewResourceTags(store.database, clock),
        translate=translate,
        leniency=leniency,
        rights=services.rights,
        version=version,
    )
    runs = RemoteHandlers(handlers, services, store.database, peers, bus, translate)
    dispatcher = Dispatcher(handlers, services, services.sessions, rules, runs)
    starter = JobStarter(handlers, dispatcher, jobs, job_hooks, peers, bus)
    services.long_jobs.serve(dispatcher.carry_out, runs.cancel_elsewhere)
    dependencies = Dependencies(
        clock=clock,
        authentication=Authentication(store.database, store.vault, clock, leniency),
        dispatcher=dispatcher,
        async_calls=AsyncCalls(starter, jobs, partial(_own_address, peers)),
        legacy_api=LegacyApi(handlers, dispatcher, starter, jobs, clock),
        response_cache=response_cache,
        leniency=leniency,
        journal=foundation.journal,
        faults=foundation.node_faults,
        observe=foundation.metrics.answered,
    )
    return RestServer(handlers, dependencies)


def _own_address(peers: Peers) -> str | None:
    """Return the HOST:PORT of this node if clients poll there: in the faithful mode, as ZStack has it.

    None leaves the address that the client used: a proxy stays in between.
    """
    if peers.is_alone or peers.quick:
        return None
    address = peers.address_of(peers.uuid)
    return None if address is None else address.removeprefix("http://")
