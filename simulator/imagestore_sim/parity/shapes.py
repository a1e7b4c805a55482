"""Compare answers about different records by their members and the types of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from imagestore_sim.query import inventories

LISTS = ("inventories",)


def shape_differences(ours: object, theirs: object) -> list[str]:
    """Return a line for each way in which a node's answer has another form than `ours`, which may have no rows."""
    return sorted(set(_differences(ours, theirs, "")))


def _differences(ours: object, theirs: object, place: str) -> Iterator[str]:
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        for name, value in theirs.items():
            if name in LISTS and isinstance(value, list):
                yield from _of_rows(value, theirs.get("schema"))
            elif name not in ours and name != "schema":
                yield f"{place}{name} is not known"
            elif name != "schema":
                yield from _differences(ours[name], value, f"{place}{name}.")
        yield from (f"{place}{name} is missing" for name in ours if name not in theirs)
    elif _type(ours) != _type(theirs):
        yield f"{place.rstrip('.') or 'the answer'} is {_type(theirs)}, not {_type(ours)}"


def _of_rows(rows: list[object], schema: object) -> Iterator[str]:
    classes = schema if isinstance(schema, Mapping) else {}
    for index, row in enumerate(rows):
        java_class = classes.get(f"inventories[{index}]")
        members = _members().get(str(java_class))
        if members is None:
            yield f"rows of {java_class} are not known"
        elif isinstance(row, Mapping):
            yield from (f"{java_class} has {name}, which is not known" for name in row if name not in members)


@cache
def _members() -> Mapping[str, frozenset[str]]:
    """Return the members that rows of each Java class may have."""
    known = [one for one in vars(inventories).values() if isinstance(one, inventories.Inventory)]
    for inventory in known:
        known += [child for child in inventory.children.values() if child not in known]
    return {
        one.java_class: frozenset([each.name for each in one.fields] + [each.name for each in one.collections])
        for one in known
    }


def _type(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
