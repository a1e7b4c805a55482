"""The registry of faults: what each declaration says, how a fault is read, and that the page shows all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imagestore_sim.faults import FAULTS, NODE_FAULTS, Fault, FaultProblem, NodeFault, read_fault
from imagestore_sim.lab_api.host_shapes import kind_shape, schema_of
from rows import rows

DOCUMENTS = Path(__file__).parents[2] / "docs"


@rows("kind", FAULTS)
def test_a_kind_says_what_it_does_how_it_heals_and_what_its_parameters_mean(kind: str) -> None:
    fault = FAULTS[kind]
    assert re.fullmatch("[a-z]+(_[a-z]+)*", kind)
    assert fault.description().endswith(".")
    assert fault.heals.endswith(".")
    assert [name for name, _, text in fault.parameters() if not text] == []
    assert fault.model_json_schema()


@rows(
    ("kind", "parameters", "complaint"),
    [
        ("fil", {}, r"there is no fault 'fil'; there are account_locked, .*zero_capacity"),
        ("fill", {"to": "120%"}, "fault fill: to: '120%' is more than 100%"),
        ("fill", {"to": "much"}, "fault fill: to: 'much' is neither a share nor a size, such as 55% or 300 GiB"),
        ("fill", {"over": "soon"}, "fault fill: over: 'soon' is no duration, such as 90s, 2m30s or 1.5h"),
        ("fill", {"over": -1}, "fault fill: over: -1 is no duration: it cannot be less than nothing, nor more than"),
        ("fill", {"too": "5%"}, r"fault fill: too: is unknown; there are path, to, over, for \(did you mean to\?\)"),
        ("fill", {"path": "zs"}, "fault fill: path: 'zs' is no absolute path, such as /Cloud_bs"),
        ("resize", {}, "fault resize: size: is required"),
        ("resize", {"size": "big"}, "fault resize: size: 'big' is no size, such as 1 TiB, 512M or 1000000"),
        ("max_startups", {"how": "softly"}, "fault max_startups: how: expected line, close or reset"),
        ("max_sessions", {"sessions": -1}, "fault max_sessions: sessions: expected 0 or more"),
        ("rate", {"rate": 0}, "fault rate: rate: expected 1 or more"),
    ],
)
def test_a_mistake_names_the_kind_and_the_parameter(kind: str, parameters: dict[str, object], complaint: str) -> None:
    with pytest.raises(FaultProblem, match=f"^{complaint}"):
        read_fault(kind, parameters)


def test_a_fault_is_read_from_what_it_writes_of_itself() -> None:
    fault = read_fault("fill", {"to": "55%", "over": "2m30s", "for": "1h"})
    assert fault.values() == {"to": "55%", "over": 150.0, "for": 3600.0}
    assert read_fault(fault.kind, fault.values()) == fault


@rows("kind", [*FAULTS.values(), *NODE_FAULTS.values()], ids=lambda kind: f"{kind.layer} {kind.kind}")
def test_the_schema_of_a_kind_has_all_that_a_form_needs(kind: type[Fault] | type[NodeFault]) -> None:
    schema = schema_of(kind)
    assert schema["description"] == kind.description()
    for name, parameter in {
        **schema["properties"],
        **schema["properties"].get("when", {}).get("properties", {}),
    }.items():
        variants = parameter.get("anyOf", [parameter])
        assert parameter["description"], name
        assert "default" in parameter or name in schema["required"], name
        assert all("type" in one for one in variants), name
        for one in variants:
            chosen = "enum" in one or one["type"] in ("boolean", "object", "null")
            assert chosen or "examples" in one or "examples" in parameter, name
            measured = isinstance(one["type"], list)
            assert not measured or one["x-unit"] in ("seconds", "bytes", "bytes/s", "bytes or %"), name


@rows("kind", FAULTS.values(), ids=lambda kind: kind.kind)
def test_the_example_of_a_kind_of_a_host_is_a_fault(kind: type[Fault]) -> None:
    example = kind_shape(kind, None).example
    parameters = {name: value for name, value in example.items() if name != "kind"}
    assert read_fault(str(example["kind"]), parameters).lasts == 60
