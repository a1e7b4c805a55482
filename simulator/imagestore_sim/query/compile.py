"""Compile the shape of a query to one SQL statement; its values are bound (query-semantics 3-7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Dialect,
    FromClause,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    false,
    func,
    not_,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import NullType
from typing_extensions import override

from imagestore_sim.pieces import in_pieces
from imagestore_sim.query.comparisons import (
    LIKES,
    RULES,
    AsWritten,
    Bound,
    Calculation,
    Decisions,
    EitherWay,
    Folded,
    LeadingNumber,
    Quotient,
    Sum,
    index_look_ups,
    indexed_like,
)
from imagestore_sim.query.conditions import Operator
from imagestore_sim.query.inventories import INVENTORIES, SHARED_RESOURCE, TAGS, Collection, Expansion, Inventory, Kind
from imagestore_sim.query.paths import Path
from imagestore_sim.query.rows import SUM_OF
from imagestore_sim.query.sorting import Expression, Name, Order

LIMIT, START, OWNER = "limit", "start", "owner"
POSITIVE = {
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_HAS: Operator.IN,
}
HAS = (Operator.HAS, Operator.NOT_HAS)
DISTINCT, GROUP_COUNT = "distinct", "groupCount"
AGGREGATES = ("max", "min", "avg")
TERMS_IN_A_GROUP = 100
MOST_NESTED = 4
"""Groups that are nested as brackets: SQLite's parser has room for some 35, with all that stands around them."""
FEW = 16


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition without its values."""

    path: Path
    operator: Operator
    parameters: int
    """The number of bound parameters: 0 or 1."""
    many: bool = False
    """Whether the parameter is a list of more than FEW values."""
    size: int = 0
    """The number of values in a list; `has` requires that many matches."""


@dataclass(frozen=True, slots=True)
class PredicateClause:
    """A predicate, with the number of the parameter that it compares with."""

    test: Predicate
    number: int


@dataclass(frozen=True, slots=True)
class ClauseGroup:
    """Clauses joined by the same operator, `and` or `or`."""

    joint: str
    parts: tuple[Clause, ...]
    depth: int = 1
    """How many groups are nested, this one included."""
    size: int = 1
    """How many conditions there are, at any depth."""


@dataclass(frozen=True, slots=True)
class SubQueryClause:
    """A comparison of a path with the values of a field in another inventory."""

    path: Path
    operator: Operator
    inventory: Inventory
    field: str
    where: Clause | None


@dataclass(frozen=True, slots=True)
class FieldPair:
    """A comparison of two fields of a row."""

    left: str
    operator: Operator
    right: str


Clause = PredicateClause | ClauseGroup | SubQueryClause | FieldPair


def grouped(joint: str, clauses: Iterable[Clause]) -> ClauseGroup:
    """Return a group of clauses; those of a group with the same joint are its own."""
    parts: list[Clause] = []
    for clause in clauses:
        if isinstance(clause, ClauseGroup) and clause.joint == joint:
            parts += clause.parts
        else:
            parts.append(clause)
    groups = [one for one in parts if isinstance(one, ClauseGroup)]
    depth = 1 + max((one.depth for one in groups), default=0)
    return ClauseGroup(joint, tuple(parts), depth, len(parts) - len(groups) + sum(one.size for one in groups))


@dataclass(frozen=True, slots=True)
class Shape:
    """A query without its values; queries of the same shape share one SQL statement.

    A row must pass all `tests`, and `where`. `fields` selects columns; `counted` selects the number of rows instead;
    `group_by` and `sum_by` select one row for each group, with its count or sums. `function` applies to the first
    field.
    """

    inventory: Inventory
    tests: tuple[Predicate, ...] = ()
    orders: tuple[Order, ...] = ()
    fields: tuple[str, ...] | None = None
    counted: bool = False
    owned: bool = False
    """Whether the query is restricted to the rows of one owner."""
    where: Clause | None = None
    group_by: tuple[str, ...] = ()
    sum_by: str | None = None
    function: str | None = None


@dataclass(frozen=True, slots=True)
class SqlStatement:
    """SQL, its positional parameters in order (names, and the values of constants) and the names of its columns.

    `quick` says that an index finds its few rows, so that the read runs on the event loop.
    """

    sql: str
    parameters: tuple[tuple[str, Bound | None], ...]
    columns: tuple[str, ...]
    quick: bool


def parameter_name(test: int) -> str:
    """Return the name of the parameter that a predicate compares with, by its number."""
    return f"v{test}"


def compile_shape(shape: Shape, dialect: Dialect) -> SqlStatement:
    """Return the SQL statement for a shape in the dialect of a database."""
    source = _Source(shape.inventory)
    columns = _columns(source, shape)
    tables = source.tables if shape.counted or shape.fields is not None or shape.sum_by else source.with_children()
    statement = select(*columns).select_from(tables)
    conditions = [_test(source, test, number) for number, test in enumerate(shape.tests)]
    if shape.where is not None:
        conditions.append(_clause(source, shape.where))
    if shape.owned and shape.inventory.owner is not None:
        conditions.append(_seen_by_owner(source, shape.inventory.owner))
    if conditions:
        statement = statement.where(_InOrder(source.rows, _all(conditions)))
    groups = (shape.sum_by,) if shape.sum_by else shape.group_by
    if groups:
        statement = statement.group_by(*(_folded(source, name) for name in groups))
    if shape.function == DISTINCT and not shape.counted:
        statement = statement.distinct()
    if groups or not shape.counted:
        statement = _page(statement, source, shape, groups)
    make = _compiler_of(dialect.statement_compiler)  # type: ignore[arg-type]  # a class can be hashed
    compiled = make(dialect, statement, compile_kwargs={"render_postcompile": True})
    constants = compiled.params  # a property that builds a new dictionary each time
    parameters = tuple((name, constants[name]) for name in compiled.positiontup or ())
    return SqlStatement(str(compiled), parameters, tuple(column.name for column in columns), _is_quick(shape))


@cache
def _compiler_of(compiler: type[SQLCompiler]) -> type[SQLCompiler]:
    """Return a compiler that renders common table expressions at the top of a statement alone.

    SQLAlchemy's goes through all of them at each SELECT inside, to find such as belong there: none does here. A
    thousand conditions on other resources took it four times as long as five hundred.
    """

    class Compiler(compiler):  # type: ignore[valid-type,misc]  # one for each dialect
        @override
        def _render_cte_clause(self, nesting_level: int | None = None, include_following_stack: bool = False) -> Any:
            if nesting_level is not None and nesting_level > 1:
                return ""
            return super()._render_cte_clause(nesting_level, include_following_stack)

    return Compiler


def _seen_by_owner(source: _Source, owner: str) -> ColumnElement[bool]:
    """Return the condition that an account owns a row, or that it is shared with the account (observed 7, 10)."""
    mine = source.column(owner) == bindparam(OWNER, "")
    if not source.inventory.shared:
        return mine
    shares = SHARED_RESOURCE.tables[0].alias()
    with_me = or_(shares.c.toPublic, shares.c.receiverAccountUuid == bindparam(OWNER, ""))
    return _Bracketed(or_(mine, source.column("uuid").in_(select(shares.c.resourceUuid).where(with_me))))


def _columns(source: _Source, shape: Shape) -> list[ColumnElement[Any]]:
    if shape.sum_by is not None:
        summed = [_summed(source, name).label(f"{SUM_OF}{name}") for name in shape.fields or ()]
        return [source.column(shape.sum_by).label(shape.sum_by), *summed]
    if shape.counted and not shape.group_by:
        return [_counted(source, shape)]
    if shape.counted:
        own = [source.column(name).label(name) for name in dict.fromkeys(shape.group_by)]
        return [*own, _counted(source, shape).label(GROUP_COUNT)]
    if shape.function in AGGREGATES and shape.fields:
        call = getattr(func, str(shape.function))
        return [call(source.column(name)).label(name) for name in shape.fields]
    return source.columns(shape.fields)


def _summed(source: _Source, name: str) -> ColumnElement[Any]:
    field = source.inventory.field(name)
    column = source.column(name)
    if field is not None and field.kind is Kind.NUMBER:
        return Sum(column)
    return func.sum(LeadingNumber(column) if field is not None and field.kind is Kind.TEXT else column)


def _folded(source: _Source, name: str) -> ColumnElement[Any]:
    """Return the expression to group by for a field."""
    field = source.inventory.field(name)
    assert field is not None, "prepared_query checks the names of groups"
    return RULES[field.kind].order(source.column(name))


def _is_quick(shape: Shape) -> bool:
    """Return whether the key finds a few rows, and all other tests are of fields of the row."""
    tests = shape.tests
    return len(tests) <= FEW and any(map(_is_by_key, tests)) and all(_is_of_row(shape.inventory, one) for one in tests)


def _is_by_key(test: Predicate) -> bool:
    by_key = test.path.name == "uuid" and not test.path.steps
    return by_key and test.operator in (Operator.EQUAL, Operator.IN) and not test.many


def _is_of_row(inventory: Inventory, test: Predicate) -> bool:
    return not test.path.steps and not test.many and inventory.field(test.path.name) is not None


def _counted(source: _Source, shape: Shape) -> ColumnElement[int]:
    # With fields ZStack counts the first one, and so leaves out the rows where it is null (query-semantics 7).
    names = [name for name in (*shape.group_by, *(shape.fields or ())) if shape.inventory.field(name)]
    if not shape.fields or not names:
        return func.count()
    column = source.column(names[0])
    return func.count(_folded(source, names[0]).distinct() if shape.function == DISTINCT else column)


def _page(statement: Select[Any], source: _Source, shape: Shape, groups: Sequence[str]) -> Select[Any]:
    by: list[ColumnElement[Any]] = []
    for order in shape.orders:
        expression = _expression(source, order.expression)
        by.append(expression.desc() if order.descending else expression.asc())
    if groups:
        by += [_folded(source, name).asc() for name in groups]
    elif shape.function is None:
        by.append(source.column(shape.inventory.key).asc())  # breaks ties, so that pages never overlap
    return statement.order_by(*by).limit(bindparam(LIMIT, 0, type_=Integer)).offset(bindparam(START, 0, type_=Integer))


class _Source:
    """The tables of an inventory under aliases, so that a statement may use one more than once."""

    def __init__(self, inventory: Inventory, rows: list[_Rows] | None = None) -> None:
        self.inventory = inventory
        self.rows: list[_Rows] = [] if rows is None else rows
        """The subqueries of the statement that may be nested, each after those in it."""
        self._tables = [table.alias() for table in inventory.tables]
        self.tables: FromClause = self._tables[0]
        for table in self._tables[1:]:
            self.tables = self.tables.join(table, table.c.uuid == self._tables[0].c.uuid)
        self._children: list[FromClause] = []

    def table_of(self, name: str) -> Table:
        """Return the table with a column."""
        return next(table for table in self.inventory.tables if name in table.c)

    def column(self, name: str) -> ColumnElement[Any]:
        """Return the aliased column of that name."""
        return next(table.c[name] for table in self._tables if name in table.c)

    def with_children(self) -> FromClause:
        """Return the tables, outer-joined with those that have only rows of one type."""
        tables = self.tables
        for child in self._children:
            tables = tables.outerjoin(child, child.c.uuid == self._tables[0].c.uuid)
        return tables

    def columns(self, fields: tuple[str, ...] | None) -> list[ColumnElement[Any]]:
        """Return the columns to select: `fields`, or all fields with the collections and the children's fields."""
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
    """Return the elements of a collection as text, joined by commas, in the order of insertion."""
    table = collection.table.alias()
    elements = select(func.aggregate_strings(table.c[collection.foreign], ","))
    return elements.where(table.c[collection.own] == source.column("uuid")).scalar_subquery()


class _Bracketed(AsWritten):
    """A condition in brackets; SQLAlchemy drops its own brackets inside a longer condition."""

    inherit_cache = False

    def __init__(self, condition: ColumnElement[bool]) -> None:
        self.condition = condition


@compiles(_Bracketed)
def _compile_bracketed(element: _Bracketed, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(element.condition, **options)})"


class _Rows(ColumnElement[Any]):
    """The values of a subquery, in brackets.

    Subqueries may be nested deeper than SQLAlchemy compiles them in each other, so each is compiled before those around
    it. On SQLite, whose parser has room for a dozen, each is a common table expression; MariaDB nests three times as
    many as it reads in such expressions.
    """

    inherit_cache = False

    def __init__(self, rows: Select[Any]) -> None:
        """`rows` has one column, `value`."""
        self.rows = rows
        self.text: str | None = None
        self.type = NullType()

    @override
    def self_group(self, against: OperatorType | None = None) -> Self:
        return self


@compiles(_Rows)
def _compile_rows(element: _Rows, compiler: SQLCompiler, **options: Any) -> str:
    assert element.text is not None, "_InOrder compiles it first"
    return f"({element.text})"


class _InOrder(AsWritten):
    """A condition, and the subqueries in it, each after those that it reads."""

    inherit_cache = False

    def __init__(self, rows: Sequence[_Rows], condition: ColumnElement[bool]) -> None:
        self.rows = rows
        self.condition = condition


@compiles(_InOrder)
def _compile_in_order(element: _InOrder, compiler: SQLCompiler, **options: Any) -> str:
    for one in element.rows:
        one.text = compiler.process(one.rows, **options)
    return compiler.process(element.condition, **options)


@compiles(_InOrder, "sqlite")
def _compile_in_order_for_sqlite(element: _InOrder, compiler: SQLCompiler, **options: Any) -> str:
    for one in element.rows:
        one.text = compiler.process(select(one.rows.cte().c.value), **options)
    return compiler.process(element.condition, **options)


def _all(conditions: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the conjunction of conditions in groups: SQLite refuses expressions a thousand terms deep."""
    found = tuple(conditions)
    groups = [and_(*group) for group in in_pieces(found, TERMS_IN_A_GROUP)]
    return and_(*map(_Bracketed, groups)) if len(groups) > 1 else groups[0]


def _clause(source: _Source, clause: Clause) -> ColumnElement[bool]:
    match clause:
        case PredicateClause(test, number):
            return _test(source, test, number)
        case SubQueryClause():
            return _sub_query(source, clause)
        case FieldPair(left, operator, right):
            columns = [_folded(source, name) for name in (left, right)]
            compared: ColumnElement[bool] = columns[0].op(operator, is_comparison=True)(columns[1])
            return compared
        case ClauseGroup(joint, parts):
            if clause.depth > MOST_NESTED:
                return _decisions(source, clause)
            return _joined(joint, [_clause(source, part) for part in parts])


def _joined(joint: str, found: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    if len(found) == 1:
        return found[0]
    join = and_ if joint == "and" else or_
    return _Bracketed(join(*(_Bracketed(join(*group)) for group in in_pieces(found, TERMS_IN_A_GROUP))))


def _decisions(source: _Source, group: ClauseGroup) -> ColumnElement[bool]:
    """Return deeply nested groups as a flat list of decisions.

    It follows the largest part of each group, so that the others, which may be such lists too, have half the size.
    """
    decisions: list[tuple[str, ColumnElement[bool]]] = []
    clause: Clause = group
    while isinstance(clause, ClauseGroup) and clause.depth > MOST_NESTED:
        sizes = [part.size if isinstance(part, ClauseGroup) else 0 for part in clause.parts]
        largest = sizes.index(max(sizes))
        others = [_clause(source, part) for at, part in enumerate(clause.parts) if at != largest]
        if others:
            decisions.append((clause.joint, _joined(clause.joint, others)))
        clause = clause.parts[largest]
    return Decisions(decisions, _clause(source, clause))


def _sub_query(source: _Source, clause: SubQueryClause) -> ColumnElement[bool]:
    """Return the comparison of a field, an element of a collection or a tag with values of other rows."""
    if clause.path.inventory is None or clause.inventory.is_absent:
        return false()
    return _along(source, clause.path.steps, lambda here: _sub_query_leaf(here, clause))


def _sub_query_leaf(source: _Source, clause: SubQueryClause) -> ColumnElement[bool]:
    name = clause.path.name
    if name in TAGS:
        table, column = TAGS[name]
        return _keyed(source, clause, table, "resourceUuid", column, POSITIVE.get(clause.operator, clause.operator))
    if collection := source.inventory.collection(name):
        return _keyed(source, clause, collection.table, collection.own, collection.foreign, clause.operator)
    return _compare_rows(source, source.column(name), clause.path.kind, clause.operator, clause)


def _keyed(
    source: _Source, clause: SubQueryClause, table: Table, own: str, column: str, operator: Operator
) -> ColumnElement[bool]:
    rows = table.alias()
    passing = select(rows.c[own]).where(_compare_rows(source, rows.c[column], clause.path.kind, operator, clause))
    found = source.column(source.inventory.key).in_(passing)
    return found if operator is clause.operator else not_(found)


def _compare_rows(
    source: _Source, column: ColumnElement[Any], kind: Kind, operator: Operator, clause: SubQueryClause
) -> ColumnElement[bool]:
    there = _Source(clause.inventory, source.rows)
    field = clause.inventory.field(clause.field)
    assert field is not None, "prepared_query checks the names of subqueries"
    left, right = RULES[kind].order(column), RULES[field.kind].order(there.column(clause.field))
    if kind is not field.kind and {kind, field.kind} == {Kind.TEXT, Kind.UUID}:
        left, right = Folded(column), Folded(there.column(clause.field))
    rows = select(right.label("value")).select_from(there.tables)
    if clause.where is not None:
        rows = rows.where(_clause(there, clause.where))
    if operator in (Operator.IN, Operator.EQUAL):
        return _among(there, left, rows)
    if operator in (Operator.NOT_IN, Operator.NOT_EQUAL):
        return _among(there, left, rows, "NOT IN")
    return _among(there, left, rows.limit(1), operator)


def _among(there: _Source, left: ColumnElement[Any], rows: Select[Any], operator: str = "IN") -> ColumnElement[bool]:
    """Return the comparison of a value with those of a subquery, over `there`, whose conditions are complete."""
    right = _Rows(rows)
    there.rows.append(right)
    compared: ColumnElement[bool] = left.op(operator, is_comparison=True)(right)
    return compared


def _along(
    source: _Source, steps: Sequence[Expansion], compare: Callable[[_Source], ColumnElement[bool]]
) -> ColumnElement[bool]:
    """Return the condition that some row at the end of the steps passes `compare`."""
    if not steps:
        return compare(source)
    step, *rest = steps
    there = _Source(INVENTORIES[step.inventory], source.rows)
    rows = select(there.column(step.foreign).label("value")).select_from(there.tables)
    return _among(there, source.column(step.own), rows.where(_along(there, rest, compare)))


def _test(source: _Source, test: Predicate, number: int) -> ColumnElement[bool]:
    if test.path.inventory is None:
        return false()
    return _over_steps(source, test.path.steps, test, number)


def _over_steps(source: _Source, steps: Sequence[Expansion], test: Predicate, number: int) -> ColumnElement[bool]:
    """Return the condition that some row at the end passes; each finds a row of its own (query-semantics 4.4)."""
    if test.operator in HAS and steps and test.path.name not in TAGS:
        *before, last = steps
        there = INVENTORIES[last.inventory]
        if there.field(test.path.name) is not None:
            return _along(source, before, lambda here: _has_rows(here, there, last, test, number))
    return _along(source, steps, lambda here: _predicate_clause(here, test, number))


def _has_rows(
    source: _Source, inventory: Inventory, step: Expansion, test: Predicate, number: int
) -> ColumnElement[bool]:
    there = _Source(inventory)
    rows = _having(there.tables, there.column(step.foreign), there.column(test.path.name), test, number)
    return source.column(step.own).in_(rows)


def _having(
    tables: FromClause, key: ColumnElement[Any], column: ColumnElement[Any], test: Predicate, number: int
) -> Select[Any]:
    """Select the keys of the rows whose column has all values of a list or, negated, none of them."""
    among = RULES[test.path.kind].compare(column, Operator.IN, _binds(test, number))
    if test.operator is Operator.NOT_HAS:
        return select(key).select_from(tables).where(key.not_in(select(key).select_from(tables).where(among)))
    compared = RULES[test.path.kind].order(column)
    found = select(key).select_from(tables).where(among).group_by(key)
    return found.having(func.count(compared.distinct()) == test.size)


def _predicate_clause(source: _Source, test: Predicate, number: int) -> ColumnElement[bool]:
    name, operator = test.path.name, test.operator
    if name in TAGS:
        return _tagged(source, *TAGS[name], test, number)
    collection = source.inventory.collection(name)
    if collection is None:
        field = source.inventory.field(name)
        compared = _compare(source.column(name), operator, test, number)
        if field is not None and field.indexed and test.path.kind is Kind.TEXT:
            if operator in (Operator.EQUAL, Operator.IN):
                return EitherWay(_looked_up(source, test, number), compared)
            if operator in LIKES:
                return indexed_like(source.column(name), source.table_of(name).alias(), operator, _binds(test, number))
        return compared
    # Whatever the operator, some element has to pass (query-semantics 4.3).
    table = collection.table.alias()
    if operator in HAS:
        rows = _having(table, table.c[collection.own], table.c[collection.foreign], test, number)
        return source.column("uuid").in_(rows)
    passing = select(table.c[collection.own]).where(_compare(table.c[collection.foreign], operator, test, number))
    return source.column("uuid").in_(passing)


def _looked_up(source: _Source, test: Predicate, number: int) -> ColumnElement[bool]:
    """Return the condition that the uuid is among those that the indexes find.

    SQLite scans the table rather than use two indexes for an OR; a UNION ALL forces it to use both.
    """
    table = source.table_of(test.path.name).alias()
    found = index_look_ups(table.c[test.path.name], test.operator, _binds(test, number))
    return source.column("uuid").in_(union_all(*(select(table.c.uuid).where(condition) for condition in found)))


def _tagged(source: _Source, table: Table, column: str, test: Predicate, number: int) -> ColumnElement[bool]:
    """Return the condition that some tag passes or, negated, that none does (query-semantics 4.5)."""
    tags = table.alias()
    operator = POSITIVE.get(test.operator, test.operator)
    if operator is Operator.HAS:
        rows = _having(tags, tags.c.resourceUuid, tags.c[column], test, number)
        return source.column(source.inventory.key).in_(rows)
    passing = select(tags.c.resourceUuid).where(_compare(tags.c[column], operator, test, number))
    found = source.column(source.inventory.key).in_(passing)
    return not_(found) if operator is not test.operator else found


def _compare(column: ColumnElement[Any], operator: Operator, test: Predicate, number: int) -> ColumnElement[bool]:
    return RULES[test.path.kind].compare(column, operator, _binds(test, number))


def _binds(test: Predicate, number: int) -> list[ColumnElement[Any]]:
    return [bindparam(parameter_name(number), None)] if test.parameters else []


def _expression(source: _Source, expression: Expression) -> ColumnElement[Any]:
    if isinstance(expression, Name):
        if expression.text.lower() == GROUP_COUNT.lower():
            return func.count()
        field = source.inventory.field(expression.text.rpartition(".")[2])
        assert field is not None, "prepared_query checks the names to sort by"
        return RULES[field.kind].order(source.column(field.name))
    left, right = (_expression(source, one) for one in (expression.left, expression.right))
    return Quotient(left, right) if expression.operator == "/" else Calculation(expression.operator, left, right)
