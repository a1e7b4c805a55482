"""What faults are on hosts in containers. To add one: a form in the module of its layer, named as its kind is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.hosts.faults import Fault
from simulator.scenario import model
from simulator.scenario.compose.forms import disk, network, session, ssh
from simulator.scenario.compose.forms.declare import FORMS, Form, Needs, Refused, Undo

if TYPE_CHECKING:
    from simulator.scenario.compose.host import ContainerHost

__all__ = [
    "FORMS",
    "Form",
    "Needs",
    "Refused",
    "Undo",
    "apply",
    "check",
    "disk",
    "is_lost_at_stop",
    "network",
    "session",
    "ssh",
]


def check(fault: Fault, host: model.Host) -> Needs:
    """What a container must have for a fault to be put on it. Raises Refused."""
    known = FORMS[fault.kind]
    if known.begin is None:
        raise Refused(fault.kind, known.how)
    if known.unless is not None and (why := known.unless(fault, host)) is not None:
        raise Refused(fault.kind, why)
    return known.needs


async def apply(fault: Fault, host: ContainerHost) -> Undo | None:
    """Put a fault on a host, beside those that are on it; answers what heals it, None where nothing does.

    Its `for` is not looked at. One at a time on a host, healing included. Raises ContainerProblem, and Refused.
    """
    check(fault, host.spec)
    begin = FORMS[fault.kind].begin
    assert begin is not None
    return await begin(fault, host)


def is_lost_at_stop(fault: Fault) -> bool:
    """Whether a host that was stopped is without it, so that it has to be healed before and put on it again after."""
    return FORMS[fault.kind].lost_at_stop
