"""Run queries: prepare each one first, which finds most errors; then call the database (query-semantics 0)."""

from __future__ import annotations

import math
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Dialect

from imagestore_sim.database import Database, ReadTooLong, is_out_of_range
from imagestore_sim.pieces import in_pieces
from imagestore_sim.query.collation import with_stand_in, without_stand_in
from imagestore_sim.query.comparisons import Bound, Value
from imagestore_sim.query.compile import AGGREGATES, LIMIT, OWNER, START, Shape, SqlStatement, compile_shape
from imagestore_sim.query.conditions import Condition, Operator, Query, by_uuid
from imagestore_sim.query.errors import QueryError, cloud_runtime_error, extraction_error
from imagestore_sim.query.inventories import INVENTORIES, Inventory
from imagestore_sim.query.language.statements import statements
from imagestore_sim.query.prepared_query import PreparedQuery, prepare_query, prepare_statement
from imagestore_sim.query.rows import Row, RowWriter, WriteDate
from imagestore_sim.query.text_index import TextCopies
from imagestore_sim.query.zql_text import is_plain
from imagestore_sim.tasks import BYTES_OF_A_ROW, by_size

KEPT_STATEMENTS = 256
MOST_TESTS_OF_A_KEPT_STATEMENT = 16
BYTES_OF_A_TEST = 512  # of SQL, on average
NO_LIMIT = 2**31 - 1
SHORT_TEXTS, FEW_WILDCARDS = 256, 4
"""Of all values of a read that may be run on the event loop: their characters, and the `%` of their patterns."""
UUIDS_PER_READ = 512
WORK_OF_A_CHARACTER = 8
"""How many times longer it takes to parse a character than to scan it, on average."""
NOT_IN_QUERY = ("count", "sum")
ReturnWith = Callable[[Inventory, Sequence[str], Sequence[tuple[str, str]]], Awaitable[dict[str, object]]]
"""Answers the blocks in `return with`, by name and text, about the rows of an inventory with these keys."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The result of a query: rows with the Java class of each (None for a count), and the total if it was requested.

    `nested` has the Java class of the objects in each field that lists objects.
    """

    rows: Sequence[Row] | None
    java_classes: Sequence[str]
    total: int | None
    nested: Mapping[str, str] = field(default_factory=dict)

    def schema_of(self, path: str, index: int = 0) -> dict[str, str]:
        """Return the Java classes of a row and of the objects that it lists, by their paths; the row is at `path`."""
        schema = {path: self.java_classes[index]}
        row = self.rows[index] if self.rows else {}
        for name, java_class in self.nested.items():
            objects = row[name]
            assert isinstance(objects, list)
            schema |= {f"{path}.{name}[{place}]": java_class for place in reversed(range(len(objects)))}
        return schema


class QueryEngine:
    """Runs queries on a database; `write_date` converts a stored date to its form in an answer."""

    def __init__(self, database: Database, *, write_date: WriteDate) -> None:
        self._database = database
        self._write_date = write_date
        self._is_sqlite = database.dialect.name == "sqlite"
        self._texts = TextCopies(database)
        self._kept = lru_cache(maxsize=KEPT_STATEMENTS)(self._compile)

    async def find(self, inventory: Inventory, uuid: str) -> QueryResult:
        """Return the resource with that uuid, as at most one row."""
        return await self.run(inventory, by_uuid(uuid))

    async def run(self, inventory: Inventory, query: Query, owner: str | None = None) -> QueryResult:
        """Run a query, over the rows of one `owner` if one is given and the inventory has owners. Raise QueryError."""
        return await self._answer(_seen_by(owner, await by_size(_size(query), prepare_query, inventory, query)))

    async def _answer(self, prepared: PreparedQuery) -> QueryResult:
        """Fetch rows, or their number."""
        if prepared.counted:
            return QueryResult(None, (), await self._count(prepared))
        rows, java_classes = await self._rows(prepared)
        total = await self._count(prepared) if prepared.with_total else None
        nested = {} if prepared.shape.fields is not None else await self._list_objects(prepared.target, rows)
        return QueryResult(rows, java_classes, total, nested)

    async def results(
        self, text: str, owner: str | None = None, return_with: ReturnWith | None = None
    ) -> list[dict[str, object]]:
        """Run each statement in a text of the query language, and return the answers. Raise QueryError.

        `return_with` answers the blocks of `return with`; without it they are left out, as by ZStack's open half.
        """
        found = await by_size(len(text) * WORK_OF_A_CHARACTER, statements, text)
        results = []
        for one in found:
            prepared = _seen_by(owner, await by_size(len(text), prepare_statement, one))
            results.append(await self._result(prepared) | await self._returned(prepared, return_with))
        return results

    async def _returned(self, prepared: PreparedQuery, return_with: ReturnWith | None) -> dict[str, object]:
        """Return what the blocks of a statement ask about the resources that it selects."""
        if return_with is None or not prepared.blocks:
            return {}
        shape = replace(prepared.shape, fields=(prepared.target.key,))
        uuids = [str(key) for key, *_ in await self._lists(replace(prepared, shape=shape))]
        return {"returnWith": await return_with(prepared.target, uuids, prepared.blocks)}

    async def _result(self, prepared: PreparedQuery) -> dict[str, object]:
        """Run one statement, and return the fields of its answer."""
        shape = prepared.shape
        result: dict[str, object] = {}
        if shape.sum_by is not None:
            result["inventories"] = await self._lists(prepared)
        elif prepared.counted and shape.group_by:
            result |= await self._group_counts(prepared)
        elif shape.function in AGGREGATES:
            (name,) = shape.fields or ("",)
            values = [values[0] for values in await self._lists(prepared)]
            result["inventoryAggregateFunctions"] = [[{name: value}, value] for value in values]
        else:
            found = await self._answer(prepared)
            if shape.function in NOT_IN_QUERY:
                raise cloud_runtime_error(f"query grammar can't support, {shape.function}")
            result |= {"inventories": found.rows} if found.rows is not None else {}
            result |= {"total": found.total} if found.total is not None else {}
        return result if prepared.name is None else {**result, "name": prepared.name}

    async def _rows(self, prepared: PreparedQuery) -> tuple[list[Row], list[str]]:
        if not prepared.limit:
            return [], []
        writer, rows = await self._fetch(prepared.shape, prepared)
        if rows and prepared.row_error is not None:
            raise prepared.row_error
        return await by_size(len(rows) * BYTES_OF_A_ROW, writer.write, rows)

    async def _lists(self, prepared: PreparedQuery) -> list[list[object]]:
        """Fetch rows as lists of their values."""
        if not prepared.limit:
            return []
        writer, rows = await self._fetch(prepared.shape, prepared)
        return await by_size(len(rows) * BYTES_OF_A_ROW, writer.all_values, rows)

    async def _group_counts(self, prepared: PreparedQuery) -> dict[str, object]:
        """Count the rows of each group, and all rows."""
        shape = prepared.shape
        counted = replace(shape, counted=True)
        counts: list[list[object]] = []
        if prepared.limit:
            writer, rows = await self._fetch(counted, prepared)
            members, _ = await by_size(len(rows) * BYTES_OF_A_ROW, writer.write, rows)
            counts = [[one, row[-1]] for one, row in zip(members, rows, strict=True)]
        total = await self._count(prepared)
        return {"inventoryCounts": counts, "total": total} if counts else {"total": total}

    async def _list_objects(self, target: Inventory, rows: Sequence[Row]) -> dict[str, str]:
        """Add to each row the objects that it lists; return the Java class of the objects by field."""
        nested: dict[str, str] = {}
        for collection in target.collections:
            if collection.inventory is None:
                continue
            elements = INVENTORIES[collection.inventory]
            nested[collection.name] = elements.java_class
            lists: dict[object, list[Row]] = {row["uuid"]: [] for row in rows}
            for uuids in in_pieces([str(uuid) for uuid in lists], UUIDS_PER_READ):
                among = Condition(collection.own, Operator.IN, ",".join(uuids))
                found = await self.run(elements, Query(conditions=(among,), limit=NO_LIMIT))
                for one in found.rows or ():
                    lists[one[collection.own]].append(one)
            for row in rows:
                row[collection.name] = lists[row["uuid"]]
        return nested

    async def _count(self, prepared: PreparedQuery) -> int:
        shape = replace(prepared.shape, counted=True, orders=(), group_by=(), fields=self._counted_fields(prepared))
        _, rows = await self._fetch(shape, prepared)
        return int(rows[0][0]) if rows else 0

    def _counted_fields(self, prepared: PreparedQuery) -> tuple[str, ...] | None:
        """Return the field whose values are counted: ZStack counts those of the first one."""
        fields = prepared.shape.fields
        return fields[:1] if fields else None

    async def _fetch(self, shape: Shape, prepared: PreparedQuery) -> tuple[RowWriter, list[tuple[Any, ...]]]:
        if prepared.deferred_error is not None:
            raise prepared.deferred_error
        if shape.inventory.is_absent:
            return RowWriter(shape.inventory, (), self._write_date, with_fields=False), []
        if len(prepared.values) <= MOST_TESTS_OF_A_KEPT_STATEMENT:
            statement, writer = self._kept(shape, kept_shape)
        else:
            statement, writer = await by_size(
                len(prepared.values) * BYTES_OF_A_TEST, self._compile, shape, compile_shape
            )
        values = {**prepared.values, LIMIT: prepared.limit, START: prepared.start}
        try:
            return writer, await self._read(shape, statement, values)
        except ReadTooLong as error:
            text = f"org.hibernate.QueryTimeoutException: could not extract ResultSet: {error}"
            raise QueryError(text, thrown="javax.persistence.QueryTimeoutException") from None
        except Exception as error:
            if not is_out_of_range(error):
                raise
            raise extraction_error("DataException") from None

    async def _read(self, shape: Shape, statement: SqlStatement, values: Mapping[str, Bound]) -> list[tuple[Any, ...]]:
        """Return the rows of a statement: of a few that an index finds, of those that can match, or of all."""
        database, parameters = self._database, self._parameters(statement, values)
        if statement.quick:
            return await database.fetch_few(statement.sql, parameters)
        if not _may_be_short(values.values()):
            return await database.fetch(statement.sql, parameters)
        if (narrowed := await self._texts.narrowed(shape, values)) is not None:
            less, _ = self._kept(narrowed.shape, kept_shape)
            rows = await database.fetch_soon(less.sql, self._parameters(less, narrowed.values))
            if narrowed.holds():
                return rows
        return await database.fetch_soon(statement.sql, parameters)

    def _parameters(self, statement: SqlStatement, values: Mapping[str, Bound]) -> list[object]:
        return [self._bound(values.get(name, constant)) for name, constant in statement.parameters]

    def _bound(self, value: Bound | None) -> object:
        """Return the parameter for the driver: SQLite takes a list as JSON (see Among), MariaDB texts as they are."""
        if self._is_sqlite:
            return _as_json(value) if isinstance(value, tuple) else value
        if isinstance(value, tuple):
            return tuple(map(_for_mariadb, value))
        return None if value is None else _for_mariadb(value)

    def _compile(
        self, shape: Shape, statement_of: Callable[[Shape, Dialect], SqlStatement]
    ) -> tuple[SqlStatement, RowWriter]:
        statement = statement_of(shape, self._database.dialect)
        with_fields = shape.fields is not None
        return statement, RowWriter(shape.inventory, statement.columns, self._write_date, with_fields=with_fields)


@lru_cache(maxsize=KEPT_STATEMENTS)
def kept_shape(shape: Shape, dialect: Dialect) -> SqlStatement:
    """Return the SQL statement for a shape; all nodes of a process have it in common, as dialects are equal."""
    return compile_shape(shape, dialect)


def _may_be_short(values: Collection[object]) -> bool:
    """Return whether a statement with these values is prepared, and tests a row, in no time."""
    texts = [value for value in values if isinstance(value, str)]
    small = len(values) <= MOST_TESTS_OF_A_KEPT_STATEMENT and not any(isinstance(value, tuple) for value in values)
    return small and sum(map(len, texts)) <= SHORT_TEXTS and sum(text.count("%") for text in texts) <= FEW_WILDCARDS


def _size(query: Query) -> int:
    """Return the work that a query makes, in characters that are scanned: its names are parsed, in most its values not.

    A query that is not plain is parsed as a whole.
    """
    names = sum(map(len, query.fields or ())) + (0 if query.sort is None else len(query.sort.text))
    names += sum(len(one.name) for one in query.conditions)
    values = sum(len(one.value) for one in query.conditions)
    parsed = names if is_plain(query) else names + values
    return parsed * WORK_OF_A_CHARACTER + values


def _as_json(values: tuple[Value, ...]) -> str:
    """Return the values as a JSON list, without infinities: JSON has none, and no stored number equals one."""
    finite = (one for one in values if not isinstance(one, float) or math.isfinite(one))
    return orjson.dumps([with_stand_in(one) if isinstance(one, str) else one for one in finite]).decode()


def _for_mariadb(value: Value) -> Value:
    """Return the value; in place of an infinity, the number nearest to it, which no stored one equals either."""
    if isinstance(value, str):
        return without_stand_in(value)
    return math.copysign(sys.float_info.max, value) if isinstance(value, float) and math.isinf(value) else value


def _seen_by(owner: str | None, prepared: PreparedQuery) -> PreparedQuery:
    """Restrict a query to the rows of one owner, if one is given and the inventory has owners."""
    if owner is None or prepared.shape.inventory.owner is None:
        return prepared
    return replace(prepared, shape=replace(prepared.shape, owned=True), values={**prepared.values, OWNER: owner})
