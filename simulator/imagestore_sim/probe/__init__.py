"""One SSH probe of the capacity of a path: a capacity, or a failure of a closed set of reasons."""

from imagestore_sim.probe.capacity import Capacity, Inodes, Method
from imagestore_sim.probe.connections import Address, Resolve
from imagestore_sim.probe.failures import ProbeFailure, Reason
from imagestore_sim.probe.host_keys import HostKeyPolicy
from imagestore_sim.probe.login_slots import Purpose, probing_for
from imagestore_sim.probe.prober import Observe, Prober
from imagestore_sim.probe.target import Layout, Target

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
