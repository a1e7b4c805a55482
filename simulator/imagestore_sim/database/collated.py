"""Text as utf8_general_ci compares it, in statements of our own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
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
