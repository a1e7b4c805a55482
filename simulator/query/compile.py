"""From a Query to SQL: one statement for each shape of question, kept; the values are bound (query-semantics 3-7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Dialect,
    Float,
    FromClause,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    cast,
    false,
    func,
    not_,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.operators import OperatorType

from simulator.query.comparisons import RULES, Bound, look_ups
from simulator.query.conditions import Operator
from simulator.query.inventories import INVENTORIES, TAGS, Collection, Expansion, Inventory
from simulator.query.paths import Path
from simulator.query.sorting import Arithmetic, Expression, Name, Order

LIMIT, START = "limit", "start"
POSITIVE = {Operator.NOT_EQUAL: Operator.EQUAL, Operator.NOT_IN: Operator.IN, Operator.NOT_LIKE: Operator.LIKE}
GROUP = 100
FEW = 16


@dataclass(frozen=True, slots=True)
class Test:
    """A condition without what it compares with: what its name leads to, how many parameters there are (none or one),
    and whether that one is a list of more than a few values."""

    path: Path
    operator: Operator
    parameters: int
    many: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """A question without its values. `fields` narrows the row; `counted` asks for the number of rows instead."""

    inventory: Inventory
    tests: tuple[Test, ...] = ()
    orders: tuple[Order, ...] = ()
    fields: tuple[str, ...] | None = None
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL, its positional parameters in turn (their names, and the values of those that never change), its columns.

    One that is quick finds its few rows by an index, whatever else it asks of them.
    """

    sql: str
    parameters: tuple[tuple[str, Bound | None], ...]
    columns: tuple[str, ...]
    quick: bool


def value_name(test: int) -> str:
    """The parameter that holds what a test compares with."""
    return f"v{test}"


def compile_shape(shape: Shape, dialect: Dialect) -> Statement:
    """The statement for a shape, in the words of a database."""
    source = _Source(shape.inventory)
    columns = [] if shape.counted else source.columns(shape.fields)
    statement = select(*columns) if columns else select(_counted(source, shape.fields))
    tables = source.tables if shape.counted or shape.fields is not None else source.with_children()
    statement = statement.select_from(tables)
    if shape.tests:
        statement = statement.where(_all(_test(source, test, number) for number, test in enumerate(shape.tests)))
    if not shape.counted:
        statement = _page(statement, source, shape)
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    constants = compiled.params  # made again each time that it is looked at
    parameters = tuple((name, constants[name]) for name in compiled.positiontup or ())
    return Statement(str(compiled), parameters, tuple(column.name for column in columns), _is_quick(shape))


def _is_quick(shape: Shape) -> bool:
    """Whether a few rows are found by their key, and nothing else than their own fields is looked at."""
    tests = shape.tests
    return len(tests) <= FEW and any(map(_is_by_key, tests)) and all(_is_of_row(shape.inventory, one) for one in tests)


def _is_by_key(test: Test) -> bool:
    by_key = test.path.name == "uuid" and not test.path.steps
    return by_key and test.operator in (Operator.EQUAL, Operator.IN) and not test.many


def _is_of_row(inventory: Inventory, test: Test) -> bool:
    return not test.path.steps and not test.many and inventory.field(test.path.name) is not None


def _counted(source: _Source, fields: tuple[str, ...] | None) -> ColumnElement[int]:
    # With fields ZStack counts the first one, and so leaves out the rows where it is null (query-semantics 7).
    return func.count(source.column(fields[0])) if fields else func.count()


def _page(statement: Select[Any], source: _Source, shape: Shape) -> Select[Any]:
    by = []
    for order in shape.orders:
        expression = _expression(source, order.expression)
        by.append(expression.desc() if order.descending else expression.asc())
    # The key parts what is alike, so that pages never overlap.
    by.append(source.column(shape.inventory.key).asc())
    return statement.order_by(*by).limit(bindparam(LIMIT, 0, type_=Integer)).offset(bindparam(START, 0, type_=Integer))


class _Source:
    """The tables of an inventory under names of their own, so that one may stand in a statement more than once."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._tables = [table.alias() for table in inventory.tables]
        self.tables: FromClause = self._tables[0]
        for table in self._tables[1:]:
            self.tables = self.tables.join(table, table.c.uuid == self._tables[0].c.uuid)
        self._children: list[FromClause] = []

    def table_of(self, name: str) -> Table:
        """The table that has a column."""
        return next(table for table in self.inventory.tables if name in table.c)

    def column(self, name: str) -> ColumnElement[Any]:
        return next(table.c[name] for table in self._tables if name in table.c)

    def with_children(self) -> FromClause:
        """The tables, joined with those that only rows of some type have a row in."""
        tables = self.tables
        for child in self._children:
            tables = tables.outerjoin(child, child.c.uuid == self._tables[0].c.uuid)
        return tables

    def columns(self, fields: tuple[str, ...] | None) -> list[ColumnElement[Any]]:
        """What to select: some fields, or all of them with the collections and with what the children add."""
        if fields is not None:
            return [self.column(name).label(name) for name in dict.fromkeys(fields)]
        own = [self.column(one.name).label(one.name) for one in self.inventory.fields]
        lists = [_listed(self, one).label(one.name) for one in self.inventory.collections if one.inventory is None]
        return [*own, *lists, *self._of_children()]

    def _of_children(self) -> list[ColumnElement[Any]]:
        found: dict[str, list[ColumnElement[Any]]] = {}
        for child in self.inventory.children.values():
            for table in child.tables[1:]:
                alias = table.alias()
                self._children.append(alias)
                for one in child.fields:
                    if one.name in alias.c and self.inventory.field(one.name) is None:
                        found.setdefault(one.name, []).append(alias.c[one.name])
        return [func.coalesce(*columns).label(name) for name, columns in found.items()]


def _listed(source: _Source, collection: Collection) -> ColumnElement[str]:
    """A collection's elements with commas between them, in the order in which they were made."""
    table = collection.table.alias()
    elements = select(func.aggregate_strings(table.c[collection.foreign], ","))
    return elements.where(table.c[collection.own] == source.column("uuid")).scalar_subquery()


class _Bracketed(ColumnElement[bool]):
    """A condition in brackets, which SQLAlchemy's own would lose in a longer one."""

    inherit_cache = False

    def __init__(self, condition: ColumnElement[bool]) -> None:
        self.condition = condition
        self.type = Boolean()

    def self_group(self, against: OperatorType | None = None) -> Self:
        return self


@compiles(_Bracketed)
def _compile_bracketed(element: _Bracketed, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(element.condition, **options)})"


def _all(conditions: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """All of them, in groups: SQLite takes no expression that is a thousand terms deep."""
    found = tuple(conditions)
    groups = [and_(*found[at : at + GROUP]) for at in range(0, len(found), GROUP)]
    return and_(*map(_Bracketed, groups)) if len(groups) > 1 else groups[0]


def _test(source: _Source, test: Test, number: int) -> ColumnElement[bool]:
    if test.path.inventory is None:
        return false()
    return _over_steps(source, test.path.steps, test, number)


def _over_steps(source: _Source, steps: Sequence[Expansion], test: Test, number: int) -> ColumnElement[bool]:
    """Some row at the end of the steps passes the test; each condition finds a row of its own (query-semantics 4.4).

    Each step is a table expression with a name, since SQLite nests no more than a dozen of them.
    """
    if not steps:
        return _leaf(source, test, number)
    step, *rest = steps
    assert step.inventory is not None, "a path that leads to no rows has no inventory"
    there = _Source(INVENTORIES[step.inventory])
    rows = select(there.column(step.foreign).label("key")).select_from(there.tables)
    found = rows.where(_over_steps(there, rest, test, number)).cte()
    return source.column(step.own).in_(select(found.c.key))


def _leaf(source: _Source, test: Test, number: int) -> ColumnElement[bool]:
    name, operator = test.path.name, test.operator
    if name in TAGS:
        return _tagged(source, *TAGS[name], test, number)
    collection = source.inventory.collection(name)
    if collection is None:
        field = source.inventory.field(name)
        indexed = field is not None and field.indexed and operator in (Operator.EQUAL, Operator.IN)
        return _looked_up(source, test, number) if indexed else _compare(source.column(name), operator, test, number)
    # Whatever the operator, some element has to pass (query-semantics 4.3).
    table = collection.table.alias()
    passing = select(table.c[collection.own]).where(_compare(table.c[collection.foreign], operator, test, number))
    return source.column("uuid").in_(passing)


def _looked_up(source: _Source, test: Test, number: int) -> ColumnElement[bool]:
    """The row is among those that an index finds. SQLite would rather go over all rows than look into two indexes, so
    it is made to."""
    table = source.table_of(test.path.name).alias()
    found = look_ups(table.c[test.path.name], test.operator, _binds(test, number))
    return source.column("uuid").in_(union_all(*(select(table.c.uuid).where(condition) for condition in found)))


def _tagged(source: _Source, table: Table, column: str, test: Test, number: int) -> ColumnElement[bool]:
    """Some tag passes; for the negations, none does what they negate (query-semantics 4.5)."""
    tags = table.alias()
    operator = POSITIVE.get(test.operator, test.operator)
    passing = select(tags.c.resourceUuid).where(_compare(tags.c[column], operator, test, number))
    found = source.column(source.inventory.key).in_(passing)
    return not_(found) if operator is not test.operator else found


def _compare(column: ColumnElement[Any], operator: Operator, test: Test, number: int) -> ColumnElement[bool]:
    return RULES[test.path.kind].compare(column, operator, _binds(test, number))


def _binds(test: Test, number: int) -> list[ColumnElement[Any]]:
    return [bindparam(value_name(number), None)] if test.parameters else []


def _expression(source: _Source, expression: Expression) -> ColumnElement[Any]:
    if isinstance(expression, Name):
        field = source.inventory.field(expression.text)
        assert field is not None, "the engine has looked at the names"
        return RULES[field.kind].order(source.column(field.name))
    return _arithmetic(expression, *(_expression(source, one) for one in (expression.left, expression.right)))


def _arithmetic(expression: Arithmetic, left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[Any]:
    operator = expression.operator
    if operator == "/":
        left = cast(left, Float)  # MariaDB's division keeps the fraction
    return left.op(operator)(right).self_group()
