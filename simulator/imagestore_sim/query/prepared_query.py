"""Prepare queries and statements for the database: look up each name, in ZStack's order (query-semantics 0)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from imagestore_sim.query.comparisons import LISTS, RULES, Bound, Unquoted, values_of
from imagestore_sim.query.compile import (
    FEW,
    GROUP_COUNT,
    Clause,
    FieldPair,
    Predicate,
    PredicateClause,
    Shape,
    SubQueryClause,
    grouped,
    parameter_name,
)
from imagestore_sim.query.conditions import INT_MAX, Condition, Operator, Query
from imagestore_sim.query.errors import (
    CLOUD_RUNTIME,
    ILLEGAL_ARGUMENT,
    OPERATION_FAILED,
    QueryError,
    cloud_runtime_error,
    extraction_error,
    nesting_error,
    sql_grammar_error,
)
from imagestore_sim.query.inventories import BY_TARGET, INVENTORIES, TAGS, Inventory, Kind
from imagestore_sim.query.jpql import Jpql
from imagestore_sim.query.language.statements import (
    Chain,
    Comparison,
    Given,
    Literal,
    Ordering,
    Restriction,
    Statement,
    SubQuery,
    Target,
    TwoFields,
    Where,
    statements,
)
from imagestore_sim.query.paths import MOST_STEPS, Path, has_field, resolve
from imagestore_sim.query.sorting import Order, SortSyntaxError, names_of, parse_order
from imagestore_sim.query.zql_text import is_plain, zql_text

INVALID_ARGUMENT = "SYS.1007"
SEARCH_DISABLED = "SEARCH.1000"
MOST_CONDITIONS = 5000
"""ZStack's limit is the stack of its thread: its parser recurses for each condition."""


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A query ready for the database: its shape, and `values` by the names of their parameters.

    `deferred_error` is an error that the database would raise: a query that reads no rows does not raise it. A query of
    an inventory that is not emulated has an empty answer.
    """

    target: Inventory
    shape: Shape
    values: Mapping[str, Bound]
    limit: int = INT_MAX
    start: int = 0
    counted: bool = False
    with_total: bool = False
    deferred_error: QueryError | None = None
    name: str | None = None
    row_error: QueryError | None = None
    """The error that ZStack raises about the first row that it reads, if there is one."""
    blocks: tuple[tuple[str, str], ...] = ()
    """The names in `return with` that have a block in braces, with its text."""


def prepare_query(inventory: Inventory, query: Query) -> PreparedQuery:
    """Prepare a query with parameters of REST. Raise QueryError."""
    _check_filter(query.filter_name)
    if len(query.conditions) > MOST_CONDITIONS:
        limits = f"a query may have {MOST_CONDITIONS} conditions, but {len(query.conditions)} got"
        raise QueryError(limits, thrown="java.lang.StackOverflowError")
    target = _inventory_by_type(inventory, query.conditions)
    if is_plain(query):
        try:
            return _prepare_plain(target, query)
        except QueryError:
            pass  # ZStack checks conditions in the order of a HashSet, and may report another error
    (statement,) = statements(zql_text(target, query))
    return prepare_statement(statement)


def _check_filter(name: str | None) -> None:
    """Raise QueryError for any filter: there are none here, as in open-source ZStack (query-semantics 8)."""
    if name is None:
        return
    if len(name.rstrip(":").split(":")) < 2:
        raise QueryError("filterName must be formatted as [filterType:condition(s)]", INVALID_ARGUMENT)
    raise cloud_runtime_error(f"unable to find QueryBelongFilter with type[{name}]")


def _inventory_by_type(inventory: Inventory, conditions: Sequence[Condition]) -> Inventory:
    """Return the inventory of the type that the first condition on `type` equals (query-semantics 4.1)."""
    first = next((condition for condition in conditions if condition.name == "type"), None)
    if first is None or first.operator is not Operator.EQUAL:
        return inventory
    return inventory.children.get(first.value) or inventory.other_children.get(first.value, inventory)


def _prepare_plain(target: Inventory, query: Query) -> PreparedQuery:
    """Prepare a query without the parser. Raise QueryError, not always the one that ZStack reports."""
    names = list(dict.fromkeys(query.fields or ()))
    if any(target.field(name) is None for name in names):
        raise sql_grammar_error()
    tests: list[Predicate] = []
    values: dict[str, Bound] = {}
    for number, condition in enumerate(query.conditions):
        path = resolve(target, condition.name)
        _check_template(path, condition.value)
        tests.append(_test(path, condition.operator, values_of(condition.operator, condition.value), number, values))
    orders: tuple[Order, ...] = ()
    if query.sort is not None:
        if target.field(query.sort.text) is None:
            raise sql_grammar_error()
        orders = parse_order(query.sort.text, descending=query.sort.descending)
    _check_page(query.limit, query.start)
    shape = Shape(target, tuple(tests), orders=orders, fields=tuple(names) if names else None)
    return PreparedQuery(
        target,
        shape,
        values,
        query.limit,
        query.start or 0,
        query.count,
        query.reply_with_count,
    )


def prepare_statement(statement: Statement) -> PreparedQuery:
    """Prepare a statement of the query language. Raise QueryError."""
    if statement.verb == "search":
        raise QueryError("search module disabled", SEARCH_DISABLED)
    return _StatementPreparer(statement).prepared()


class _StatementPreparer:
    """Looks up the names in a statement, and collects its values."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._target = inventory_named(statement.target.entity)
        self._values: dict[str, Bound] = {}
        self._deferred_error: QueryError | None = None
        self._row_error: QueryError | None = None

    def prepared(self) -> PreparedQuery:
        statement = self._statement
        names = self._checked_fields()
        if statement.sum_by is not None and not statement.target.fields:
            raise QueryError("the field to sum must be specified", INVALID_ARGUMENT)
        if statement.joins:
            raise QueryError("joined inventories are not emulated", OPERATION_FAILED)
        clauses = [clause for one in statement.where if (clause := self._where(self._target, one)) is not None]
        clauses += [clause for one in statement.restrictions if (clause := self._restricted(one)) is not None]
        orders = self._orders()
        jpql = Jpql(self._target, statement)
        jpql.check()
        self._check_columns(jpql, names)
        _check_page(statement.limit, statement.offset)
        shape = self._shape(names, clauses, orders)
        return PreparedQuery(
            self._target,
            shape,
            self._values,
            INT_MAX if statement.limit is None else statement.limit,
            statement.offset or 0,
            statement.verb == "count",
            "total" in statement.returned,
            self._deferred_error,
            statement.name,
            self._row_error,
            statement.blocks,
        )

    def _shape(self, names: Sequence[str], clauses: Sequence[Clause], orders: tuple[Order, ...]) -> Shape:
        where = _conjunction(clauses)
        statement = self._statement
        function = statement.functions[0].lower() if statement.functions else None
        return Shape(
            self._target,
            where=where,
            orders=orders,
            fields=tuple(one for one in dict.fromkeys(names) if not lists_objects(self._target, one)) or None,
            group_by=statement.group_by,
            sum_by=statement.sum_by,
            function=function,
        )

    def _checked_fields(self) -> list[str]:
        names = [*self._statement.group_by, *self._statement.target.fields]
        for name in names:
            if not has_field(self._target, name):
                raise _no_field(name)
        return names

    def _where(self, inventory: Inventory, where: Where, nested: int = 0) -> Clause | None:
        """Return the clause of a condition. `nested` is the number of queries around the one that it is in."""
        match where:
            case Comparison():
                return self._comparison(inventory, where, nested)
            case TwoFields():
                return self._field_pair(inventory, where)
            case Chain(first, others):
                return self._chain(inventory, first, others, nested)

    def _chain(
        self, inventory: Inventory, first: Where, others: Sequence[tuple[str, Where]], nested: int
    ) -> Clause | None:
        """Build right-nested groups: each operator applies to all that follows; equal operators share a group."""
        clauses = [self._where(inventory, one, nested) for one in (first, *(other for _, other in others))]
        joints = [joint for joint, _ in others]
        found, parts = clauses.pop(), deque[Clause]()
        if found is not None:
            parts.append(found)
        joint = joints[-1]
        for clause, next_joint in zip(reversed(clauses), reversed(joints), strict=True):
            if next_joint != joint:
                parts = deque([grouped(joint, parts)])
                joint = next_joint
            if clause is not None:
                parts.appendleft(clause)
        return grouped(joint, parts)

    def _comparison(self, inventory: Inventory, comparison: Comparison, nested: int = 0) -> Clause | None:
        path = resolve(inventory, ".".join(comparison.names))
        nested += len(path.steps)
        if nested > MOST_STEPS:
            raise nesting_error(MOST_STEPS)
        operator = Operator(comparison.operator)
        given = comparison.given
        if isinstance(given, SubQuery):
            return self._sub_query(path, operator, given, nested + 1)
        texts = [one.text for one in _literals(given)]
        _check_template(path, ",".join(texts))
        try:
            values = list(map(_read, _literals(given)))
            if path.kind is Kind.BOOLEAN and isinstance(given, Literal):
                values = [given.text.strip("'")]
            if operator in LISTS:
                values = values or [""]  # Hibernate refuses an empty list
            elif operator not in (Operator.IS_NULL, Operator.NOT_NULL):
                values = self._single(values)
            else:
                values = []
            if path.kind in (Kind.TEXT, Kind.UUID) and any(isinstance(one, Unquoted) for one in values):
                path = replace(path, kind=Kind.TEXT_AS_NUMBER)
            number = len(self._values)
            return PredicateClause(_test(path, operator, values, number, self._values, always=True), number)
        except QueryError as deferred_error:
            self._deferred_error = self._deferred_error or deferred_error
            return None

    def _single(self, values: Sequence[str]) -> list[str]:
        if len(values) > 1:
            raise extraction_error("DataException")
        return list(values) or [""]

    def _sub_query(self, path: Path, operator: Operator, sub_query: SubQuery, nested: int) -> Clause:
        nested += _is_of_other_rows(path)
        if nested > MOST_STEPS:
            raise nesting_error(MOST_STEPS)
        inventory = inventory_named(sub_query.entity)
        if not has_field(inventory, sub_query.field):
            raise _no_field(sub_query.field)
        clauses = [clause for one in sub_query.where if (clause := self._where(inventory, one, nested)) is not None]
        where = _conjunction(clauses)
        if inventory.field(sub_query.field) is None:
            self._deferred_error = self._deferred_error or sql_grammar_error()
        return SubQueryClause(path, operator, inventory, sub_query.field, where)

    def _field_pair(self, inventory: Inventory, fields: TwoFields) -> Clause | None:
        sides = [_column(fields.left), _column(fields.right)]
        if any(owner is not inventory or inventory.field(name) is None for owner, name in sides):
            self._deferred_error = self._deferred_error or sql_grammar_error()
            return None
        return FieldPair(sides[0][1], Operator(fields.operator), sides[1][1])

    def _restricted(self, one: Restriction) -> Clause | None:
        if one.entity is None:
            text = f"the restrict by clause[{one.field} {one.operator} {one.given}] without entity name"
            raise QueryError(f"{text} is not handled by any extension", thrown="org.zstack.zql.ast.visitors.ZQLError")
        path = path_between(self._target, inventory_named(one.entity))
        if path is None:
            return None
        return self._comparison(self._target, Comparison((*path, one.field), one.operator, one.given))

    def _orders(self) -> tuple[Order, ...]:
        found: list[Order] = []
        for ordering in self._statement.order_by:
            if (order := self._order(ordering)) is not None:
                found.append(order)
        return tuple(found)

    def _order(self, ordering: Ordering) -> Order | None:
        try:
            (order,) = parse_order(ordering.text, descending=ordering.descending)
        except (SortSyntaxError, ValueError):
            self._deferred_error = self._deferred_error or sql_grammar_error()
            return None
        for name in names_of(order.expression):
            owner, dot, field = name.partition(".")
            if dot:
                if inventory_named(owner) is self._target and self._target.field(field) is None:
                    self._deferred_error = self._deferred_error or sql_grammar_error()
            elif not has_field(self._target, name) and not (
                self._statement.group_by and name.lower() == GROUP_COUNT.lower()
            ):
                # A lone apostrophe in ZStack's text keeps the name from being filled in.
                text = f"invalid order by clause, inventory[{self._target.name}] doesnt have field[{{1}}]"
                raise QueryError(text, thrown="org.zstack.zql.ast.visitors.ZQLError")
            elif self._target.field(name) is None and not self._is_group_count(name):
                self._deferred_error = self._deferred_error or sql_grammar_error()
        return order

    def _is_group_count(self, name: str) -> bool:
        """Return whether a name to sort by is the count of each group."""
        statement = self._statement
        return statement.verb == "count" and bool(statement.group_by) and name.lower() == GROUP_COUNT.lower()

    def _check_columns(self, jpql: Jpql, names: Sequence[str]) -> None:
        """Raise QueryError for names that are not columns: collections, tags, fields of other inventories.

        Hibernate refuses those that are selected, the database those to sort by (query-semantics 5).
        """
        target = self._target
        by = self._statement.sum_by
        if by is not None and target.field(by) is None:
            raise jpql.refuse(f"could not resolve property: {by} of: {target.entity}")
        for ordering in self._statement.order_by:
            owner, dot, field = ordering.text.partition(".")
            if dot and ordering.text.replace(".", "").replace("_", "").isalnum():
                inventory = inventory_named(owner)
                if inventory is not target:
                    exception = "hql.internal.ast.QuerySyntaxException"
                    raise jpql.refuse(f"Invalid path: '{inventory.name}.{field}'", exception)
        if self._statement.verb == "query" and not self._statement.functions:
            for name in names:
                if lists_objects(target, name):
                    self._select_objects(name, alone=len(names) == 1)
                elif target.field(name) is None:
                    raise jpql.no_type(name)

    def _select_objects(self, name: str, *, alone: bool) -> None:
        """Fail as ZStack does on a field that lists rows of another table: on its first row, or in the database."""
        if alone:
            text = f"{CLOUD_RUNTIME}: For the field[{name}], fail to convert a vo to a inventory"
            self._row_error = cloud_runtime_error(text)
        else:
            self._deferred_error = self._deferred_error or sql_grammar_error()


def lists_objects(target: Inventory, name: str) -> bool:
    """Return whether a field lists objects, which the entity in ZStack has as well."""
    collection = target.collection(name)
    return collection is not None and collection.inventory is not None


def _is_of_other_rows(path: Path) -> bool:
    """Return whether the rows of tags or of a collection are searched for the values at the end of a path."""
    return path.name in TAGS or (path.inventory is not None and path.inventory.collection(path.name) is not None)


def _conjunction(clauses: Sequence[Clause]) -> Clause | None:
    return clauses[0] if len(clauses) == 1 else grouped("and", clauses) if clauses else None


def inventory_named(entity: str) -> Inventory:
    """Return the inventory with a name of the query language, case-insensitive. Raise QueryError."""
    inventory = BY_TARGET.get(entity.lower())
    if inventory is None:
        raise QueryError(f"cannot find inventory with name[{entity}]", thrown="java.lang.RuntimeException")
    return inventory


def path_between(start: Inventory, end: Inventory) -> tuple[str, ...] | None:
    """Return the names of the fewest expansions from one inventory to another; None if there is no path."""
    waiting: deque[tuple[Inventory, tuple[str, ...]]] = deque([(start, ())])
    seen = {start.name}
    while waiting:
        here, path = waiting.popleft()
        if here is end:
            return path
        for name, step in here.expansions.items():
            if step.inventory not in seen:
                seen.add(step.inventory)
                waiting.append((INVENTORIES[step.inventory], (*path, name)))
    return None


def _no_field(name: str) -> QueryError:
    # The placeholder is ZStack's mistake: it does not fill in the class.
    return cloud_runtime_error(f"inventory[${{selfInventoryClass}}] has no field[{name}]")


def _column(target: Target) -> tuple[Inventory, str]:
    if not target.fields:
        raise QueryError("fieldList is empty, cannot get columnName", OPERATION_FAILED)
    return inventory_named(target.entity), target.fields[0]


def _check_template(path: Path, text: str) -> None:
    if path.name in TAGS and "%s" in text:
        raise QueryError(None, thrown="java.lang.NullPointerException")  # ZStack takes it for a placeholder


def _check_page(limit: int | None, start: int | None) -> None:
    if limit is not None and limit < 0:
        raise QueryError("max-results cannot be negative", thrown=ILLEGAL_ARGUMENT)
    if start is not None and start < 0:
        raise QueryError(f"first-result value cannot be negative : {start}", thrown=ILLEGAL_ARGUMENT)


def _test(
    path: Path,
    operator: Operator,
    texts: Sequence[str],
    number: int,
    values: dict[str, Bound],
    *,
    always: bool = False,
) -> Predicate:
    """Return the predicate of a condition, and add its value to `values`; with `always`, add an entry in any case."""
    operator, read = RULES[path.kind].read(operator, texts)
    is_list = operator in LISTS
    if read:
        values[parameter_name(number)] = tuple(dict.fromkeys(read)) if is_list else read[0]
    elif always:
        values[parameter_name(number)] = ""
    return Predicate(path, operator, min(len(read), 1), is_list and len(read) > FEW, len(texts) if is_list else 0)


def _literals(given: Given) -> tuple[Literal, ...]:
    match given:
        case None | SubQuery():
            return ()
        case Literal():
            return (given,)
    return given


ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}


def _read(literal: Literal) -> str:
    """Return the value of a literal as MariaDB reads it. Raise QueryError if MariaDB would end it elsewhere."""
    if not literal.is_text:
        return Unquoted(literal.text)
    found: list[str] = []
    characters = iter(literal.text[1:])
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            found.append(ESCAPES.get(escaped, escaped))
        elif character != "'":
            found.append(character)
        elif (following := next(characters, None)) == "'":
            found.append("'")
        elif following is None:
            return "".join(found)
        else:
            break
    raise sql_grammar_error()
