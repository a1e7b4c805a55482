"""Copies in memory of the texts of a column, which find the few rows that a pattern can match faster than SQLite does.

They only narrow a query down: a copy returns the keys of all rows whose text holds the longest literal part of the
pattern, and SQL still tests these rows in full. So whatever LIKE means, it means the same with a copy and without.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from sqlalchemy import Table

from imagestore_sim.at_once import check_may_wait
from imagestore_sim.database import Database, TextWatch
from imagestore_sim.query.collation import fold, without_stand_in
from imagestore_sim.query.comparisons import Bound
from imagestore_sim.query.compile import Predicate, Shape, parameter_name
from imagestore_sim.query.conditions import Operator
from imagestore_sim.query.inventories import Inventory, Kind
from imagestore_sim.query.paths import Path
from imagestore_sim.tasks import in_thread

FEWEST_ROWS = 1000
"""SQLite tests fewer rows in less time than a copy is worth."""
ASKED_BEFORE = 4
"""Patterns that are asked for before texts are copied that have changed: so a copy costs less than what it saves."""
MOST_CANDIDATES = 100
"""With more rows that can match, SQLite soon finds a page of them in the order of an index."""
KEPT_PARTS = 1024
LITERAL = re.compile(r"(?:[^%_\\]|\\.)+", re.DOTALL)
"""A part of a pattern without wildcards."""


class TextCopy:
    """The folded texts of a column, in one string, with the keys of their rows."""

    def __init__(self, rows: Iterable[tuple[str, str]], version: int) -> None:
        """Take the texts with their keys, as of a version of the TextWatch."""
        self.version = version
        self._keys: list[str] = []
        self._begins = array("Q")
        texts, begin = [], 0
        for text, key in rows:
            folded = fold(text)
            texts.append(folded)
            self._keys.append(key)
            self._begins.append(begin)
            begin += len(folded) + 1
        self._texts = "\n".join(texts)
        self.with_part = lru_cache(KEPT_PARTS)(self._with_part)
        """Returns the keys of the rows whose text holds a folded part; None for more than MOST_CANDIDATES."""

    def _with_part(self, part: str) -> tuple[str, ...] | None:
        keys: list[str] = []
        at = self._texts.find(part)
        while at >= 0:
            row = bisect_right(self._begins, at) - 1
            keys.append(self._keys[row])
            if len(keys) > MOST_CANDIDATES:
                return None
            at = self._texts.find(part, self._begins[row + 1]) if row + 1 < len(self._begins) else -1
        return tuple(keys)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A query that tests only rows that can match, with its values. What it finds counts if it `holds` after that."""

    shape: Shape
    values: Mapping[str, Bound]
    watch: TextWatch
    version: int

    def holds(self) -> bool:
        """Return whether no text has changed since the copy was made."""
        return self.watch.version == self.version and not self.watch.is_changing


class TextCopies:
    """The copies of a database's texts, each made when it pays."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._copies: dict[tuple[str, str], TextCopy] = {}
        self._asked: dict[tuple[str, str], tuple[int, int]] = {}
        """How often a column was asked for that has no copy of this version of the texts; the version."""

    async def narrowed(self, shape: Shape, values: Mapping[str, Bound]) -> Narrowed | None:
        """Return the query for the rows alone that can match; None if that is not possible, or not worth it."""
        found = _pattern_in(shape, values)
        watch = self._database.texts
        if found is None or watch is None or watch.is_changing:
            return None
        column, part = found
        copy = self._copies.get(column)
        if copy is None or copy.version != watch.version:
            copy = await self._copied(column, watch)
        keys = None if copy is None else copy.with_part(part)
        if copy is None or keys is None:
            return None
        name = parameter_name(len(shape.tests))
        among = Predicate(_key_of(shape.inventory), Operator.IN, 1)
        return Narrowed(replace(shape, tests=(*shape.tests, among)), {**values, name: keys}, watch, copy.version)

    async def _copied(self, column: tuple[str, str], watch: TextWatch) -> TextCopy | None:
        """Copy a column, if it was asked for often enough since its texts have changed."""
        version, asked = self._asked.get(column, (-1, 0))
        asked = asked + 1 if version == watch.version else 1
        if asked == ASKED_BEFORE + 1:
            check_may_wait()
        self._asked[column] = watch.version, asked
        if asked != ASKED_BEFORE + 1:  # with more, it is being copied, or has too few rows
            return None
        self._copies.pop(column, None)
        table, name = column
        version = watch.version
        few = f"SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT {FEWEST_ROWS})"  # noqa: S608 - names of ours
        ((rows,),) = await self._database.fetch_few(few, ())
        if rows < FEWEST_ROWS:
            return None
        texts = await self._database.fetch(f"SELECT {name}, uuid FROM {table}", ())  # noqa: S608 - names of ours
        copy = await in_thread(TextCopy, texts, version)
        if watch.version != version or watch.is_changing:
            return None
        self._copies[column] = copy
        return copy


def _pattern_in(shape: Shape, values: Mapping[str, Bound]) -> tuple[tuple[str, str], str] | None:
    """Return the first indexed column that a query compares with a pattern, and the longest literal part of that."""
    for number, test in enumerate(shape.tests):
        if test.operator is not Operator.LIKE or test.path.steps or test.path.kind is not Kind.TEXT:
            continue
        field = shape.inventory.field(test.path.name)
        part = longest_part(str(values.get(parameter_name(number), "")))
        if field is not None and field.indexed and part:
            return (_table_of(shape.inventory, field.name).name, field.name), part
    return None


def _table_of(inventory: Inventory, name: str) -> Table:
    return next(table for table in inventory.tables if name in table.c)


@lru_cache(maxsize=64)
def _key_of(inventory: Inventory) -> Path:
    return Path((), inventory, inventory.key, Kind.UUID)


def longest_part(pattern: str) -> str:
    """Return the longest part of a folded LIKE pattern that each matching text has in it; empty if there is none."""
    parts: Sequence[str] = LITERAL.findall(pattern)
    longest = max((re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in parts), key=len, default="")
    return without_stand_in(longest)
