"""The parameters of a query: conditions, and how its answer is sorted, cut and counted (query-semantics 1)."""

from __future__ import annotations

from collections.abc import Iterator

from imagestore_sim.openapi.schemas import Json
from imagestore_sim.query import Inventory
from imagestore_sim.query.conditions import DEFAULT_LIMIT, OPERATOR_TOKENS, WITHOUT_VALUE, Operator
from imagestore_sim.query.inventories import TAGS, Kind

REFERENCE = "#/components/parameters/"
MEANINGS = {
    Operator.EQUAL: "equals, whatever the case of letters",
    Operator.NOT_EQUAL: "does not equal",
    Operator.GREATER: "is greater than",
    Operator.LESS: "is less than",
    Operator.AT_LEAST: "is at least",
    Operator.AT_MOST: "is at most",
    Operator.IN: "is one of the values, which commas separate",
    Operator.NOT_IN: "is none of the values, which commas separate",
    Operator.LIKE: "is like the pattern: % stands for any text, _ for one character",
    Operator.NOT_LIKE: "is not like the pattern",
    Operator.IS_NULL: "has no value",
    Operator.NOT_NULL: "has a value",
}
CONDITION = "^.+(" + "|".join(token.replace("?", r"\?") for token, _ in OPERATOR_TOKENS) + ").*$"
SHARED: dict[str, Json] = {
    "limit": {
        "description": "How many rows to return at most.",
        "schema": {"type": "integer", "format": "int32", "default": DEFAULT_LIMIT},
    },
    "start": {
        "description": "The first row to return; the first of all is 0.",
        "schema": {"type": "integer", "format": "int32"},
    },
    "count": {
        "description": "Whether to return `total`, the number of rows, in place of `inventories`.",
        "schema": {"type": "boolean", "default": False},
    },
    "replyWithCount": {
        "description": "Whether to return `total`, the number of rows, beside `inventories`.",
        "schema": {"type": "boolean", "default": False},
    },
    "sort": {
        "description": "The field to sort by: `+name` or `name` ascending, `-name` descending.",
        "schema": {"type": "string"},
    },
    "fields": {
        "description": "The fields that rows have, which commas separate; all by default.",
        "schema": {"type": "string"},
    },
    "filterName": {
        "description": "The name of a filter; the lab has none.",
        "schema": {"type": "string"},
    },
}


def operators() -> list[Json]:
    """Return the twelve operators of conditions, in the order in which a condition is searched for them."""
    return [
        {"token": token, "meaning": MEANINGS[operator], "takesValue": operator not in WITHOUT_VALUE}
        for token, operator in OPERATOR_TOKENS
    ]


def shared_parameters() -> dict[str, Json]:
    """Return the parameters that all queries have alike, by the name of their component."""
    return {f"query.{name}": {"name": name, "in": "query", **one} for name, one in SHARED.items()}


def query_parameters(inventory: Inventory, example: str | None) -> Iterator[Json]:
    """Yield the parameters of a query of an inventory."""
    tokens = ", ".join(f"`{token}`" for token, _ in OPERATOR_TOKENS)
    names = ", ".join(f"`{one['name']}`" for one in queried_fields(inventory))
    condition: Json = {
        "name": "q",
        "in": "query",
        "style": "form",
        "explode": True,
        "description": f"Conditions, each a field, an operator and a value; a row must meet all. Fields: {names};"
        f" and those of related inventories, such as `zone.name`. Operators: {tokens}.",
        "schema": {"type": "array", "items": {"type": "string", "pattern": CONDITION}},
    }
    if example is not None:
        condition["example"] = [example]
    yield condition
    yield from ({"$ref": f"{REFERENCE}query.{name}"} for name in SHARED)


def describe(inventory: Inventory) -> Json:
    """Return what a form for conditions needs to know of an inventory: its fields, and the paths to others."""
    return {
        "inventory": inventory.name,
        "fields": list(queried_fields(inventory)),
        "paths": {
            **{name: one.inventory for name, one in inventory.expansions.items()},
            **{name: ".".join(path) for name, path in inventory.aliases.items()},
        },
    }


def queried_fields(inventory: Inventory) -> Iterator[Json]:
    """Yield the fields that conditions may name."""
    for field in inventory.fields:
        if not field.shown:
            yield {"name": field.name, "kind": field.kind.value}
    for collection in inventory.collections:
        yield {"name": collection.name, "kind": Kind.UUID.value, "collection": True}
    if inventory.key == "uuid":
        yield from ({"name": name, "kind": Kind.TEXT.value, "collection": True} for name in TAGS)
