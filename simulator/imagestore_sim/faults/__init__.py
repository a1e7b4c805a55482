"""What can be wrong with a simulated host. To add a kind: a class in the module of its layer (docs/faults.md)."""

from imagestore_sim.faults import disk, network, session, ssh
from imagestore_sim.faults.base import FAULTS, Fault, FaultProblem, Layer, fault, read_fault
from imagestore_sim.hosts.applied_faults import Applied, Faults

__all__ = [
    "FAULTS",
    "Applied",
    "Fault",
    "FaultProblem",
    "Faults",
    "Layer",
    "disk",
    "fault",
    "network",
    "read_fault",
    "session",
    "ssh",
]
