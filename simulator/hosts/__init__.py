"""Simulated ImageStore hosts: real SSH servers on loopback ports, over virtual disks."""

from simulator.hosts.disk import VirtualDisk
from simulator.hosts.faults import FAULTS, Fault, FaultProblem, read_fault
from simulator.hosts.host import Credentials, SimulatedHost
from simulator.hosts.network import HostNetwork, default_host, spot_host

__all__ = [
    "FAULTS",
    "Credentials",
    "Fault",
    "FaultProblem",
    "HostNetwork",
    "SimulatedHost",
    "VirtualDisk",
    "default_host",
    "read_fault",
    "spot_host",
]
