"""Text as utf8_general_ci compares it, in statements of our own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnClause, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class general_ci(GenericFunction[str]):  # noqa: N801 - the name of the function in SQL
    """Text without case, accents and trailing spaces; in a MariaDB, whose columns compare so, the text itself."""

    type = String()
    inherit_cache = True


@compiles(general_ci, "mariadb")
def _compile(element: general_ci, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(general_ci, "sqlite")
def _compile_for_sqlite(element: general_ci, compiler: SQLCompiler, **options: Any) -> str:
    """Fold a column by SQLite's own functions where they do it; a value is folded once for a statement."""
    [text] = element.clauses
    sql = compiler.process(text, **options)
    return folded(sql) if isinstance(text, ColumnClause) else f"general_ci({sql})"


def folded(text: str) -> str:
    """Return SQL of SQLite's for a text as it is compared.

    It calls our function for rows alone that need it: each call waits for the interpreter, which the event loop has.
    """
    return f"CASE WHEN {not_ascii(text)} THEN general_ci({text}) ELSE upper(rtrim({text}, ' ')) END"


def not_ascii(text: str) -> str:
    """Return SQL of SQLite's for "more bytes than characters", the fastest test.

    SQLite counts the characters before a NUL alone, so that a text with one is among the others, too.
    """
    return f"length({text}) <> length(CAST({text} AS BLOB))"
