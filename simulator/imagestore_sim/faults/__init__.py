"""What can go wrong, each kind declared once. To add a kind: a class in the module of its layer (docs/faults.md)."""

from imagestore_sim.faults import agent, disk, network, session, ssh
from imagestore_sim.faults.base import Effect, Fault, FaultProblem, Layer, Noticed, ProbeAnswer, Traits
from imagestore_sim.faults.behaviour import Behaviour
from imagestore_sim.faults.registry import FAULTS, fault, read_fault, stand_ins
from imagestore_sim.faults.target import AppliedFault, DiskState, FaultTarget, Host, HostState

__all__ = [
    "FAULTS",
    "AppliedFault",
    "Behaviour",
    "DiskState",
    "Effect",
    "Fault",
    "FaultProblem",
    "FaultTarget",
    "Host",
    "HostState",
    "Layer",
    "Noticed",
    "ProbeAnswer",
    "Traits",
    "agent",
    "disk",
    "fault",
    "network",
    "read_fault",
    "session",
    "ssh",
    "stand_ins",
]
