"""Small changes: plans that read and write a few rows, each in a transaction, many of them in one call of the store.

A plan is a function that does not wait. SQLite's thread runs all the plans that wait for their turn, between one BEGIN
and one COMMIT; each call of that thread costs more than the rows do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update

Write = Insert | Update | Delete
Rows = Sequence[Sequence[Any]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Written:
    """What a statement has written: the number of rows, and the number that the store has given to a new row."""

    rows: int
    number: int


class Changes(Protocol):
    """Reads and writes in the transaction of a plan. Statements are compiled once: do not build them at each call."""

    def rows(self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, object]) -> Rows:
        """Return the rows of a statement."""

    def write(self, statement: Write, parameters: Mapping[str, object]) -> Written:
        """Execute a statement; an INSERT or UPDATE without values sets the columns that `parameters` name.

        Name all columns that have no default in the table itself.
        """


Plan = Callable[[Changes], T]
"""Reads and writes, and returns a result. It may be called again, after a transaction that was rolled back."""


class ChangesBySqlAlchemy:
    """Changes on a connection of SQLAlchemy's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, object]) -> Rows:
        """Return the rows of a statement."""
        return self._connection.execute(statement, parameters).all()

    def write(self, statement: Write, parameters: Mapping[str, object]) -> Written:
        """Execute a statement."""
        done = self._connection.execute(statement, parameters)
        key = done.inserted_primary_key if done.is_insert else None
        number = key[0] if key is not None and isinstance(key[0], int) else 0
        return Written(done.rowcount, number)


class ChangesByCursor:
    """Changes on a connection of SQLAlchemy's to SQLite: each statement is the same call of SQLite's thread.

    SQLAlchemy takes several times as long as SQLite does to prepare a statement, and to read a row.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, object]) -> Rows:
        """Return the rows of a statement."""
        ready = _compiled(statement, self._connection.dialect)
        return ready.results(self._execute(ready, parameters).fetchall())

    def write(self, statement: Write, parameters: Mapping[str, object]) -> Written:
        """Execute a statement."""
        done = self._execute(_compiled(statement, self._connection.dialect, tuple(parameters)), parameters)
        return Written(done.rowcount, done.lastrowid or 0)

    def _execute(self, ready: _Compiled, parameters: Mapping[str, object]) -> Any:
        if not self._connection.in_transaction():
            self._connection.begin()  # as its own statements do
        values = ready.values(parameters)
        cursor = self._connection.connection.cursor()
        try:
            cursor.execute(ready.sql, values)
        except sqlite3.Error as error:  # reported and wrapped as that of its own statements
            cast("Any", self._connection)._handle_dbapi_exception(error, ready.sql, values, cursor, None)
        return cursor


def changes_on(connection: Connection) -> Changes:
    """Return what reads and writes on a connection of SQLAlchemy's, for `AsyncConnection.run_sync`."""
    return ChangesByCursor(connection) if connection.dialect.name == "sqlite" else ChangesBySqlAlchemy(connection)


def carry_out(plan: Plan[T]) -> Callable[[Connection], T]:
    """Return a function for `AsyncConnection.run_sync` that carries out a plan."""
    return lambda connection: plan(changes_on(connection))


class ChangesOfSqlite:
    """Changes on a raw connection of SQLite's, in its thread."""

    def __init__(self, connection: sqlite3.Connection, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect

    def rows(self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, object]) -> Rows:
        """Return the rows of a statement."""
        ready = _compiled(statement, self._dialect)
        return ready.results(self._connection.execute(ready.sql, ready.values(parameters)).fetchall())

    def write(self, statement: Write, parameters: Mapping[str, object]) -> Written:
        """Execute a statement."""
        ready = _compiled(statement, self._dialect, tuple(parameters))
        done = self._connection.execute(ready.sql, ready.values(parameters))
        return Written(done.rowcount, done.lastrowid or 0)


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    parameters: Sequence[tuple[str, object, Callable[[Any], Any] | None]]
    """Names in the order of the SQL, with the value of one that is not given, and what converts a value."""
    columns: Sequence[Callable[[Any], Any] | None] | None
    """What converts the columns of a row; None where all stay as they are."""

    def values(self, given: Mapping[str, object]) -> list[object]:
        return [
            value if convert is None else convert(value)
            for value, convert in ((given.get(name, other), convert) for name, other, convert in self.parameters)
        ]

    def results(self, rows: Rows) -> Rows:
        if self.columns is None:
            return rows
        return [
            [value if convert is None else convert(value) for value, convert in zip(row, self.columns, strict=True)]
            for row in rows
        ]


@lru_cache(maxsize=256)
def _compiled(statement: Select[*tuple[Any, ...]] | Write, dialect: Dialect, names: tuple[str, ...] = ()) -> _Compiled:
    """Compile a statement: an INSERT or UPDATE for the columns in `names`."""
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(names) if names else None)
    others = compiled.params
    parameters = [
        (name, others.get(name), compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
        for name in compiled.positiontup
    ]
    columns = None
    if isinstance(statement, Select):
        kinds = [one.type.dialect_impl(dialect) for one in statement.selected_columns]
        columns = [kind.result_processor(dialect, None) for kind in kinds]
    return _Compiled(str(compiled), parameters, columns if columns and any(columns) else None)
