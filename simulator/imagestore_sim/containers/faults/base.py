"""How the container form of a fault kind is declared: once, beside the kind, which may be refused instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from imagestore_sim.faults import Fault
from imagestore_sim.scenario.format import model

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

Undo = Callable[[], Awaitable[None]]
F = TypeVar("F", bound=Fault)
Begin = Callable[[F, "ContainerHost"], Awaitable[Undo | None]]
WhyNot = Callable[[F, model.Host], str | None]


class Refused(ValueError):
    """A fault that no container can have: the text names its kind and says why."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"fault {kind}: not on containers: {reason}")
        self.kind = kind
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Needs:
    """What a container must have, beside what sshd needs, for a fault to be possible on it.

    The programs are in the image that is built from `containers/images/host` with the target `faults`. With SYS_ADMIN,
    AppArmor must not confine it where the engine's machine has that, for Docker's profile forbids to mount.
    """

    capabilities: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()

    def __or__(self, other: Needs) -> Needs:
        return Needs(self.capabilities | other.capabilities, self.devices | other.devices)


@dataclass(frozen=True, slots=True)
class FaultImplementation:
    """How a kind of fault is on a container."""

    how: str
    """By which means, or why not; for people."""
    begin: Begin[Any] | None
    """Puts a fault on a host; answers what heals it, None where nothing does. None: no container can have it."""
    needs: Needs
    lost_at_stop: bool
    """Whether a host that was stopped is without it: firewall, processes and mounts are new then, files are not."""
    from_outside: bool
    """Whether it is done to the host's disk from outside, so that the host need not run."""
    unless: WhyNot[Any] | None
    """Why a fault with such parameters cannot be on such a host; answers None when it can."""


FORMS: dict[str, FaultImplementation] = {}
"""What every kind of fault is on containers, by its name."""
IN_MEMORY: dict[str, FaultImplementation] = {}
"""What is in the place of that where the host's disk is in its memory."""


def form(
    kind: type[F],
    *,
    how: str,
    capabilities: tuple[str, ...] = (),
    devices: tuple[str, ...] = (),
    lost_at_stop: bool = False,
    from_outside: bool = False,
    unless: WhyNot[F] | None = None,
    forms: dict[str, FaultImplementation] = FORMS,
) -> Callable[[Begin[F]], Begin[F]]:
    """Declare what puts a kind of fault on a container; `forms` is where it is looked for."""

    def declare(begin: Begin[F]) -> Begin[F]:
        needs = Needs(frozenset(capabilities), frozenset(devices))
        forms[kind.kind] = FaultImplementation(how, begin, needs, lost_at_stop, from_outside, unless)
        return begin

    return declare


def refuse(kind: type[Fault], why: str) -> None:
    """Declare that no container can have a kind of fault."""
    FORMS[kind.kind] = FaultImplementation(why, None, Needs(), False, False, None)
