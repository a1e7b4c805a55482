"""What can go wrong, each kind declared once. To add a kind: a class in the module of its layer (docs/faults.md)."""

from imagestore_sim.faults.base import AnyFault, Effect, Fault, FaultProblem, Layer, Noticed, ProbeAnswer, Traits
from imagestore_sim.faults.behaviour import Behaviour
from imagestore_sim.faults.node_fault import NodeFault
from imagestore_sim.faults.registry import (
    FAULTS,
    NODE_FAULTS,
    fault,
    node_fault,
    parse_node_fault,
    read_fault,
    read_node_fault,
    stand_ins,
)
from imagestore_sim.faults.selection import Meets, Subject, When
from imagestore_sim.faults.target import AppliedFault, DiskState, FaultTarget, Host, HostState

__all__ = [
    "FAULTS",
    "NODE_FAULTS",
    "AnyFault",
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
    "Meets",
    "NodeFault",
    "Noticed",
    "ProbeAnswer",
    "Subject",
    "Traits",
    "When",
    "fault",
    "node_fault",
    "parse_node_fault",
    "read_fault",
    "read_node_fault",
    "stand_ins",
]
