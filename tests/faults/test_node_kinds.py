"""The kinds of fault of the management plane: their declarations, their parameters, and which requests they select."""

from __future__ import annotations

import ast
from pathlib import Path
from random import Random
from typing import Any

import pytest

import imagestore_sim
from imagestore_sim.faults import NODE_FAULTS, FaultProblem, Layer, Meets, NodeFault, Subject, When, node_fault
from imagestore_sim.faults.registry import parse_node_fault, read_node_fault
from imagestore_sim.faults.selection import Selector
from rows import rows

PACKAGE = Path(imagestore_sim.__file__).parent
DECLARATION: dict[str, Any] = {"heals": "It works again.", "meets": Meets.REQUEST, "example": {}}
ADD = Subject(
    method="POST",
    path="/zstack/v1/backup-storage/image-store?x=1",
    client="10.0.0.7",
    user_agent="okhttp/4.9.1",
    api="APIAddImageStoreBackupStorageMsg",
    account=("36c27e8ff05c4780bf6d2fa65700f22e", "admin"),
    storage_statuses=("Connected", "Disconnected"),
)


@rows("trait", DECLARATION)
def test_a_declaration_that_leaves_a_trait_out_is_an_error(trait: str) -> None:
    with pytest.raises(TypeError, match=trait):
        node_fault(Layer.ANSWER, **{name: value for name, value in DECLARATION.items() if name != trait})


@rows("kind", NODE_FAULTS.values(), ids=lambda kind: kind.kind)
def test_a_kind_is_declared_with_all_that_others_read(kind: type[NodeFault]) -> None:
    assert kind.description().endswith(".")
    assert kind.heals.endswith(".")
    assert [name for name, _, text in kind.parameters() if not text] == []
    acts = ("before", "after", "post")
    assert any(getattr(kind, name) is not getattr(NodeFault, name) for name in acts)
    fault = read_node_fault(kind.kind, kind.example)
    assert read_node_fault(kind.kind, fault.values()) == fault


def kinds_in(tree: ast.AST) -> set[str]:
    """Return the kinds whose names are texts of a module; a name that is another word as well does not count."""
    others = {"latency", "reset", "restart", "status"}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return texts & (NODE_FAULTS.keys() - others)


def test_no_module_outside_of_the_faults_names_a_kind() -> None:
    named = {
        str(file.relative_to(PACKAGE)): found
        for file in PACKAGE.rglob("*.py")
        if file.parent.name != "faults"
        and (text := file.read_text())
        and any(f'"{kind}"' in text for kind in NODE_FAULTS)  # to parse all takes a second
        and (found := kinds_in(ast.parse(text)))
    }
    assert named == {}


@rows(
    ("parameters", "complaint"),
    [
        ({"point": "between"}, "fault answer_lost: point: expected before or after"),
        ({"delay": 1}, "fault answer_lost: delay: is unknown; there are when, count, point, how, for"),
        ({"count": 0}, "fault answer_lost: count: expected 1 or more"),
        ({"for": "soon"}, "fault answer_lost: for: 'soon' is no duration"),
        (
            {"when": {"apo": "Add*"}},
            r"fault answer_lost: when\.apo: is unknown; there are api, path, method, account, client, storageStatus,"
            r" nth, first, every, probability \(did you mean api\?\)$",
        ),
        ({"when": {"nth": 1, "every": 2}}, "fault answer_lost: when: has nth and every; at most one of nth, first, "),
        ({"when": {"probability": 2}}, "fault answer_lost: when.probability: expected 1.* or less"),
        ({"when": {"first": 0}}, "fault answer_lost: when.first: expected 1 or more"),
        ({"when": {"api": ""}}, "fault answer_lost: when.api: expected a text that is not empty"),
    ],
)
def test_a_mistake_names_the_kind_and_the_parameter(parameters: dict[str, object], complaint: str) -> None:
    with pytest.raises(FaultProblem, match=f"^{complaint}"):
        read_node_fault("answer_lost", parameters)


def test_a_kind_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(FaultProblem, match=r"^there is no fault 'fill'; there are answer_lost, .*wrong_location"):
        read_node_fault("fill", {})


@rows(
    ("when", "expected"),
    [
        ({}, True),
        ({"api": "APIAddImageStoreBackupStorageMsg"}, True),
        ({"api": "AddImageStoreBackupStorage"}, True),
        ({"api": "Add*"}, True),
        ({"api": "*Zone*"}, False),
        ({"path": "/v1/backup-storage/image-store"}, True),
        ({"path": "/zstack/v1/backup-storage/*x=1"}, True),
        ({"path": "/v1/backup-storage"}, False),
        ({"method": "P*"}, True),
        ({"method": "post"}, True),
        ({"method": "GET"}, False),
        ({"account": "adm*"}, True),
        ({"account": "36c27e8ff05c4780bf6d2fa65700f22e"}, True),
        ({"account": "bob"}, False),
        ({"client": "10.0.0.*"}, True),
        ({"client": "okhttp/*"}, True),
        ({"client": "curl*"}, False),
        ({"storageStatus": "Disconnected"}, True),
        ({"storageStatus": "Connecting"}, False),
        ({"api": "Add*", "method": "GET"}, False),
    ],
)
def test_a_request_has_to_match_every_glob(when: dict[str, object], expected: bool) -> None:
    assert When.model_validate(when).matches(ADD) is expected


@rows(
    ("choice", "taken"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"nth": 3}, [3]),
        ({"first": 2}, [1, 2]),
        ({"every": 2}, [2, 4, 6]),
        ({"every": 1}, [1, 2, 3, 4, 5, 6]),
        ({"probability": 0}, []),
        ({"probability": 1}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_a_choice_counts_the_requests_that_match(choice: dict[str, object], taken: list[int]) -> None:
    other = Subject(method="GET", path="/v1/zones", client="", user_agent="")
    selector = Selector(When.model_validate({"api": "Add*", **choice}), Random(0))
    found = []
    for number in range(1, 7):
        assert not selector.takes(other)
        if selector.takes(ADD):
            found.append(number)
    assert (found, selector.matches) == (taken, 6)


def test_a_probability_takes_the_same_requests_in_each_run() -> None:
    def taken() -> list[bool]:
        selector = Selector(When(probability=0.3), Random("7 answer_lost-1 when"))
        return [selector.takes(ADD) for _ in range(200)]

    first = taken()
    assert taken() == first
    assert 40 <= sum(first) <= 80


def test_a_line_gives_a_fault_with_its_parameters_and_requests() -> None:
    fault = parse_node_fault("answer_lost how=silence api='Add*' first=1 for=1m")
    assert fault.values() == {"how": "silence", "when": {"api": "Add*", "first": 1}, "for": 60}
    assert parse_node_fault("no_accept").values() == {}


@rows(
    ("line", "complaint"),
    [
        ("", "there is no fault ''; there are answer_lost"),
        ("latency 5s", "fault latency: expected NAME=VALUE, got '5s'"),
        ("latency delay='5s", '"latency delay=\'5s": no closing quotation'),
        ("latency delay=soon", "fault latency: delay: 'soon' is no duration"),
        ("latency nth=x", "fault latency: when.nth: expected a whole number"),
        (
            "answer_lost apo=Add* first=1",
            r"fault answer_lost: apo: is unknown; there are api, path, method, account, client, storageStatus,"
            r" nth, first, every, probability, count, point, how, for \(did you mean api\?\)$",
        ),
        ("answer_lost hwo=close", r"fault answer_lost: hwo: is unknown; there are .*\(did you mean how\?\)$"),
        ("answer_lost when=x", "fault answer_lost: when: is unknown; there are api, "),
        ("answer_lots", r"there is no fault 'answer_lots'; there are .*\(did you mean answer_lost\?\)$"),
    ],
)
def test_a_line_that_gives_none_says_why(line: str, complaint: str) -> None:
    with pytest.raises(FaultProblem, match=f"^{complaint}"):
        parse_node_fault(line)
