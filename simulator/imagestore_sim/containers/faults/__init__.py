"""What faults are on hosts in containers. To add one: a form in the module of its layer, named as its kind is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults import disk, disk_in_memory, network, session, ssh
from imagestore_sim.containers.faults.base import FORMS, IN_MEMORY, FaultImplementation, Needs, Refused, Undo
from imagestore_sim.faults import Fault
from imagestore_sim.scenario.format import model

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

__all__ = [
    "FORMS",
    "IN_MEMORY",
    "Form",
    "Needs",
    "Refused",
    "Undo",
    "apply",
    "check",
    "disk",
    "disk_in_memory",
    "form_of",
    "network",
    "session",
    "ssh",
]


def form_of(kind: str, *, in_memory: bool = False) -> FaultImplementation:
    """What a kind of fault is on a container, whose disk may be in its memory."""
    return IN_MEMORY.get(kind, FORMS[kind]) if in_memory else FORMS[kind]


def check(fault: Fault, host: model.Host, *, in_memory: bool = False) -> Needs:
    """What a container must have for a fault to be put on it. Raises Refused."""
    known = form_of(fault.kind, in_memory=in_memory)
    if known.begin is None:
        raise Refused(fault.kind, known.how)
    if known.unless is not None and (why := known.unless(fault, host)) is not None:
        raise Refused(fault.kind, why)
    return known.needs


async def apply(fault: Fault, host: ContainerHost) -> Undo | None:
    """Put a fault on a host, beside those that are on it; answers what heals it, None where nothing does.

    Its `for` is not looked at. One at a time on a host, healing included. Raises ContainerProblem, and Refused.
    """
    in_memory = host.volume.in_memory
    check(fault, host.spec, in_memory=in_memory)
    begin = form_of(fault.kind, in_memory=in_memory).begin
    assert begin is not None
    return await begin(fault, host)
