"""The faults of container hosts. To add one: an implementation in the module of its layer, named as its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults import agent, disk, memory_disk, network, session, ssh
from imagestore_sim.containers.faults.base import (
    IMPLEMENTATIONS,
    ON_MEMORY_DISKS,
    FaultImplementation,
    Refused,
    Requirements,
    Undo,
)
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.faults import Fault

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

__all__ = [
    "IMPLEMENTATIONS",
    "ON_MEMORY_DISKS",
    "FaultImplementation",
    "Refused",
    "Requirements",
    "Undo",
    "agent",
    "apply_fault",
    "disk",
    "implementation_of",
    "memory_disk",
    "network",
    "requirements_of",
    "session",
    "ssh",
]


def implementation_of(kind: str, *, memory_disk: bool = False) -> FaultImplementation:
    """Return the implementation of a kind of fault for hosts with an XfsDisk, or with a MemoryDisk."""
    default = IMPLEMENTATIONS[kind]
    return ON_MEMORY_DISKS.get(kind, default) if memory_disk else default


def requirements_of(fault: Fault, spec: HostSpec) -> Requirements:
    """Return what a container must have for a fault. Raise Refused where no container, or not such a host, can."""
    found = implementation_of(fault.kind, memory_disk=spec.memory_disk)
    if found.apply is None:
        raise Refused(fault.kind, found.means)
    if found.refused_if is not None and (why := found.refused_if(fault, spec)) is not None:
        raise Refused(fault.kind, why)
    return found.requirements


async def apply_fault(fault: Fault, host: ContainerHost) -> Undo | None:
    """Put a fault on a host, beside those that it has. Return what heals it; None where nothing does.

    The caller heals it after its `for`, and runs one `apply_fault` or undo at a time on a host. Raise ContainerProblem,
    Refused.
    """
    requirements_of(fault, host.spec)
    apply = implementation_of(fault.kind, memory_disk=host.spec.memory_disk).apply
    assert apply is not None
    return await apply(fault, host)
