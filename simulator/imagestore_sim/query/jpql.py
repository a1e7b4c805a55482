"""Write the JPQL that ZStack makes of a statement, which Hibernate's errors quote (ZStack's zql.sql and its visitors).

It never reaches the database; `compile` makes the SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from imagestore_sim.query.errors import QueryError, hibernate_error
from imagestore_sim.query.inventories import BY_TARGET, INVENTORIES, TAGS, Inventory, Kind
from imagestore_sim.query.language.statements import (
    Chain,
    Comparison,
    Given,
    Literal,
    Ordering,
    Statement,
    SubQuery,
    TwoFields,
    Where,
)
from imagestore_sim.query.paths import Steps, steps_of

NUL = "\0"
HERE, NUL_OF_CLIENT = f"{NUL}!", f"{NUL}0"
"""A marker before a token that Hibernate does not expect, and what stands for a NUL that a client sent."""
TOKEN = re.compile(r"'(?:[^']|'')*'|[\w$]+|\S")
TAG_TABLES = {"__userTag__": "UserTagVO", "__systemTag__": "SystemTagVO"}
TAG_PACKAGE = "org.zstack.header.tag"
NEGATED = {"!=": "=", "not in": "in", "not like": "like", "not has": "in"}
NULLS = ("is null", "is not null")


class Jpql:
    """The JPQL of one statement over an inventory, and Hibernate's errors about it."""

    def __init__(self, target: Inventory, statement: Statement) -> None:
        before, marker, after = _query(target, statement).partition(HERE)
        self.text = _unmarked(before + after)
        quote = self.text.find('"')
        self._unexpected = len(_unmarked(before)) if marker else None
        self._quote = quote if quote >= 0 else None

    def check(self) -> None:
        """Raise QueryError for the first token that Hibernate's parser rejects, if any."""
        if self._quote is not None and (self._unexpected is None or self._quote < self._unexpected):
            raise hibernate_error(f"QueryException: unexpected char: '\"' [{self.text}]")
        if self._unexpected is not None:
            found = TOKEN.search(self.text, self._unexpected)
            token, at = (found[0], found.start()) if found else ("null", len(self.text))
            place = f"unexpected token: {token} near line 1, column {at + 1}"
            raise hibernate_error(f"hql.internal.ast.QuerySyntaxException: {place} [{self.text}]")

    def refuse(self, problem: str, exception: str = "QueryException") -> QueryError:
        """Return Hibernate's error about JPQL that it could parse."""
        return hibernate_error(f"{exception}: {problem} [{self.text}]")

    def no_type(self, field: str) -> QueryError:
        """Return Hibernate's error about a selected field that is not a column."""
        node = (
            f"org.hibernate.hql.internal.ast.tree.IdentNode \n \\-[IDENT] IdentNode: '{field}' {{originalText={field}}}"
        )
        return self.refuse(f"No data type for node: {node}\n")


def _unmarked(text: str) -> str:
    return text.replace(HERE, "").replace(NUL_OF_CLIENT, NUL)


def _query(target: Inventory, statement: Statement) -> str:
    name = target.name
    clauses = [f"SELECT {_selected(target, statement)} FROM {target.entity} {name}"]
    for join in statement.joins:
        other = BY_TARGET.get(join.target.entity.lower())
        table = f"{other.entity} {other.name}" if other else join.target.entity
        clauses.append(f"{join.how} join {table} on {' '.join(_where(target, one) for one in join.where)}")
    if statement.where:
        first, *others = (_where(target, one) for one in statement.where)
        clauses.append("WHERE " + " ".join([first, *(HERE + one for one in others)]))
    if statement.sum_by is not None:
        clauses.append(f"GROUP BY {name}.{statement.sum_by}")
    elif statement.group_by:
        clauses.append(f"GROUP BY {','.join(statement.group_by)}")
    if statement.order_by:
        clauses.append("ORDER BY " + ",".join(map(_ordering, statement.order_by)))
    return " ".join(clauses)


def _selected(target: Inventory, statement: Statement) -> str:
    name, fields, groups = target.name, statement.target.fields, statement.group_by
    if statement.sum_by is not None:
        return ",".join([statement.sum_by, *(f"SUM({name}.{one}) as {one}" for one in fields)])
    if statement.verb == "count":
        counted = f"count({name}.{fields[0]})" if fields else f"count({name})"
        return ",".join([*(f"{name}.{one}" for one in groups), f"{counted} as groupCount"]) if groups else counted
    own = ",".join(fields) if fields else name
    return ",".join([*(f"{name}.{one}" for one in groups), own]) if groups else own


def _ordering(one: Ordering) -> str:
    owner, dot, field = one.text.partition(".")
    inventory = BY_TARGET.get(owner.lower()) if dot else None
    text = f"{inventory.name}.{field}" if inventory else one.text
    return f"{text} {'DESC' if one.descending else 'ASC'}"


def _where(target: Inventory, where: Where) -> str:
    match where:
        case Comparison(names, operator, given):
            return _comparison(target, ".".join(names), operator, given)
        case TwoFields(left, operator, right):
            return f"{_column(left.entity, left.fields[0])} {operator} {_column(right.entity, right.fields[0])}"
        case Chain(first, others):
            parts = [_where(target, first), *(_where(target, one) for _, one in others)]
            begins = [f"({part} {joint.upper()} " for part, (joint, _) in zip(parts, others, strict=False)]
            return "".join(begins) + parts[-1] + ")" * len(begins)


def _column(entity: str, field: str) -> str:
    return f"{BY_TARGET[entity.lower()].name}.{field}"


def _given(given: Given) -> str:
    match given:
        case Literal():
            return _literal(given)
        case SubQuery(entity, field, where):
            inventory = BY_TARGET[entity.lower()]
            text = f"SELECT {inventory.name}.{field} FROM {inventory.entity} {inventory.name}"
            return f"({text} WHERE {' '.join(_where(inventory, one) for one in where)})" if where else f"({text})"
        case None:
            return ""
    return f"({','.join(map(_literal, given))})"


def _literal(literal: Literal) -> str:
    return literal.text.replace(NUL, NUL_OF_CLIENT)


def _comparison(target: Inventory, name: str, operator: str, given: Given) -> str:
    path = steps_of(target, name)
    value = _given(given)
    test = _tester(operator, given, value)
    if not path.steps:
        return test(target, path.name)
    return _through(target, path, test)


Tester = Callable[[Inventory, str], str]


def _tester(operator: str, given: Given, value: str) -> Tester:
    def test(inventory: Inventory, field: str) -> str:
        if field in TAG_TABLES:
            return _tag(inventory, TAG_TABLES[field], operator, value)
        if field in TAGS:
            return _pattern(inventory, operator, value)
        collection = inventory.collection(field)
        if collection is not None:
            through = next(one for one in INVENTORIES.values() if one.tables[:1] == (collection.table,))
            rows = _listed(through, collection.own, collection.foreign, operator, value)
            return f"{inventory.name}.{inventory.key} IN ({rows})"
        return _plain(inventory, field, operator, given, value)

    return test


def _plain(inventory: Inventory, field: str, operator: str, given: Given, value: str) -> str:
    known = inventory.field(field)
    if known is not None and known.kind is Kind.BOOLEAN:
        value = value.strip("'")
    before, after = "", ""
    if "has" in operator:
        before = HERE
        operator = operator.replace("has", f"{HERE}has") if operator.startswith("not") else operator
        before = "" if operator.startswith("not") else HERE
    elif operator in NULLS:
        after = HERE if value else ""
    elif not value or (operator in ("in", "not in") and isinstance(given, Literal)):
        after = HERE
    return f"{inventory.name}.{field} {before}{operator} {after}{value}"


def _listed(through: Inventory, key: str, field: str, operator: str, value: str) -> str:
    """Return the subquery for the rows of a collection that meet a condition on one of their fields."""
    name = through.name
    if "has" in operator:
        return _having(through.entity, name, key, field, operator, value)
    return f"SELECT {name}.{key} FROM {through.entity} {name} WHERE {name}.{field} {operator} {value}"


def _having(entity: str, name: str, key: str, field: str, operator: str, value: str) -> str:
    select = f"SELECT {name}.{key} FROM {entity} {name} WHERE {name}."
    if operator == "has":
        count = len(re.sub(r"\s", "", value).split("','"))
        return f"{select}{field} in {value} GROUP BY {name}.{key} HAVING COUNT(distinct {name}.{field}) = {count}"
    inner = f" SELECT {name}_.{key} FROM {entity} {name}_ WHERE {name}_.{field} IN {value} "
    return f"{select}{key} NOT IN ({inner})"


def _tag(inventory: Inventory, table: str, operator: str, value: str) -> str:
    entity, row = f"{TAG_PACKAGE}.{table}", f"{inventory.name}.{inventory.key}"
    if operator in NEGATED:
        inner = f"SELECT tagvo_.uuid FROM {entity} tagvo_ WHERE tagvo_.tag {NEGATED[operator]} {value}"
        return f"({row} NOT IN (SELECT tagvo.resourceUuid FROM {entity} tagvo WHERE tagvo.uuid IN ({inner})))"
    if operator == "has":
        return f"({row} IN ({_having(entity, 'tagvo', 'resourceUuid', 'tag', operator, value)}))"
    return f"({row} IN (SELECT tagvo.resourceUuid FROM {entity} tagvo WHERE tagvo.tag {operator} {value}))"


def _pattern(inventory: Inventory, operator: str, value: str) -> str:
    entity, negated = f"{TAG_PACKAGE}.UserTagVO", "NOT" if operator in NEGATED else ""
    if operator == "has":
        rows = _having(entity, "tagvo", "resourceUuid", "tagPatternUuid", operator, value)
    else:
        condition = f"tagPatternUuid {NEGATED.get(operator, operator)}{value} "
        rows = f"SELECT distinct resourceUuid FROM {entity} WHERE {condition}"
    return f"({inventory.name}.{inventory.key} {negated} IN ({rows}))"


def _through(target: Inventory, path: Steps, test: Tester) -> str:
    """Return the nested subqueries of a path with steps."""
    selves = [target, *(INVENTORIES[step.inventory] for step in path.steps)]
    last, there = path.steps[-1], selves[-1]
    text = test(there, path.name)
    if f"{there.name}.{path.name} {HERE}has" in text or f"{there.name}.{path.name} not {HERE}has" in text:
        operator, _, value = text.removeprefix(f"{there.name}.{path.name} ").replace(HERE, "").partition("has ")
        text = f"({_having(there.entity, there.name, last.foreign, path.name, f'{operator}has', value)})"
    else:
        text = f"(SELECT {there.name}.{last.foreign} FROM {there.entity} {there.name} WHERE {text})"
    for here, before, step in zip(selves[-2:0:-1], path.steps[-2::-1], path.steps[:0:-1], strict=True):
        inner = f"{here.name}.{step.own} IN {text}"
        text = f"(SELECT {here.name}.{before.foreign} FROM {here.entity} {here.name} WHERE {inner})"
    return f"{target.name}.{path.steps[0].own} IN {text}"
