"""The lab's own API below `/lab/v1`: for tests and for people, not for ZStack's clients."""

from simulator.control.events import EventStream
from simulator.control.metrics import Metrics, MetricsPage
from simulator.control.records import RecordsDoor

__all__ = ["EventStream", "Metrics", "MetricsPage", "RecordsDoor"]
