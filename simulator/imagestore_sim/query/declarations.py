"""The inventories and query APIs that ZStack declares, as data.

A query of an inventory that is not emulated is valid, and its answer is an empty list (observed 4). The data file names
its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TypedDict

import orjson

DATA = "zstack_inventories.json"


class DeclaredInventory(TypedDict, total=False):
    """An inventory: its Java class, its fields (`name` or `name:kind`, separated by spaces) and its expansions."""

    entity: str
    fields: str
    expansions: dict[str, str]
    """By name: the target inventory, the field here and the field there that are equal, separated by spaces."""
    aliases: dict[str, str]
    children: dict[str, str]


class DeclaredQuery(TypedDict):
    """A query API: the class of its message, its inventory and its paths below the API's root."""

    message: str
    inventory: str
    paths: list[str]
    method: str


class Declarations(TypedDict):
    """The content of the data file."""

    source: str
    inventories: Mapping[str, DeclaredInventory]
    queries: list[DeclaredQuery]


@cache
def declarations() -> Declarations:
    """Return ZStack's declarations, read once."""
    read: Declarations = orjson.loads(files("imagestore_sim.query").joinpath(DATA).read_bytes())
    return read
