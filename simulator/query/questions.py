"""From a Query to a Question: every name is looked up, in the order in which ZStack comes to it (query-semantics 0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulator.query.comparisons import LISTS, RULES, Bound
from simulator.query.compile import FEW, Test, value_name
from simulator.query.conditions import Condition, Operator, Query, Sort
from simulator.query.errors import GRAMMAR, QueryError, cloud_runtime
from simulator.query.inventories import INVENTORIES, TAGS, Inventory
from simulator.query.paths import Path, has_field, resolve
from simulator.query.sorting import Order, names_of, parse_order
from simulator.query.syntax import check_syntax, names_in

INVALID_ARGUMENT = "SYS.1007"
MOST_CONDITIONS = 5000
"""ZStack has no such limit but the stack of its thread, which its parser goes down by each condition."""
NO_TYPE = "java.lang.IllegalArgumentException: org.hibernate.QueryException: No data type for node"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of which inventory; `values` are what the tests compare with, by the names of their parameters.

    `objection` is what the database would say: a question that never gets there is not refused for it.
    """

    target: Inventory
    fields: tuple[str, ...] | None
    tests: tuple[Test, ...]
    values: Mapping[str, Bound]
    orders: tuple[Order, ...]
    objection: QueryError | None = None


def ask(inventory: Inventory, query: Query) -> Question:
    """The question that a query puts. Raises QueryError."""
    _check_filter(query.filter_name)
    if len(query.conditions) > MOST_CONDITIONS:
        limits = f"a query may have {MOST_CONDITIONS} conditions, but {len(query.conditions)} got"
        raise QueryError(f"java.lang.StackOverflowError: {limits}")
    target = _switched(inventory, query.conditions)
    check_syntax(target, query)
    fields = _checked_fields(target, query.fields)
    paths = [_path(target, condition) for condition in query.conditions]
    orders = _checked_orders(target, query.sort)
    _check_selectable(target, fields)
    _check_page(query)
    try:
        _check_sortable(target, orders)
        return Question(target, fields, *_tests(paths, query.conditions), orders)
    except QueryError as objection:
        return Question(target, fields, (), {}, (), objection)


def _check_filter(name: str | None) -> None:
    """No filter is known here, as in ZStack's open source (query-semantics 8)."""
    if name is None:
        return
    if len(name.rstrip(":").split(":")) < 2:
        raise QueryError("filterName must be formatted as [filterType:condition(s)]", INVALID_ARGUMENT)
    raise cloud_runtime(f"unable to find QueryBelongFilter with type[{name}]")


def _switched(inventory: Inventory, conditions: Sequence[Condition]) -> Inventory:
    """The inventory of the type that the first condition on `type` names exactly (query-semantics 4.1)."""
    first = next((condition for condition in conditions if condition.name == "type"), None)
    if first is None or first.operator is not Operator.EQUAL:
        return inventory
    return inventory.children.get(first.value, inventory)


def _checked_fields(target: Inventory, fields: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if fields is None:
        return None
    names = tuple(dict.fromkeys(name.partition(".")[0] for name in fields))
    for name in names:
        if not has_field(target, name):
            # ZStack means to name the class there, and does not.
            raise cloud_runtime(f"inventory[${{selfInventoryClass}}] has no field[{name}]")
    return names


def _path(target: Inventory, condition: Condition) -> Path:
    paths = [resolve(target, name) for name in names_in(condition.name)]
    if len(paths) > 1:
        raise QueryError(GRAMMAR)  # all of these are fields, but the first ones are compared with nothing
    if paths[0].name in TAGS and "%s" in condition.value:
        raise QueryError("java.lang.NullPointerException")  # it is taken for a place to fill in
    return paths[0]


def _checked_orders(target: Inventory, sort: Sort | None) -> tuple[Order, ...]:
    if sort is None:
        return ()
    orders = parse_order(sort.text, descending=sort.descending)
    names = _names(orders)
    for name in names:
        if "." not in name and not has_field(target, name):
            # A lone apostrophe in ZStack's text keeps the name from being filled in.
            text = f"invalid order by clause, inventory[{target.name}] doesnt have field[{{1}}]"
            raise QueryError(f"org.zstack.zql.ast.visitors.ZQLError: {text}")
    for name in names:
        owner, dot, _ = name.partition(".")
        if dot and owner.lower() not in TARGETS:
            raise QueryError(f"java.lang.RuntimeException: cannot find inventory with name[{owner}]")
    return orders


TARGETS = frozenset(inventory.target for inventory in INVENTORIES.values())


def _check_selectable(target: Inventory, fields: tuple[str, ...] | None) -> None:
    for name in fields or ():
        if target.field(name) is None:
            raise QueryError(f"{NO_TYPE}: org.hibernate.hql.internal.ast.tree.IdentNode {name}")


def _check_page(query: Query) -> None:
    if query.limit < 0:
        raise QueryError("java.lang.IllegalArgumentException: max-results cannot be negative")
    if query.start is not None and query.start < 0:
        text = f"first-result value cannot be negative : {query.start}"
        raise QueryError(f"java.lang.IllegalArgumentException: {text}")


def _check_sortable(target: Inventory, orders: Sequence[Order]) -> None:
    """Collections, tags and names with dots are no columns, which only the database tells (query-semantics 5)."""
    if any(target.field(name) is None for name in _names(orders)):
        raise QueryError(GRAMMAR)


def _names(orders: Sequence[Order]) -> list[str]:
    return [name for order in orders for name in names_of(order.expression)]


def _tests(paths: Sequence[Path], conditions: Sequence[Condition]) -> tuple[tuple[Test, ...], dict[str, Bound]]:
    """The conditions' tests, and what they compare with, by the name of its parameter."""
    tests: list[Test] = []
    values: dict[str, Bound] = {}
    for number, (path, condition) in enumerate(zip(paths, conditions, strict=True)):
        operator, read = RULES[path.kind].read(condition.operator, condition.value)
        is_list = operator in LISTS
        tests.append(Test(path, operator, min(len(read), 1), is_list and len(read) > FEW))
        if read:
            values[value_name(number)] = tuple(dict.fromkeys(read)) if is_list else read[0]
    return tuple(tests), values
