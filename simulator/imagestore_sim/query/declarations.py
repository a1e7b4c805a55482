"""What ZStack has and the lab has none of: its inventories can be asked about all the same, and the answer is an empty
list (observed 4). The declarations are data, whose source stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TypedDict

import orjson

DATA = "zstack_inventories.json"


class DeclaredInventory(TypedDict, total=False):
    """An inventory: its Java classes, its fields (`name` or `name:kind`), and what it leads to."""

    entity: str
    fields: str
    expansions: dict[str, str]
    """By its name: the inventory, and the fields of this one and of that one that are equal."""
    aliases: dict[str, str]
    children: dict[str, str]


class DeclaredQuery(TypedDict):
    """A query API: the class of its message, its inventory and its paths."""

    message: str
    inventory: str
    paths: list[str]
    method: str


class Declarations(TypedDict):
    """All that ZStack declares."""

    source: str
    inventories: Mapping[str, DeclaredInventory]
    queries: list[DeclaredQuery]


@cache
def declarations() -> Declarations:
    """ZStack's declarations."""
    read: Declarations = orjson.loads(files("imagestore_sim.query").joinpath(DATA).read_bytes())
    return read
