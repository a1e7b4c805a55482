"""The registry of faults: each kind is declared once, with all of its traits, and read from there by all others.

Scenarios, the lab's API, the recorder and the documents know no kind by name: they read FAULTS and NODE_FAULTS.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from pydantic import ValidationError

from imagestore_sim.faults.base import AnyFault, Effect, Fault, FaultProblem, Layer, Noticed, ProbeAnswer, Traits
from imagestore_sim.faults.node_fault import NodeFault
from imagestore_sim.faults.selection import Meets, When
from imagestore_sim.reasons import Reason
from imagestore_sim.suggestions import meant, unknown
from imagestore_sim.units import shown
from imagestore_sim.validation_errors import names_of, one_line

A = TypeVar("A", bound=AnyFault)
F = TypeVar("F", bound=type[Fault])
N = TypeVar("N", bound=NodeFault)


class Kinds(Mapping[str, type[A]]):
    """Kinds of fault by name: those of its modules, in the order of declaration, then those declared elsewhere.

    The modules are imported when a kind is first looked up, since most labs start without a fault.
    """

    def __init__(self, *modules: str) -> None:
        self._modules = tuple(f"{__package__}.{one}" for one in modules)
        self._declared: dict[str, type[A]] = {}
        self._is_complete = False

    def declare(self, kind: type[A]) -> None:
        """Add a kind."""
        self._declared[kind.kind] = kind
        self._is_complete = False

    def __getitem__(self, name: str) -> type[A]:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> Mapping[str, type[A]]:
        if not self._is_complete:
            for module in self._modules:
                import_module(module)
            in_order = sorted(self._declared.values(), key=self._place)
            self._declared = {kind.kind: kind for kind in in_order}
            self._is_complete = True
        return self._declared

    def _place(self, kind: type[A]) -> int:
        is_ours = kind.__module__ in self._modules
        return self._modules.index(kind.__module__) if is_ours else len(self._modules)


FAULTS: Kinds[Fault] = Kinds("disk", "agent", "network", "session", "ssh")
"""Every kind of fault of a host."""
NODE_FAULTS: Kinds[NodeFault] = Kinds("answer", "connection", "hooks", "identity", "job", "node")
"""Every kind of fault of the management plane."""


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
        kind.kind = kind_name(kind)
        kind.layer = layer
        kind.heals = heals
        kind.traits = traits
        FAULTS.declare(kind)
        return kind

    return declare


def node_fault(layer: Layer, *, heals: str, meets: Meets, example: Mapping[str, Any]) -> Callable[[type[N]], type[N]]:
    """Declare a kind of fault of the management plane; its name is that of its class, in snake case.

    `heals` is a sentence: what is as before when it is healed, and what is not. `meets` says which requests its
    selection counts. `example` are parameters that show a typical use of it.
    """

    def declare(kind: type[N]) -> type[N]:
        kind.kind = kind_name(kind)
        kind.layer = layer
        kind.heals = heals
        kind.meets = meets
        kind.example = example
        NODE_FAULTS.declare(kind)
        return kind

    return declare


def kind_name(kind: type[AnyFault]) -> str:
    """Return the name of a kind: that of its class, in snake case."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def read_fault(kind: str, parameters: Mapping[str, object]) -> Fault:
    """Return the fault of a host of a kind, with these parameters. Raise FaultProblem."""
    return _read(FAULTS, kind, parameters)


def read_node_fault(kind: str, parameters: Mapping[str, object]) -> NodeFault:
    """Return the fault of the management plane of a kind, with these parameters. Raise FaultProblem."""
    return _read(NODE_FAULTS, kind, parameters)


def parse_node_fault(text: str) -> NodeFault:
    """Return the fault of the management plane in a line such as `answer_lost api=Add* first=1 for=1m`.

    After the kind come its parameters and the members of `when`, as NAME=VALUE; quotes are as in a shell. Raise
    FaultProblem.
    """
    try:
        kind, *given = shlex.split(text) or [""]
    except ValueError as error:
        raise FaultProblem(f"{shown(text)}: {str(error).lower()}") from None
    members = names_of(When)
    if kind not in NODE_FAULTS:
        raise _no_such_kind(NODE_FAULTS, kind)
    known = [*members, *(name for name, _, _ in NODE_FAULTS[kind].parameters() if name != "when")]
    parameters: dict[str, object] = {}
    when: dict[str, object] = {}
    for one in given:
        name, separator, value = one.partition("=")
        if not separator:
            raise FaultProblem(f"fault {kind}: expected NAME=VALUE, got {shown(one)}")
        if name not in known:
            raise FaultProblem(f"fault {kind}: {name}: {unknown(name, known)}")
        (when if name in members else parameters)[name] = value
    return read_node_fault(kind, parameters | ({"when": when} if when else {}))


def _read(kinds: Mapping[str, type[A]], kind: str, parameters: Mapping[str, object]) -> A:
    if kind not in kinds:
        raise _no_such_kind(kinds, kind)
    try:
        return kinds[kind].model_validate(dict(parameters))
    except ValidationError as error:
        known = (name for name, _, _ in kinds[kind].parameters())
        raise FaultProblem(f"fault {kind}: {one_line(error, known, 'parameters', kinds[kind], parameters)}") from None


def _no_such_kind(kinds: Mapping[str, type[A]], kind: str) -> FaultProblem:
    known = sorted(kinds)
    return FaultProblem(f"there is no fault {kind!r}; there are {', '.join(known)}{meant(kind, known)}")


def stand_ins(reason: Reason) -> Iterator[type[Fault]]:
    """Yield the kinds that together make a probe fail for `reason`, or for the nearest that faults can cause."""
    return (kind for kind in FAULTS.values() if reason in kind.traits.stands_for)
