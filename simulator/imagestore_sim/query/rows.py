"""Convert rows of the database to the fields of inventories (query-semantics 4.2, 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from imagestore_sim.query.errors import cloud_runtime_error, row_error
from imagestore_sim.query.inventories import Field, Inventory, Kind
from imagestore_sim.query.literals import INT64

SUM_OF = "sum of "
"""The prefix of a column that holds the sum of a field."""
Row = dict[str, object]
Columns = tuple[Any, ...]
WriteDate = Callable[[str], str]
Convert = Callable[[Any], object]


class RowWriter:
    """Converts the rows of one statement to the fields of an inventory.

    A row is written as the inventory of its own `type`; `with_fields` keeps the queried inventory, as ZStack does if a
    query names fields.
    """

    def __init__(self, target: Inventory, columns: Sequence[str], write_date: WriteDate, *, with_fields: bool) -> None:
        converts: dict[Kind, Convert] = {Kind.DATE: write_date, Kind.BOOLEAN: bool, Kind.JSON: orjson.loads}
        places = {name: index for index, name in enumerate(columns)}
        self._target, self._columns, self._converts = target, columns, converts
        self._itself = _RowFormat(target, places, converts)
        children = {} if with_fields else target.children
        self._by_type = {kind: _RowFormat(child, places, converts) for kind, child in children.items()}
        self._type = places.get("type", 0)
        flags = [one.name for one in target.fields if with_fields and _is_flag(one) and one.name in places]
        self._unknown = flags[0] if flags else None

    def write(self, rows: Sequence[Columns]) -> tuple[list[Row], list[str]]:
        """Return the fields and the Java class of each row. Raise QueryError for a primitive boolean in `fields`."""
        if rows and self._unknown is not None:
            # Java beans call the property `default`, so that ZStack finds none of the field's name.
            cause = "java.lang.RuntimeException: java.lang.NoSuchMethodException"
            where = f"class 'class {self._itself.java_class}'"
            raise cloud_runtime_error(f"{cause}: Unknown property '{self._unknown}' on {where}")
        if not self._by_type:
            return [self._itself.write(row) for row in rows], [self._itself.java_class] * len(rows)
        formats = [self._by_type.get(row[self._type], self._itself) for row in rows]
        return [row_format.write(row) for row_format, row in zip(formats, rows, strict=True)], [
            row_format.java_class for row_format in formats
        ]

    def all_values(self, rows: Sequence[Columns]) -> list[list[object]]:
        """Return the values of each row of groups or sums; a sum of text is written as Java writes a double.

        Raise QueryError for a sum of whole numbers that is too large for a long, which Hibernate makes of it.
        """
        return [self._values(row) for row in rows]

    def _values(self, row: Columns) -> list[object]:
        return [self._value(name, value) for name, value in zip(self._columns, row, strict=True)]

    def _value(self, name: str, value: object) -> object:
        field = self._target.field(name)
        if field is None:
            summed = self._target.field(name.removeprefix(SUM_OF))
            of_text = summed is not None and summed.kind is Kind.TEXT
            is_long = isinstance(value, int) and -INT64 <= value < INT64
            if summed is not None and summed.kind is Kind.NUMBER and not is_long and value is not None:
                raise row_error("DataException")
            return str(float(str(value))) if of_text and value is not None else value
        convert = self._converts.get(field.kind)
        return value if value is None or convert is None else convert(value)


class _RowFormat:
    """Converts a row to the fields of one inventory: the selected ones that are not null."""

    def __init__(self, inventory: Inventory, places: dict[str, int], converts: dict[Kind, Convert]) -> None:
        self.java_class = inventory.java_class
        self._members = [
            (one.name, places[one.name], converts.get(one.kind)) for one in inventory.fields if one.name in places
        ]
        self._lists = [(one.name, places[one.name]) for one in inventory.collections if one.name in places]
        self._absent: Row = {one.name: False for one in inventory.fields if _is_flag(one) and one.name not in places}

    def write(self, row: Columns) -> Row:
        written: Row = {}
        for name, place, convert in self._members:
            value = row[place]
            if value is not None:
                written[name] = value if convert is None else convert(value)
        for name, place in self._lists:
            written[name] = list(dict.fromkeys(row[place].split(","))) if row[place] else []
        return written | self._absent if self._absent else written


def _is_flag(field: Field) -> bool:
    return field.primitive and field.kind is Kind.BOOLEAN
