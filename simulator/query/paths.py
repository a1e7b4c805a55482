"""What a condition's name leads to: a field, a collection or a tag, here or over some steps (query-semantics 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from simulator.query.errors import GRAMMAR, QueryError, cloud_runtime
from simulator.query.inventories import INVENTORIES, TAGS, Expansion, Inventory, Kind
from simulator.query.names import LONGEST_KEPT

MOST_STEPS = 60  # MariaDB nests no deeper either


@dataclass(frozen=True, slots=True)
class Path:
    """The steps from an inventory to another, and a name there. Without an inventory there are no rows to look at."""

    steps: tuple[Expansion, ...]
    inventory: Inventory | None
    name: str
    kind: Kind = Kind.TEXT


def has_field(inventory: Inventory, name: str) -> bool:
    """Whether ZStack knows the name, whatever can be done with it."""
    return name in TAGS or bool(inventory.field(name) or inventory.collection(name))


def resolve(inventory: Inventory, name: str) -> Path:
    """Follow a dotted name. Raises QueryError with ZStack's texts for names that lead nowhere (query-semantics 4.6)."""
    return _resolve_kept(inventory, name) if len(name) <= LONGEST_KEPT else _resolve(inventory, name)


def _resolve(inventory: Inventory, name: str) -> Path:
    *names, last = name.split(".")
    steps: list[Expansion] = []
    here: Inventory | None = inventory
    owner = inventory
    while names and here is not None:
        first = names.pop(0)
        if first in here.aliases:
            names = [*here.aliases[first], *names]
            continue
        if first not in here.expansions:
            where = f"class {here.java_class}"
            raise cloud_runtime(
                f"invalid nested query condition[{'.'.join(names)}] on {where},"
                f"the expanded target[{where}] have no expanded query[{first}]"
            )
        step = here.expansions[first]
        steps.append(step)
        if len(steps) > MOST_STEPS:
            raise QueryError(GRAMMAR)
        owner, here = here, INVENTORIES[step.inventory] if step.inventory else None
    if here is None:
        return Path(tuple(steps), None, last)
    if not has_field(here, last):
        raise cloud_runtime(f"inventory class[class {here.java_class}] not having field[{last}]")
    if steps and last == steps[-1].foreign:
        # The last step would only compare the key it joins by: ZStack leaves it out.
        return Path(tuple(steps[:-1]), owner, steps[-1].own, _kind(owner, steps[-1].own))
    return Path(tuple(steps), here, last, _kind(here, last))


def _kind(inventory: Inventory, name: str) -> Kind:
    """How what is at the end of a path compares; a collection is of uuids, and a tag is text."""
    field = inventory.field(name)
    if field is not None:
        return field.kind
    return Kind.UUID if inventory.collection(name) else Kind.TEXT


_resolve_kept = lru_cache(maxsize=1024)(_resolve)
