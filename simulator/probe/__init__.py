"""One SSH probe of the capacity of a path: a capacity, or a failure of a closed set of reasons."""

from simulator.probe.capacity import Capacity, Inodes, Method
from simulator.probe.connections import Address, Resolve
from simulator.probe.failures import ProbeFailure, Reason
from simulator.probe.host_keys import HostKeyPolicy
from simulator.probe.logins import Purpose, probing_for
from simulator.probe.prober import Observe, Prober
from simulator.probe.target import Layout, Target

__all__ = [
    "Address",
    "Capacity",
    "HostKeyPolicy",
    "Inodes",
    "Layout",
    "Method",
    "Observe",
    "ProbeFailure",
    "Prober",
    "Purpose",
    "Reason",
    "Resolve",
    "Target",
    "probing_for",
]
