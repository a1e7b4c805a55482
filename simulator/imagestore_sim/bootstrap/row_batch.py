"""Inserts the rows of many records at once, and still names the record that another one stands in the way of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import insert
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.bootstrap.errors import Place, RecordProblem
from imagestore_sim.database.errors import describe
from imagestore_sim.database.models import Model
from imagestore_sim.pieces import in_pieces

MOST_ROWS = 500
"""Rows that are made and bound in one go, during which the event loop answers nobody."""
MOST_ASKED = 200
"""Records that the store is asked about at once."""
Row = Mapping[str, object]
R = TypeVar("R")


def pieces(values: Sequence[R]) -> Iterator[Sequence[R]]:
    """Yield the values in order, as many at a time as the store is asked about at once."""
    return in_pieces(values, MOST_ASKED)


def placed(section: str, records: Sequence[R]) -> Iterator[Sequence[tuple[Place, R]]]:
    """Yield the records of a section with their places, as many at a time as the store is asked about at once."""
    number = 0
    for piece in pieces(records):
        yield [((section, number + index), record) for index, record in enumerate(piece)]
        number += len(piece)


@contextmanager
def unique(place: Place) -> Iterator[None]:
    """Raise RecordProblem for a record whose uuid or name another record has, in the file or in the database.

    Raise it for one that the database cannot hold, too: MariaDB's tables, as ZStack's, have no characters past U+FFFF.
    """
    try:
        yield
    except IntegrityError:  # its text may hold values, so it is not passed on
        text = "it, or something in it, has the uuid or the name of another record that is there"
        raise RecordProblem(place, text) from None
    except DataError as error:
        raise RecordProblem(place, f"the database cannot hold it: {describe(error)}") from None


class RowBatch:
    """Rows of the records of one section of a bootstrap file, to be inserted table by table."""

    def __init__(self, connection: AsyncConnection, order: Sequence[type[Model]] = ()) -> None:
        """Take the tables in the order in which their rows are inserted; others follow, in that of their first rows."""
        self._connection = connection
        self._order = order
        self._waiting = 0
        self._rows: defaultdict[type[Model], list[tuple[Place, Row]]] = defaultdict(list)

    def add(self, model: type[Model], place: Place, row: Row) -> None:
        """Add a row of the record at a place. All rows of a table have the same columns."""
        self._rows[model].append((place, row))
        self._waiting += 1

    async def insert_if_many(self) -> None:
        """Insert what there is if that is MOST_ROWS rows or more. Raise RecordProblem as `insert` does.

        Each row that a row refers to has to be added before.
        """
        if self._waiting >= MOST_ROWS:
            await self.insert()

    async def insert(self) -> None:
        """Insert all rows. Raise RecordProblem for one that is refused."""
        if not self._waiting:
            return
        batch = [
            (model, self._rows[model]) for model in dict.fromkeys((*self._order, *self._rows)) if self._rows[model]
        ]
        try:
            async with self._connection.begin_nested():
                for model, rows in batch:
                    await self._connection.execute(insert(model), [row for _place, row in rows])
        except (IntegrityError, DataError):  # the store does not say which row it was
            for model, rows in batch:
                for place, row in rows:
                    with unique(place):
                        await self._connection.execute(insert(model), row)
        self._rows.clear()
        self._waiting = 0
