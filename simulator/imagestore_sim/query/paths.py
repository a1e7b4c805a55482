"""Resolve the name of a condition to a field, a collection or a tag, over any expansions (query-semantics 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from imagestore_sim.query.errors import cloud_runtime_error, nesting_error
from imagestore_sim.query.inventories import INVENTORIES, TAGS, Expansion, Inventory, Kind
from imagestore_sim.query.names import LONGEST_KEPT

MOST_STEPS = 60
"""The limit of nested queries, of which each step is one: MariaDB's is 63, with the last condition's own."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The expansions from one inventory to another, and a name of the latter."""

    steps: tuple[Expansion, ...]
    inventory: Inventory
    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """Resolved steps; the inventory is None if one on the way is not emulated, so that no row can match."""

    steps: tuple[Expansion, ...]
    inventory: Inventory | None
    name: str
    kind: Kind = Kind.TEXT


def has_field(inventory: Inventory, name: str) -> bool:
    """Return whether ZStack knows the name in an inventory, as a field, list, collection or tag."""
    return name in TAGS or bool(inventory.field(name) or inventory.collection(name)) or name in inventory.lists


def resolve(inventory: Inventory, name: str) -> Path:
    """Resolve a dotted name. Raise QueryError with ZStack's text for an unknown one (query-semantics 4.6)."""
    return _resolve_kept(inventory, name) if len(name) <= LONGEST_KEPT else _resolve(inventory, name)


def _resolve(inventory: Inventory, name: str) -> Path:
    found = steps_of(inventory, name)
    there = found.inventory
    passed = (INVENTORIES[step.inventory] for step in found.steps)
    absent = inventory.is_absent or any(one.is_absent for one in passed)
    return Path(found.steps, None if absent else there, found.name, _kind(there, found.name))


def steps_of(inventory: Inventory, name: str) -> Steps:
    """Return the steps of a dotted name. Raise QueryError for an unknown one."""
    *names, last = name.split(".")
    steps: list[Expansion] = []
    here = owner = inventory
    while names:
        first = names.pop(0)
        if first in here.aliases:
            names = [*here.aliases[first], *names]
            continue
        if first not in here.expansions:
            where = f"class {here.java_class}"
            raise cloud_runtime_error(
                f"invalid nested query condition[{'.'.join(names)}] on {where},"
                f"the expanded target[{where}] have no expanded query[{first}]"
            )
        step = here.expansions[first]
        steps.append(step)
        if len(steps) > MOST_STEPS:
            raise nesting_error(MOST_STEPS)
        owner, here = here, INVENTORIES[step.inventory]
    if not has_field(here, last):
        raise cloud_runtime_error(f"inventory class[class {here.java_class}] not having field[{last}]")
    if steps and last == steps[-1].foreign:
        # The last step would only compare the key it joins by: ZStack leaves it out.
        return Steps(tuple(steps[:-1]), owner, steps[-1].own)
    return Steps(tuple(steps), here, last)


def _kind(inventory: Inventory, name: str) -> Kind:
    """Return the kind of a name: that of a field, UUID for a collection, TEXT for a tag."""
    field = inventory.field(name)
    if field is not None:
        return field.kind
    return Kind.UUID if inventory.collection(name) else Kind.TEXT


_resolve_kept = lru_cache(maxsize=1024)(_resolve)
