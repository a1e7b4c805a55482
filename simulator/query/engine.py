"""Carries out queries: names are looked at first, in ZStack's order; then the database is asked (query-semantics 0)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from simulator.database import Database
from simulator.query.comparisons import Value
from simulator.query.compile import LIMIT, START, Shape, Statement, Test, compile_shape, rule_of, value_name
from simulator.query.conditions import Condition, Operator, Query, Sort, by_uuid
from simulator.query.errors import CLOUD_RUNTIME, GRAMMAR, QueryError, cloud_runtime
from simulator.query.inventories import INVENTORIES, Collection, Inventory, Kind
from simulator.query.paths import Path, has_field, resolve
from simulator.query.sorting import Order, names_of, parse_order
from simulator.query.syntax import check_syntax, names_in

KEPT_STATEMENTS = 512
ALL = 2**31 - 1
BATCHES = (1, 8, 64, 512)
INVALID_ARGUMENT = "SYS.1007"
NO_TYPE = "java.lang.IllegalArgumentException: org.hibernate.QueryException: No data type for node"
Row = dict[str, object]
WriteMoment = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found: the rows with the Java class of each, unless only their number was wanted; and the number.

    `nested` has the Java class of the objects in each member of a row that lists objects.
    """

    rows: Sequence[Row] | None
    java_classes: Sequence[str]
    total: int | None
    nested: Mapping[str, str] = field(default_factory=dict)

    def schema_of(self, path: str, index: int = 0) -> dict[str, str]:
        """The Java class of a row that stands at `path`, and of the objects that it lists."""
        schema = {path: self.java_classes[index]}
        row = self.rows[index] if self.rows else {}
        for name, java_class in self.nested.items():
            objects = row[name]
            assert isinstance(objects, list)
            schema |= {f"{path}.{name}[{place}]": java_class for place in reversed(range(len(objects)))}
        return schema


class QueryEngine:
    """Answers queries from a database; `write_moment` makes the answer's form of a stored date."""

    def __init__(self, database: Database, *, write_moment: WriteMoment) -> None:
        self._database = database
        self._write_moment = write_moment
        self._statement = lru_cache(maxsize=KEPT_STATEMENTS)(lambda shape: compile_shape(shape, database.dialect))

    async def find(self, inventory: Inventory, uuid: str) -> Found:
        """The one resource of that uuid, or none."""
        return await self.run(inventory, by_uuid(uuid))

    async def run(self, inventory: Inventory, query: Query) -> Found:
        """What a query finds. Raises QueryError."""
        _check_filter(query.filter_name)
        check_syntax(inventory, query)
        target = _switched(inventory, query.conditions)
        fields = _checked_fields(target, query.fields)
        tests, values = _tests(target, query.conditions)
        orders = _orders(target, query.sort)
        _check_page(query)
        if fields is not None:
            _check_selectable(target, fields)
        total = None
        if query.count or query.reply_with_count:
            counted = Shape(target, tests, fields=fields, counted=True)
            total = (await self._fetch(self._statement(counted), values))[0][0]
        if query.count:
            return Found(None, (), total)
        statement = self._statement(Shape(target, tests, orders, fields))
        page = {LIMIT: query.limit, START: query.start or 0}
        rows = await self._fetch(statement, values | page) if query.limit else []
        found = self._found(target, fields, statement, rows, total)
        return found if fields is not None else await self._with_objects(target, found)

    async def _with_objects(self, target: Inventory, found: Found) -> Found:
        """The same rows, each with the objects that it lists."""
        nested: dict[str, str] = {}
        for collection in target.collections:
            if collection.inventory is not None:
                elements = INVENTORIES[collection.inventory]
                nested[collection.name] = elements.java_class
                await self._list_objects(collection, elements, found.rows or ())
        return replace(found, nested=nested) if nested else found

    async def _list_objects(self, collection: Collection, elements: Inventory, rows: Sequence[Row]) -> None:
        lists: dict[object, list[Row]] = {}
        for row in rows:
            lists[row["uuid"]] = row[collection.name] = []
        for uuids in _batches([str(uuid) for uuid in lists]):
            path = Path((), elements, collection.own)
            operator, values = rule_of(path).read(Operator.IN, ",".join(uuids))
            statement = self._statement(Shape(elements, (Test(path, operator, len(values)),)))
            bound = {value_name(0, index): value for index, value in enumerate(values)}
            places = {name: index for index, name in enumerate(statement.columns)}
            write = self._writer(elements, places)
            for one in await self._fetch(statement, bound | {LIMIT: ALL, START: 0}):
                lists[one[places[collection.own]]].append(write(one))

    async def _fetch(self, statement: Statement, values: Mapping[str, Value]) -> list[tuple[Any, ...]]:
        parameters = [values.get(name, constant) for name, constant in statement.parameters]
        return await self._database.fetch(statement.sql, parameters)

    def _found(
        self,
        target: Inventory,
        fields: tuple[str, ...] | None,
        statement: Statement,
        rows: Sequence[tuple[Any, ...]],
        total: int | None,
    ) -> Found:
        places = {name: index for index, name in enumerate(statement.columns)}
        if fields is not None:
            write = self._writer(target, places)
            return Found([write(row) for row in rows], [target.java_class] * len(rows), total)
        children = {kind: (child, self._writer(child, places)) for kind, child in target.children.items()}
        itself = (target, self._writer(target, places))
        by_type = places["type"] if children else 0
        found = [(children.get(row[by_type], itself), row) for row in rows]
        return Found([write(row) for (_, write), row in found], [one.java_class for (one, _), _ in found], total)

    def _writer(self, inventory: Inventory, places: Mapping[str, int]) -> Callable[[tuple[Any, ...]], Row]:
        """What turns a row of the database into an inventory's members: those that were selected and are not null."""
        converts: dict[Kind, Callable[[Any], object]] = {
            Kind.MOMENT: lambda moment: self._write_moment(str(moment)),
            Kind.TRUTH: bool,
        }
        members = [
            (one.name, places[one.name], converts.get(one.kind)) for one in inventory.fields if one.name in places
        ]
        lists = [(one.name, places[one.name]) for one in inventory.collections if one.name in places]
        absent = {
            one.name: False
            for one in inventory.fields
            if one.kind is Kind.TRUTH and one.primitive and one.name not in places
        }

        def write(row: tuple[Any, ...]) -> Row:
            written: Row = {}
            for name, place, convert in members:
                value = row[place]
                if value is not None:
                    written[name] = value if convert is None else convert(value)
            for name, place in lists:
                written[name] = list(dict.fromkeys(row[place].split(","))) if row[place] else []
            return written | absent

        return write


def _batches(uuids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The uuids a few at a time, filled up with the last one, so that few statements serve any number of them."""
    for begin in range(0, len(uuids), max(BATCHES)):
        batch = uuids[begin : begin + max(BATCHES)]
        size = next(size for size in BATCHES if size >= len(batch))
        yield [*batch, *[batch[-1]] * (size - len(batch))]


def _check_filter(name: str | None) -> None:
    """No filter is known here, as in ZStack's open source (query-semantics 8)."""
    if name is None:
        return
    if len(name.rstrip(":").split(":")) < 2:
        raise QueryError("filterName must be formatted as [filterType:condition(s)]", INVALID_ARGUMENT)
    raise cloud_runtime(f"unable to find QueryBelongFilter with type[{name}]")


def _switched(inventory: Inventory, conditions: Sequence[Condition]) -> Inventory:
    """The inventory of the type that the first condition on `type` names exactly (query-semantics 4.1)."""
    for condition in conditions:
        if condition.name == "type":
            return (
                inventory.children.get(condition.value, inventory)
                if condition.operator is Operator.EQUAL
                else inventory
            )
    return inventory


def _checked_fields(target: Inventory, fields: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if fields is None:
        return None
    names = tuple(name.partition(".")[0] for name in fields)
    for name in names:
        if not has_field(target, name):
            # ZStack means to name the class there, and does not.
            raise cloud_runtime(f"inventory[${{selfInventoryClass}}] has no field[{name}]")
    return names


def _check_selectable(target: Inventory, fields: tuple[str, ...]) -> None:
    for name in fields:
        field = target.field(name)
        if field is None:
            raise QueryError(f"{NO_TYPE}: org.hibernate.hql.internal.ast.tree.IdentNode {name}")
        if field.kind is Kind.TRUTH and field.primitive:
            # Java beans call the property `default`, so that ZStack finds none of the field's name.
            raise QueryError(f"{CLOUD_RUNTIME}: java.lang.NoSuchMethodException: Unknown property '{name}'")


def _tests(target: Inventory, conditions: Sequence[Condition]) -> tuple[tuple[Test, ...], dict[str, Value]]:
    """The conditions' tests, and what they compare with, by the name of its parameter."""
    tests: list[Test] = []
    values: dict[str, Value] = {}
    paths = [_path(target, condition.name) for condition in conditions]
    for number, (path, condition) in enumerate(zip(paths, conditions, strict=True)):
        operator, read = rule_of(path).read(condition.operator, condition.value)
        tests.append(Test(path, operator, len(read)))
        values |= {value_name(number, index): value for index, value in enumerate(read)}
    return tuple(tests), values


def _path(target: Inventory, name: str) -> Path:
    paths = [resolve(target, one) for one in names_in(name)]
    if len(paths) > 1:
        raise QueryError(GRAMMAR)  # all of these are fields, but the first ones are compared with nothing
    return paths[0]


def _orders(target: Inventory, sort: Sort | None) -> tuple[Order, ...]:
    if sort is None:
        return ()
    orders = parse_order(sort.text, descending=sort.descending)
    names = [name for order in orders for name in names_of(order.expression)]
    for name in names:
        first = name.partition(".")[0]
        if not (has_field(target, name) or first in target.aliases or first in target.expansions):
            # A lone apostrophe in ZStack's text keeps the name from being filled in.
            text = f"invalid order by clause, inventory[{target.name}] doesnt have field[{{1}}]"
            raise QueryError(f"org.zstack.zql.ast.visitors.ZQLError: {text}")
    if any(target.field(name) is None for name in names):
        raise QueryError(GRAMMAR)
    return orders


def _check_page(query: Query) -> None:
    if query.limit < 0:
        raise QueryError("java.lang.IllegalArgumentException: max-results cannot be negative")
    if query.start is not None and query.start < 0:
        text = f"first-result value cannot be negative : {query.start}"
        raise QueryError(f"java.lang.IllegalArgumentException: {text}")
