"""How the container implementation of a fault kind is declared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.faults import Fault, FaultProblem

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

Undo = Callable[[], Awaitable[None]]
"""Heals a fault. Fails with ContainerProblem."""
F = TypeVar("F", bound=Fault)
Apply = Callable[[F, "ContainerHost"], Awaitable[Undo | None]]
"""Puts a fault on a host; returns None where nothing heals it. Fails with ContainerProblem."""
Refusal = Callable[[F, HostSpec], str | None]
"""Returns why a fault with such parameters cannot be on such a host, or None."""


class Refused(FaultProblem):
    """A fault that no container can have. The text names its kind and the reason."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"fault {kind}: not on containers: {reason}")
        self.kind = kind
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a container must have for a fault, beyond what sshd needs.

    The programs are in the target `faults` of `containers/images/host`. A container with SYS_ADMIN must not be confined
    by AppArmor where the engine's machine has that: Docker's profile forbids mounting.
    """

    capabilities: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    """Paths of device files."""

    def __or__(self, other: Requirements) -> Requirements:
        return Requirements(self.capabilities | other.capabilities, self.devices | other.devices)


@dataclass(frozen=True, slots=True)
class FaultImplementation:
    """How containers get a kind of fault."""

    means: str
    """By which means, for people; of a kind that is refused: why no container can have it."""
    apply: Apply[Any] | None
    """Puts a fault of the kind on a host; None: no container can have it."""
    requirements: Requirements
    lost_at_stop: bool
    """Whether a stop of the container heals it: firewall rules, processes and mounts are lost, files are not."""
    from_outside: bool
    """Whether it is done to the host's disk from outside, so that the host need not run."""
    refused_if: Refusal[Any] | None
    """Returns why a fault with such parameters cannot be on such a host, or None."""


IMPLEMENTATIONS: dict[str, FaultImplementation] = {}
"""The implementation of every kind of fault, by the kind."""
ON_MEMORY_DISKS: dict[str, FaultImplementation] = {}
"""The implementations that take their place on hosts with a MemoryDisk, by the kind."""


def implement(
    kind: type[F],
    *,
    means: str,
    capabilities: tuple[str, ...] = (),
    devices: tuple[str, ...] = (),
    lost_at_stop: bool = False,
    from_outside: bool = False,
    refused_if: Refusal[F] | None = None,
    registry: dict[str, FaultImplementation] = IMPLEMENTATIONS,
) -> Callable[[Apply[F]], Apply[F]]:
    """Declare that the decorated function puts a kind of fault on a container."""

    def declare(apply: Apply[F]) -> Apply[F]:
        requirements = Requirements(frozenset(capabilities), frozenset(devices))
        registry[kind.kind] = FaultImplementation(means, apply, requirements, lost_at_stop, from_outside, refused_if)
        return apply

    return declare


def refuse(kind: type[Fault], why: str) -> None:
    """Declare that no container can have a kind of fault."""
    IMPLEMENTATIONS[kind.kind] = FaultImplementation(why, None, Requirements(), False, False, None)
