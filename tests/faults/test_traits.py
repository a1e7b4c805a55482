"""Traits of fault kinds: each declaration gives all of them, and nothing else in the package lists kinds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import imagestore_sim
from imagestore_sim.containers.faults import IMPLEMENTATIONS
from imagestore_sim.faults import FAULTS, Effect, Fault, Layer, Noticed, ProbeAnswer, fault, read_fault, stand_ins
from imagestore_sim.reasons import Reason
from rows import rows

PACKAGE = Path(imagestore_sim.__file__).parent
NEAREST = {Reason.DNS, Reason.HOST_KEY_CHANGED, Reason.ERROR}
"""Reasons that no fault of a host causes by itself: a recording takes the nearest kind."""
DECLARATION: dict[str, Any] = {
    "heals": "It works again.",
    "effect": Effect.LASTING,
    "answer": ProbeAnswer.PROMPT,
    "noticed": Noticed.AT_ONCE,
    "causes": (),
}


@rows("trait", DECLARATION)
def test_a_declaration_that_leaves_a_trait_out_is_an_error(trait: str) -> None:
    with pytest.raises(TypeError, match=trait):
        fault(Layer.DISK, **{name: value for name, value in DECLARATION.items() if name != trait})


def test_every_kind_has_means_on_containers_or_a_reason_why_none_can_have_it() -> None:
    assert IMPLEMENTATIONS.keys() == FAULTS.keys()
    assert all(one.means for one in IMPLEMENTATIONS.values())


@rows("reason", Reason)
def test_every_reason_has_kinds_that_stand_for_it_in_a_recording(reason: Reason) -> None:
    kinds = list(stand_ins(reason))
    assert kinds
    for kind in kinds:
        assert reason in kind.traits.causes | NEAREST
        where = {"path": "/zs"} if kind.is_at_path() else {}
        assert read_fault(kind.kind, where | dict(kind.traits.stands_with)).kind == kind.kind


@rows("kind", FAULTS.values(), ids=lambda kind: kind.kind)
def test_a_kind_does_something_to_a_simulated_host(kind: type[Fault]) -> None:
    assert kind.change is not Fault.change or kind.begin is not Fault.begin


def collections_of_kinds(tree: ast.AST) -> Iterator[list[str]]:
    """Yield the kinds in each literal that names at least two of them."""
    for node in ast.walk(tree):
        elements: list[Any] = []
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            elements = node.elts
        elif isinstance(node, ast.Dict):
            elements = [*node.keys, *node.values]
        values = [one.value for one in elements if isinstance(one, ast.Constant)]
        found = [one for one in values if isinstance(one, str) and one in FAULTS]
        if len(found) > 1:
            yield found


def test_no_module_outside_of_the_faults_lists_kinds() -> None:
    lists = {
        str(file.relative_to(PACKAGE)): found
        for file in PACKAGE.rglob("*.py")
        if file.parent.name != "faults"
        and (text := file.read_text())
        and sum(f'"{kind}"' in text for kind in FAULTS) > 1  # to parse all takes a second
        and (found := list(collections_of_kinds(ast.parse(text))))
    }
    assert lists == {}
