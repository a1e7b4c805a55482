"""Hosts as a lab makes them of a name alone."""

from __future__ import annotations

import hashlib

from imagestore_sim.clock import Clock
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.hosts.host import SimulatedHost

GIB = 2**30
SPOT_SIZE, SPOT_AVAILABLE = 10 * 2**40, 8 * 2**40
RESERVED_SHARE = 100
"""One byte of this many is kept for root."""


def default_host(name: str, port: int = 22, *, clock: Clock | None = None, seed: int = 0) -> SimulatedHost:
    """Return a host of a lab: every login succeeds, and its disk of 2 to 8 TiB, in part used, follows from its name.

    What faults on it leave to chance follows from its name and `seed`.
    """
    return SimulatedHost(name, port=port, disk=default_disk(name, clock), clock=clock, seed=seed)


def default_disk(name: str, clock: Clock | None = None) -> VirtualDisk:
    """Return a disk of 2 to 8 TiB, in part used, which follows from the name of its host."""
    digest = hashlib.sha256(name.lower().encode()).digest()
    size = (2048 + int.from_bytes(digest[:2], "big") % 6144) * GIB
    used = size // 100 * (10 + digest[2] % 60)
    return VirtualDisk(size, used, reserved=size // RESERVED_SHARE, clock=clock)


def spot_host(name: str, port: int = 22, *, clock: Clock | None = None, seed: int = 0) -> SimulatedHost:
    """Return a host that a lab makes on the spot: every login succeeds, and 8 of the 10 TiB of its disk are available.

    These are the numbers of the agent that stood in for hosts when ZStack's answers were recorded.
    """
    disk = VirtualDisk(SPOT_SIZE, clock=clock)
    disk.reserved = SPOT_SIZE // RESERVED_SHARE
    disk.used = SPOT_SIZE - SPOT_AVAILABLE - disk.reserved
    return SimulatedHost(name, port=port, disk=disk, clock=clock, seed=seed)
