"""Load the 711 options of ZStack's global configuration, as a running ZStack 5.2.1 listed them.

`zstack_global_config.json` has their numbers, defaults and descriptions from that listing; types and rules are from
ZStack's source. `declared` says where ZStack declares an option: `nowhere` means in no class, so only the type is
checked, and clients that ask for its limits get no answer; `without rules` means in a class that gives no limits.
`binds` has the types of resources for which the option may have a value of its own (@BindResourceConfig, 5.2.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import orjson

from imagestore_sim.database.global_config import ConfigOption
from imagestore_sim.database.global_config_rules import (
    Declaration,
    NullPointer,
    check,
    check_type,
    limits,
    size_in_bytes,
)

FILE = Path(__file__).with_name("zstack_global_config.json")
TIMEOUT_CATEGORIES = ("apiTimeout", "configurableTimeout")
NOWHERE, WITHOUT_RULES = "nowhere", "without rules"
KEPT_TEXTS = 4
"""Values of an option that are kept converted: they are read at every request."""
T = TypeVar("T")


@cache
def zstack_options() -> Mapping[tuple[str, str], ConfigOption[str]]:
    """Return every option by (category, name), with values of type str."""
    options = (_option(row) for row in orjson.loads(FILE.read_bytes()))
    return MappingProxyType({(one.category, one.name): one for one in options})


def integer(category: str, name: str) -> ConfigOption[int]:
    """Return an option whose value is a whole number."""
    return _read_as(category, name, int)


def boolean(category: str, name: str) -> ConfigOption[bool]:
    """Return an option whose value is `true` or `false`, in any case."""
    return _read_as(category, name, lambda text: text.lower() == "true")


def size(category: str, name: str) -> ConfigOption[int]:
    """Return an option whose value is a size, in bytes."""
    return _read_as(category, name, lambda text: size_in_bytes(text) or 0)


def _read_as(category: str, name: str, convert: Callable[[str], T]) -> ConfigOption[T]:
    option = zstack_options()[category, name]

    @lru_cache(maxsize=KEPT_TEXTS)
    def checked(text: str) -> T:
        option.read(option, text)
        return convert(text)

    def read(this: ConfigOption[T], text: str) -> T:
        return checked(text)

    return ConfigOption(
        category, name, option.default, option.description, read, option.id, option.limits, binds=option.binds
    )


def _option(row: Mapping[str, Any]) -> ConfigOption[str]:
    category, name, where = row["category"], row["name"], row.get("declared", "")
    declared = _declared(row)
    validate = check_type if where else check

    def read(this: ConfigOption[str], text: str) -> str:
        validate(declared, text)
        return text

    def option_limits() -> Mapping[str, object] | None:
        if where == WITHOUT_RULES:
            raise NullPointer
        return None if where == NOWHERE else limits(declared)

    binds = tuple(row.get("binds", ()))
    described = f"timeout for message class {name}" if category in TIMEOUT_CATEGORIES else row["description"]
    return ConfigOption(category, name, row["default"], described, read, row["id"], option_limits, binds=binds)


def _declared(row: Mapping[str, Any]) -> Declaration:
    between = row.get("range")
    return Declaration(
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
