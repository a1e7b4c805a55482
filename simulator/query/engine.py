"""Carries out queries: a question is looked at first; then the database is asked (query-semantics 0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simulator.database import Database
from simulator.query.compile import LIMIT, START, Shape, Statement, compile_shape
from simulator.query.conditions import Query, by_uuid
from simulator.query.inventories import Inventory
from simulator.query.questions import Question, ask
from simulator.query.rows import Row, RowWriter, WriteMoment

KEPT_STATEMENTS = 256
MOST_TESTS_OF_A_KEPT_STATEMENT = 16


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found: the rows with the Java class of each, unless only their number was wanted; and the number."""

    rows: Sequence[Row] | None
    java_classes: Sequence[str]
    total: int | None


class QueryEngine:
    """Answers queries from a database; `write_moment` makes the answer's form of a stored date."""

    def __init__(self, database: Database, *, write_moment: WriteMoment) -> None:
        self._database = database
        self._write_moment = write_moment
        self._kept = lru_cache(maxsize=KEPT_STATEMENTS)(self._compile)

    async def find(self, inventory: Inventory, uuid: str) -> tuple[Row, str] | None:
        """The one resource of that uuid with its Java class, or None."""
        found = await self.run(inventory, by_uuid(uuid))
        return (found.rows[0], found.java_classes[0]) if found.rows else None

    async def run(self, inventory: Inventory, query: Query) -> Found:
        """What a query finds. Raises QueryError."""
        question = ask(inventory, query)
        if query.count:
            return Found(None, (), await self._count(question))
        rows, java_classes = await self._rows(question, query) if query.limit else ([], [])
        total = await self._count(question) if query.reply_with_count else None
        return Found(rows, java_classes, total)

    async def _rows(self, question: Question, query: Query) -> tuple[list[Row], list[str]]:
        shape = Shape(question.target, question.tests, question.orders, question.fields)
        page = {LIMIT: query.limit, START: query.start or 0}
        writer, rows = await self._fetch(shape, question, page)
        return writer.write(rows)

    async def _count(self, question: Question) -> int:
        shape = Shape(question.target, question.tests, fields=question.fields, counted=True)
        _, rows = await self._fetch(shape, question, {})
        return int(rows[0][0])

    async def _fetch(
        self, shape: Shape, question: Question, page: dict[str, int]
    ) -> tuple[RowWriter, list[tuple[Any, ...]]]:
        if question.objection is not None:
            raise question.objection
        compiled = self._kept if len(shape.tests) <= MOST_TESTS_OF_A_KEPT_STATEMENT else self._compile
        statement, writer = compiled(shape)
        values = {**question.values, **page}
        parameters = [values.get(name, constant) for name, constant in statement.parameters]
        return writer, await self._database.fetch(statement.sql, parameters)

    def _compile(self, shape: Shape) -> tuple[Statement, RowWriter]:
        statement = compile_shape(shape, self._database.dialect)
        with_fields = shape.fields is not None
        return statement, RowWriter(shape.inventory, statement.columns, self._write_moment, with_fields=with_fields)
