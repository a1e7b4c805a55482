"""SSH probes of the capacity of a path. The result is a capacity, or a failure from a closed set of reasons."""

from imagestore_sim.probe.capacity import Capacity, Inodes, Method, PingMode, Reached
from imagestore_sim.probe.failures import ProbeFailure
from imagestore_sim.probe.files import FileRefused
from imagestore_sim.probe.host_keys import HostKeyPolicy
from imagestore_sim.probe.login_slots import Purpose, probing_for
from imagestore_sim.probe.permit import Permit, sending_while
from imagestore_sim.probe.prober import Observe, Prober
from imagestore_sim.probe.resolving import Address, Resolve
from imagestore_sim.probe.sftp import SftpSession
from imagestore_sim.probe.target import Layout, Target
from imagestore_sim.reasons import Reason

__all__ = [
    "Address",
    "Capacity",
    "FileRefused",
    "HostKeyPolicy",
    "Inodes",
    "Layout",
    "Method",
    "Observe",
    "Permit",
    "PingMode",
    "ProbeFailure",
    "Prober",
    "Purpose",
    "Reached",
    "Reason",
    "Resolve",
    "SftpSession",
    "Target",
    "probing_for",
    "sending_while",
]
