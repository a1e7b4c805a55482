"""How tables are made in a MariaDB: with ZStack's character set, and so that a migration can be run again.

MariaDB commits each change of a table at once, so a migration that was interrupted has left a part of its tables.
"""

from __future__ import annotations

import re
from typing import Any

from alembic.ddl.base import AddColumn, visit_add_column
from sqlalchemy import Index, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import coercions, roles
from sqlalchemy.sql.compiler import DDLCompiler, TypeCompiler

from imagestore_sim.database.mariadb.schema import OPTIONS

NAME = "mariadb"
"""The name of SQLAlchemy's dialect."""
WIDE = "MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
"""Texts of any length, such as results of jobs, hold every character: 16 MB at most."""


class WholeTable(CreateTable):
    """Creates a table with its indexes in one statement: MariaDB rebuilds a table for each index that comes later."""


@compiles(WholeTable, NAME)
def _compile_whole_table(element: WholeTable, compiler: DDLCompiler, **options: Any) -> str:
    head, closed, _ = _compile_table(element, compiler, **options).rpartition(f") {OPTIONS}")
    keys = "".join(f", \n\t{_key(index, compiler)}" for index in _indexes(element.element))
    return f"{head.rstrip()}{keys}\n{closed}"


def _indexes(table: Table) -> list[Index]:
    """Return the indexes of a table, but those that are SQLite's alone."""
    return sorted((one for one in table.indexes if one._ddl_if is None), key=lambda one: str(one.name))


def _key(index: Index, compiler: DDLCompiler) -> str:
    parts = [coercions.expect(roles.DDLExpressionRole, one) for one in index.expressions]
    columns = (compiler.sql_compiler.process(one, include_table=False, literal_binds=True) for one in parts)
    return f"KEY {compiler.preparer.format_index(index)} ({', '.join(columns)})"


@compiles(CreateTable, NAME)
def _compile_table(element: CreateTable, compiler: DDLCompiler, **options: Any) -> str:
    written: str = compiler.visit_create_table(element, **options).rstrip()  # type: ignore[no-untyped-call]
    return re.sub(r"^\s*CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", written) + f" {OPTIONS}"


@compiles(CreateIndex, NAME)
def _compile_index(element: CreateIndex, compiler: DDLCompiler, **options: Any) -> str:
    written: str = compiler.visit_create_index(element, **options)  # type: ignore[no-untyped-call]
    return re.sub(r"^(CREATE (?:UNIQUE )?INDEX) ", r"\1 IF NOT EXISTS ", written)


@compiles(AddColumn, NAME)
def _compile_column(element: AddColumn, compiler: DDLCompiler, **options: Any) -> str:
    element.if_not_exists = True
    return visit_add_column(element, compiler, **options)


@compiles(Text, NAME)
def _compile_text(element: Text, compiler: TypeCompiler, **options: Any) -> str:
    return WIDE
