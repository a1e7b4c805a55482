"""What a kind of fault is: a class whose fields are its parameters, with the traits that its declaration gives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from imagestore_sim.faults.behaviour import Behaviour
from imagestore_sim.faults.target import FaultTarget, Undo
from imagestore_sim.plain_numbers import PlainNumbers
from imagestore_sim.reasons import Reason
from imagestore_sim.units import Seconds


class Layer(StrEnum):
    """Where a fault sits; each layer is a module: first those of a host, then those of the management plane."""

    NETWORK = "network"
    SSH = "ssh"
    SESSION = "session"
    DISK = "disk"
    AGENT = "agent"

    CONNECTION = "connection"
    ANSWER = "answer"
    JOB = "job"
    IDENTITY = "identity"
    NODE = "node"
    HOOKS = "hooks"


MOST_ON_A_HOST = 1000
"""Faults that a host can have at once: each change of one passes through all of them."""


class FaultProblem(ValueError):
    """A fault that is not possible; the text names the kind and the parameter, and says what is wrong."""


def check_number(faults: Sized, name: str) -> None:
    """Raise FaultProblem if a host of that name, which has these faults, can have no other one beside them."""
    if len(faults) >= MOST_ON_A_HOST:
        raise FaultProblem(f"{name} has {MOST_ON_A_HOST} faults, which is the most at once; heal some")


class Effect(Enum):
    """How long a fault lasts that has no `for`."""

    LASTING = auto()
    """Until it is healed."""
    INSTANT = auto()
    """No longer than it takes to happen: healing it changes nothing."""
    NEW_STATE = auto()
    """It leaves a disk as it is from then on, which is no failure: reports draw it for as long as it changes."""


class ProbeAnswer(Enum):
    """How long a probe of a real host takes while a fault lasts."""

    PROMPT = auto()
    """It is answered, or turned away, at once."""
    DENIED = auto()
    """It is turned away after the delay that PAM makes before it denies a login."""
    SILENT = auto()
    """It waits for an answer that is late or never comes, up to its time-out."""


class Noticed(Enum):
    """When a probe over a connection that is open already meets a fault."""

    AT_ONCE = auto()
    """With its next question, as one that connects does."""
    AT_LOGIN = auto()
    """Not before its next login, or long after one that connects: open connections and sessions live on."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a declaration says of a kind, beside its parameters. `registry.fault` describes each."""

    effect: Effect
    answer: ProbeAnswer
    noticed: Noticed
    causes: frozenset[Reason]
    stands_for: tuple[Reason, ...]
    stands_with: Mapping[str, Any]


class AnyFault(PlainNumbers):
    """What faults of hosts and of the management plane share. The fields of a kind are its parameters."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True, defer_build=True
    )

    kind: ClassVar[str]
    """Its name: that of the class, in snake case."""
    layer: ClassVar[Layer]
    heals: ClassVar[str]
    """One sentence: what is as before when it is healed, and what is not."""

    lasts: Seconds | None = Field(
        None, alias="for", description="how long until it heals by itself; if unset, it does not"
    )

    @classmethod
    def description(cls) -> str:
        """Return what it does, for people: its docstring in one line."""
        return " ".join((cls.__doc__ or "").split())

    @classmethod
    def parameters(cls) -> Iterator[tuple[str, str, str]]:
        """Yield name, default (`required` without one) and description of each parameter, `for` last."""
        for name, field in sorted(cls.model_fields.items(), key=lambda item: item[0] == "lasts"):
            default = "required" if field.is_required() else _default_text(field.default)
            yield field.alias or name, default, field.description or ""

    def values(self) -> dict[str, Any]:
        """Return the parameters that are not as by default, as `read_fault` takes them."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class Fault(AnyFault):
    """What can be wrong with a host; `registry.fault` declares it."""

    traits: ClassVar[Traits]

    def change(self, now: Behaviour) -> None:
        """Change how a simulated host behaves for as long as the fault lasts.

        Called for each fault, in the order in which they came, whenever one comes or goes. Add to what is there, and
        faults compose.
        """

    def begin(self, target: FaultTarget) -> Undo | None:
        """Do to a simulated host what happens once; return what undoes it.

        Raise FaultProblem when the fault is not possible on this host, and OSError.
        """

    @classmethod
    def is_at_path(cls) -> bool:
        """Return whether it is a fault of a path, which has to be given."""
        path = cls.model_fields.get("path")
        return path is not None and path.is_required()


class CuttingFault(Fault):
    """A fault that may have come with a restart, which cut the connections that were open."""

    cut: bool = Field(True, description="whether open connections are cut; if not, their sessions live on")

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        if self.cut:
            target.cut_connections()
        return None


def _default_text(default: object) -> str:
    match default:
        case None | BaseModel():
            return "unset"
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}s"  # the only floats are durations
        case int() if default >= 2**30 and default % 2**30 == 0:
            return f"{default // 2**30} GiB" if default < 2**40 else f"{default // 2**40} TiB"
        case tuple():
            return ", ".join(default) or "none"
        case str() if not default.isprintable():
            return repr(default)
    return str(default)
