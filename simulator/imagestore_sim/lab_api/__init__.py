"""The lab's own API, `/lab/v1`: for tests and people, not for ZStack's clients."""

from imagestore_sim.lab_api.about import AboutRoutes
from imagestore_sim.lab_api.call_history import CallHistory
from imagestore_sim.lab_api.clock import ClockRoutes
from imagestore_sim.lab_api.events import EventsRoutes, EventStream
from imagestore_sim.lab_api.guard import Guard
from imagestore_sim.lab_api.hosts import HostsRoutes
from imagestore_sim.lab_api.hosts_service import HostsService
from imagestore_sim.lab_api.image_sources import ImageSourcesRoutes
from imagestore_sim.lab_api.lab_hosts import LabHosts, SimulatedHosts
from imagestore_sim.lab_api.lab_time import LabTime
from imagestore_sim.lab_api.metrics import ClusterFigures, Metrics, MetricsPage
from imagestore_sim.lab_api.node_faults import NodeFaultsRoutes
from imagestore_sim.lab_api.nodes import NodesRoutes, NodesView
from imagestore_sim.lab_api.openapi import document, lab_api_routes
from imagestore_sim.lab_api.probe_modules import ProbeModule, read_modules
from imagestore_sim.lab_api.probe_page import ProbePage
from imagestore_sim.lab_api.records import RecordKeeper, RecordsRoutes
from imagestore_sim.lab_api.request_detail import RequestDetailRoutes
from imagestore_sim.lab_api.request_log import RequestLog
from imagestore_sim.lab_api.requests import RequestsRoutes
from imagestore_sim.lab_api.scenario import ScenarioRoutes
from imagestore_sim.lab_api.sessions import SessionsRoutes
from imagestore_sim.lab_api.simulated_hosts import HostChangesRoutes, SimulatedHostsRoutes
from imagestore_sim.lab_api.storage_history import StorageHistory
from imagestore_sim.lab_api.storage_owners import SERVICE as LAB_STORAGES
from imagestore_sim.lab_api.storage_owners import StorageOwners
from imagestore_sim.lab_api.storages import StoragesRoutes
from imagestore_sim.lab_api.stories import OpenStories, StoriesRoutes
from imagestore_sim.lab_api.story import StoryWriter
from imagestore_sim.lab_api.timeline import TimelineRoutes

__all__ = [
    "LAB_STORAGES",
    "AboutRoutes",
    "CallHistory",
    "ClockRoutes",
    "ClusterFigures",
    "EventStream",
    "EventsRoutes",
    "Guard",
    "HostChangesRoutes",
    "HostsRoutes",
    "HostsService",
    "ImageSourcesRoutes",
    "LabHosts",
    "LabTime",
    "Metrics",
    "MetricsPage",
    "NodeFaultsRoutes",
    "NodesRoutes",
    "NodesView",
    "OpenStories",
    "ProbeModule",
    "ProbePage",
    "RecordKeeper",
    "RecordsRoutes",
    "RequestDetailRoutes",
    "RequestLog",
    "RequestsRoutes",
    "ScenarioRoutes",
    "SessionsRoutes",
    "SimulatedHosts",
    "SimulatedHostsRoutes",
    "StorageHistory",
    "StorageOwners",
    "StoragesRoutes",
    "StoriesRoutes",
    "StoryWriter",
    "TimelineRoutes",
    "document",
    "lab_api_routes",
    "read_modules",
]
