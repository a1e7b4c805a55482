"""Simulated ImageStore hosts: real SSH servers on loopback ports, over virtual disks."""

from imagestore_sim.faults import FAULTS, Fault, FaultProblem, read_fault
from imagestore_sim.hosts.accounts import Credentials
from imagestore_sim.hosts.applied_faults import PastFault
from imagestore_sim.hosts.default_hosts import default_host, spot_host
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.hosts.host import SimulatedHost
from imagestore_sim.hosts.network import HostNetwork

__all__ = [
    "FAULTS",
    "Credentials",
    "Fault",
    "FaultProblem",
    "HostNetwork",
    "PastFault",
    "SimulatedHost",
    "VirtualDisk",
    "default_host",
    "read_fault",
    "spot_host",
]
