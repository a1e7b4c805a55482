"""What a condition's name leads to: a field, a collection or a tag, here or over some steps (query-semantics 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from imagestore_sim.query.errors import cloud_runtime_error, sql_grammar_error
from imagestore_sim.query.inventories import INVENTORIES, TAGS, Expansion, Inventory, Kind
from imagestore_sim.query.names import LONGEST_KEPT

MOST_STEPS = 60  # MariaDB nests no deeper either


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps from an inventory to another, and a name there."""

    steps: tuple[Expansion, ...]
    inventory: Inventory
    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """The steps from an inventory to another, and a name there. Without an inventory there are no rows to look at."""

    steps: tuple[Expansion, ...]
    inventory: Inventory | None
    name: str
    kind: Kind = Kind.TEXT


def has_field(inventory: Inventory, name: str) -> bool:
    """Whether ZStack knows the name, whatever can be done with it."""
    return name in TAGS or bool(inventory.field(name) or inventory.collection(name)) or name in inventory.lists


def resolve(inventory: Inventory, name: str) -> Path:
    """Follow a dotted name. Raises QueryError with ZStack's texts for names that lead nowhere (query-semantics 4.6)."""
    return _resolve_kept(inventory, name) if len(name) <= LONGEST_KEPT else _resolve(inventory, name)


def _resolve(inventory: Inventory, name: str) -> Path:
    found = steps_of(inventory, name)
    there = found.inventory
    passed = (INVENTORIES[step.inventory] for step in found.steps)
    absent = inventory.is_absent or any(one.is_absent for one in passed)
    return Path(found.steps, None if absent else there, found.name, _kind(there, found.name))


def steps_of(inventory: Inventory, name: str) -> Steps:
    """The steps of a dotted name. Raises QueryError."""
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
            raise sql_grammar_error()
        owner, here = here, INVENTORIES[step.inventory]
    if not has_field(here, last):
        raise cloud_runtime_error(f"inventory class[class {here.java_class}] not having field[{last}]")
    if steps and last == steps[-1].foreign:
        # The last step would only compare the key it joins by: ZStack leaves it out.
        return Steps(tuple(steps[:-1]), owner, steps[-1].own)
    return Steps(tuple(steps), here, last)


def _kind(inventory: Inventory, name: str) -> Kind:
    """How what is at the end of a path compares; a collection is of uuids, and a tag is text."""
    field = inventory.field(name)
    if field is not None:
        return field.kind
    return Kind.UUID if inventory.collection(name) else Kind.TEXT


_resolve_kept = lru_cache(maxsize=1024)(_resolve)
