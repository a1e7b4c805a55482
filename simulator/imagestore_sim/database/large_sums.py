"""Sums of sizes in bytes, which may have more than 64 bits: SQLite's sum() is an error there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, SQLColumnExpression, func

_BITS = 32


def sum_in_parts(size: SQLColumnExpression[int]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Return the sums of the upper and of the lower bits of sizes, which are 0 without a row; `joined` takes both."""
    upper = size.op(">>", return_type=BigInteger())(_BITS)
    lower = size.op("&", return_type=BigInteger())((1 << _BITS) - 1)
    return func.coalesce(func.sum(upper), 0), func.coalesce(func.sum(lower), 0)


def joined(upper: object, lower: object) -> int:
    """Return the sum whose parts the database returned."""
    return (int(str(upper)) << _BITS) + int(str(lower))
