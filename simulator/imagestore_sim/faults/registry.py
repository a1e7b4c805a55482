"""The registry of faults: each kind is declared once, with all of its traits, and read from there by all others.

Scenarios, the lab's API, the recorder and the documents know no kind by name: they read FAULTS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from imagestore_sim.faults.base import Effect, Fault, FaultProblem, Layer, Noticed, ProbeAnswer, Traits
from imagestore_sim.reasons import Reason
from imagestore_sim.validation_errors import one_line

FAULTS: dict[str, type[Fault]] = {}
"""Every kind of fault, by its name, in the order of declaration."""

F = TypeVar("F", bound=type[Fault])


def fault(
    layer: Layer,
    *,
    heals: str,
    effect: Effect,
    answer: ProbeAnswer,
    noticed: Noticed,
    causes: Collection[Reason],
    stands_for: Collection[Reason] = (),
    stands_with: Mapping[str, Any] | None = None,
) -> Callable[[F], F]:
    """Declare a kind of fault; its name is that of its class, in snake case.

    `heals` is a sentence: what is as before when it is healed, and what is not. `causes` are the reasons for which a
    ping or a reconnect may fail while it lasts, by itself or beside others. `stands_for` are those reasons that a
    recording turns into this kind, with the parameters `stands_with`: every reason has a kind, or several that cause it
    together. The other traits are described in `base`.
    """
    traits = Traits(effect, answer, noticed, frozenset(causes), tuple(stands_for), stands_with or {})

    def declare(kind: F) -> F:
        kind.kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
        kind.layer = layer
        kind.heals = heals
        kind.traits = traits
        FAULTS[kind.kind] = kind
        return kind

    return declare


def read_fault(kind: str, parameters: Mapping[str, object]) -> Fault:
    """Return the fault of a kind with these parameters. Raise FaultProblem."""
    if kind not in FAULTS:
        raise FaultProblem(f"there is no fault {kind!r}; there are {', '.join(sorted(FAULTS))}")
    try:
        return FAULTS[kind].model_validate(dict(parameters))
    except ValidationError as error:
        known = (name for name, _, _ in FAULTS[kind].parameters())
        raise FaultProblem(f"fault {kind}: {one_line(error, known, 'parameters')}") from None


def stand_ins(reason: Reason) -> Iterator[type[Fault]]:
    """Yield the kinds that together make a probe fail for `reason`, or for the nearest that faults can cause."""
    return (kind for kind in FAULTS.values() if reason in kind.traits.stands_for)
