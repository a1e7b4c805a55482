"""How a fault kind is declared: once. Scenarios, the control API and the documents read the registry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imagestore_sim.faults.behaviour import Behaviour
from imagestore_sim.units import Seconds
from imagestore_sim.validation_errors import one_line

if TYPE_CHECKING:
    from imagestore_sim.hosts.host import SimulatedHost

Undo = Callable[[], None]
FAULTS: dict[str, type[Fault]] = {}
"""Every kind of fault, by its name."""


class Layer(StrEnum):
    """What of a host a fault is in; one module each."""

    NETWORK = "network"
    SSH = "ssh"
    SESSION = "session"
    DISK = "disk"


class FaultProblem(ValueError):
    """A fault that cannot be: the text names the kind and the parameter, and says what is wrong."""


class Fault(BaseModel):
    """What can be wrong with a host. The fields of a kind are its parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True)

    kind: ClassVar[str]
    layer: ClassVar[Layer]
    heals: ClassVar[str]
    """One sentence: what is as before when it is healed, and what is not."""

    lasts: Seconds | None = Field(None, alias="for", description="how long until it heals by itself; for good if unset")

    def change(self, now: Behaviour) -> None:
        """What it makes of a host's behaviour for as long as it lasts."""

    def begin(self, host: SimulatedHost) -> Undo | None:
        """What it does at once; answers what undoes that. Raises FaultProblem when it cannot be on this host."""

    @classmethod
    def description(cls) -> str:
        """What it does, for people: its docstring in one line."""
        return " ".join((cls.__doc__ or "").split())

    @classmethod
    def parameters(cls) -> Iterator[tuple[str, str, str]]:
        """Name, default (`required` without one) and description of each, `for` last."""
        for name, field in sorted(cls.model_fields.items(), key=lambda item: item[0] == "lasts"):
            default = "required" if field.is_required() else _written(field.default)
            yield field.alias or name, default, field.description or ""

    def values(self) -> dict[str, Any]:
        """The parameters, as `read_fault` takes them."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class CuttingFault(Fault):
    """A fault that came with a restart, perhaps."""

    cut: bool = Field(True, description="whether connections that are open are cut; if not, their sessions go on")

    def begin(self, host: SimulatedHost) -> Undo | None:
        if self.cut:
            host.cut_connections()
        return None


F = TypeVar("F", bound=type[Fault])


def fault(layer: Layer, *, heals: str) -> Callable[[F], F]:
    """Declare a kind of fault; it is known by the name of its class, in snake case."""

    def declare(kind: F) -> F:
        kind.kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
        kind.layer = layer
        kind.heals = heals
        FAULTS[kind.kind] = kind
        return kind

    return declare


def read_fault(kind: str, parameters: Mapping[str, object]) -> Fault:
    """The fault that a name and parameters describe; raises FaultProblem."""
    if kind not in FAULTS:
        raise FaultProblem(f"there is no fault {kind!r}; there are {', '.join(sorted(FAULTS))}")
    try:
        return FAULTS[kind].model_validate(dict(parameters))
    except ValidationError as error:
        known = (name for name, _, _ in FAULTS[kind].parameters())
        raise FaultProblem(f"fault {kind}: {one_line(error, known, 'parameters')}") from None


def _written(default: object) -> str:
    match default:
        case None:
            return "unset"
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}s"  # the only ones are durations
        case int() if default >= 2**30 and default % 2**30 == 0:
            return f"{default // 2**30} GiB" if default < 2**40 else f"{default // 2**40} TiB"
        case tuple():
            return ", ".join(default) or "none"
        case str() if not default.isprintable():
            return repr(default)
    return str(default)
