"""What it costs to compile a query, by the calls of functions that it takes."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from sqlalchemy.dialects.mysql.asyncmy import dialect as mariadb
from sqlalchemy.dialects.sqlite.aiosqlite import dialect as sqlite

from imagestore_sim.query.compile import compile_shape
from imagestore_sim.query.conditions import parse_query
from imagestore_sim.query.inventories import IMAGE_STORE_BACKUP_STORAGE
from imagestore_sim.query.prepared_query import prepare_query
from rows import rows

DIALECTS = (sqlite(), mariadb())


def calls_for(number: int, condition: str, dialect: Any) -> int:
    """Return the number of function calls that compile a query of `number` conditions."""
    query = parse_query([("q", condition.format(one)) for one in range(number)])
    shape = prepare_query(IMAGE_STORE_BACKUP_STORAGE, query).shape
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        compile_shape(shape, dialect)
    finally:
        sys.setprofile(None)
    return count


@rows("condition", ["name!=x{}", "name=x{}", "zone.name!=x{}", "zone.backupStorage.name!=x{}", "__userTag__=x{}"])
@rows("dialect", DIALECTS, ids=["SQLite", "MariaDB"])
def test_twice_as_many_conditions_take_twice_as_long(condition: str, dialect: Any) -> None:
    calls_for(2, condition, dialect)  # what is kept between two is made
    few, many = calls_for(40, condition, dialect), calls_for(80, condition, dialect)
    assert many < 2.1 * few
