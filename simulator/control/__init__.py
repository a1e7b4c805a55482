"""The lab's own API below `/lab/v1`: for tests and for people, not for ZStack's clients."""

from simulator.control.clock import ClockDoor
from simulator.control.events import EventsQuery, EventStream
from simulator.control.guard import Guard
from simulator.control.hosts import HostsDoor
from simulator.control.metrics import Metrics, MetricsPage
from simulator.control.records import RecordsDoor
from simulator.control.requests import RequestsDoor
from simulator.control.simulated_hosts import LabHosts, SimulatedHostsDoor

__all__ = [
    "ClockDoor",
    "EventStream",
    "EventsQuery",
    "Guard",
    "HostsDoor",
    "LabHosts",
    "Metrics",
    "MetricsPage",
    "RecordsDoor",
    "RequestsDoor",
    "SimulatedHostsDoor",
]
