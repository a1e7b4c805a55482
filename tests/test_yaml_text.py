"""A large text of YAML has one meaning, whether its nodes are composed or its events are read alone."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from imagestore_sim.bootstrap.reader import _FileLoader
from imagestore_sim.scenario.format.reader import Loader
from imagestore_sim.yaml_text import (
    MOST_LEVELS,
    BoundedLoader,
    read_large_yaml,
    read_yaml,
    write_compact_yaml,
    write_yaml,
)
from rows import rows

LOADERS = [_FileLoader, Loader]
TEXTS = [
    "",
    "---\n",
    "# a comment alone\n",
    "a: b\n---\na: c\n",
    "a: &anchor {b: c}\nd: *anchor\n",
    "a: &a\n  b: *a\n",
    "base: &base {a: b}\nderived:\n  <<: *base\n",
    "<<: {a: b}\n",
    "a: !env HOME\n",
    "a: !!str 1\nb: !!int '1'\nc: ! 1\n",
    "{a: 1, a: 2}\n",
    "? [a, b]\n: c\n",
    "? {a: b}\n: c\n",
    "[1, 1.0, 0x10, 1e5, ~, null, true, True, yes, 2024-01-01, =, .inf, -0]\n",
    "'1': \"true\"\n1: 2\ntrue: 3\nnull: 4\n",
    "text: |\n  one\n  two\nfolded: >-\n  three\n  four\n",
    "a:\n\t- b\n",
    "a: [b\n",
    "a: b: c\n",
    "[" * (MOST_LEVELS - 1) + "]" * (MOST_LEVELS - 1),
    "[" * MOST_LEVELS + "]" * MOST_LEVELS,
    "[" * (MOST_LEVELS + 1) + "]" * (MOST_LEVELS + 1),
    "- " * (MOST_LEVELS + 1) + "a\n",
]


def outcome(text: str, loader: type[BoundedLoader], *, large: bool) -> Any:
    """Return the value of a text with its type and the lines of its nodes, or the text of the error."""
    try:
        if large:
            compose, value = read_large_yaml(text, loader)
            return repr(value), lines(compose())
        tree, value = read_yaml(text, loader)
        return repr(value), lines(tree)
    except yaml.YAMLError as error:
        return str(error)


def lines(node: yaml.Node | None) -> list[int]:
    """Return the lines on which the nodes below a node begin."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return [] if node is None else [node.start_mark.line]
    below = node.value if isinstance(node, yaml.SequenceNode) else [one for pair in node.value for one in pair]
    return [node.start_mark.line, *(line for one in below if one is not node for line in lines(one))]


@pytest.mark.parametrize("loader", LOADERS)
def test_a_text_has_the_same_value_or_error_when_it_is_read_as_a_large_one(loader: type[BoundedLoader]) -> None:
    for text in TEXTS:
        if "&a\n" not in text:  # its tree has no end
            assert outcome(text, loader, large=True) == outcome(text, loader, large=False), text


@pytest.mark.thorough
def test_a_large_text_is_bounded_in_values() -> None:
    text = "[" + "a," * 500_000 + "]"
    assert "more than 500000 values" in outcome(text, _FileLoader, large=True)


ODD = ["", "a: b", "- x", "#", "'", '"', "a\nb\n", " a ", "\t", "\x00", "\x1b", "\x85", "\u2028", "\ufeff", "\ud83d"]
ODD += ["镜像", "😀", "yes", "null", "~", "1", "1.5", "2024-01-01", "=", "<<", "!t", "&a", "*a", "%d", "{a}", "[b]"]
ODD += ["x" * 1000, "a " * 500]


@rows("text", ODD)
def test_what_is_written_is_read_as_it_was(text: str) -> None:
    content = {"name": text, "names": [text, {"name": text}], "many": [{"name": text, "n": n} for n in range(201)]}
    assert yaml.safe_load(write_yaml(content)) == content
    assert yaml.safe_load(write_compact_yaml(content)) == content


@rows("count", [0, 1, 100, 101, 250])
def test_a_long_list_is_written_as_a_short_one(count: int) -> None:
    content = {"first": [{"name": f"n{n}", "tags": [{"tag": "t"}], "no": None} for n in range(count)], "last": {"a": 1}}
    assert write_yaml(content) == yaml.safe_dump(content, sort_keys=False)


def test_nothing_is_written_as_an_empty_mapping() -> None:
    assert write_yaml({}) == "{}\n"
