"""The options of ZStack's global configuration: 711 of them, as a running ZStack 5.2.1 listed them.

`zstack_options.json` has their numbers, defaults and descriptions from that listing; types and rules are from ZStack's
source. An option's `declared` is `nowhere` if no class of ZStack's declares it: then nothing but its type is checked,
and clients that ask what it takes get no answer; `without rules` if a class declares it and says no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import orjson

from imagestore_sim.database.configuration import Option
from imagestore_sim.database.option_rules import Declared, NullPointer, check, check_type, limits, size_in_bytes

FILE = Path(__file__).with_name("zstack_options.json")
TIMEOUT_CATEGORIES = ("apiTimeout", "configurableTimeout")
NOWHERE, WITHOUT_RULES = "nowhere", "without rules"
T = TypeVar("T")


@cache
def zstack_options() -> Mapping[tuple[str, str], Option[str]]:
    """Return every option by category and name; their values are read as text."""
    options = (_option(row) for row in orjson.loads(FILE.read_bytes()))
    return MappingProxyType({(one.category, one.name): one for one in options})


def integer(category: str, name: str) -> Option[int]:
    """Return an option whose value is a whole number."""
    return _read_as(category, name, int)


def boolean(category: str, name: str) -> Option[bool]:
    """Return an option whose value is `true` or `false`, in any case."""
    return _read_as(category, name, lambda text: text.lower() == "true")


def size(category: str, name: str) -> Option[int]:
    """Return an option whose value is a size, in bytes."""
    return _read_as(category, name, lambda text: size_in_bytes(text) or 0)


def _read_as(category: str, name: str, convert: Callable[[str], T]) -> Option[T]:
    option = zstack_options()[category, name]

    def read(this: Option[T], text: str) -> T:
        option.read(option, text)
        return convert(text)

    return Option(category, name, option.default, option.description, read, option.id, option.limits)


def _option(row: Mapping[str, Any]) -> Option[str]:
    category, name, where = row["category"], row["name"], row.get("declared", "")
    declared = _declared(row)
    look = check_type if where else check

    def read(this: Option[str], text: str) -> str:
        look(declared, text)
        return text

    def found() -> Mapping[str, object] | None:
        if where == WITHOUT_RULES:
            raise NullPointer
        return None if where == NOWHERE else limits(declared)

    described = f"timeout for message class {name}" if category in TIMEOUT_CATEGORIES else row["description"]
    return Option(category, name, row["default"], described, read, row["id"], found)


def _declared(row: Mapping[str, Any]) -> Declared:
    between = row.get("range")
    return Declared(
        row["category"],
        row["name"],
        row.get("type", ""),
        row.get("least"),
        row.get("most"),
        None if between is None else (between[0], between[1]),
        tuple(row.get("values", ())),
        row.get("empty", False),
        row.get("rule", ""),
    )
