"""What can be wrong with a simulated host. To add a kind: a class in the module of its layer (docs/faults.md)."""

from simulator.hosts.faults import disk, network, session, ssh
from simulator.hosts.faults.applied import Applied, Faults
from simulator.hosts.faults.declare import FAULTS, Fault, FaultProblem, Layer, fault, read_fault

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
