"""Very many tags of one resource: what one more costs is counted."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import insert

from imagestore_sim.backup_storage.errors import OperationFailed
from imagestore_sim.backup_storage.tags import Tags
from imagestore_sim.clock import RealClock
from imagestore_sim.database import Database
from imagestore_sim.database.models import UserTag, Zone
from imagestore_sim.query.collation import fold_padded, register_functions
from sqlite_statements import count_statements

ZONE = "a" * 32


async def test_one_more_tag_reads_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    statements = count_statements(monkeypatch)

    def folded(text: str) -> str | None:
        calls.append(text)
        return fold_padded(text)

    def prepare(connection: sqlite3.Connection) -> None:
        register_functions(connection)
        connection.create_function("general_ci", 1, folded, deterministic=True)

    database = await Database.open(str(tmp_path / "tags.db"), prepare=prepare)
    try:
        clock = RealClock()
        now = {"createDate": clock.local(), "lastOpDate": clock.local()}
        its = {"resourceUuid": ZONE, "resourceType": "ZoneVO", "type": "User", **now}
        rows = [{"uuid": f"{number:032x}", "tag": f"tag {number}", **its} for number in range(300)]
        async with database.transaction() as connection:
            zone = {"uuid": ZONE, "name": "z", "state": "Enabled", "type": "zstack", **now}
            await connection.execute(insert(Zone).values(**zone))
            await connection.execute(insert(UserTag), [*rows, {"uuid": "f" * 32, "tag": "é", **its}])
        tags = Tags(database, clock)
        statements.clear()
        await tags.create_user_tag(ZONE, "ZoneVO", "another")
        assert (statements.rows, sorted(calls)) == (1, ["another", "é"]), "the zone, and SQLite folds what is ASCII"
        for again in ("TAG 299 ", "E", "anothér"):
            with pytest.raises(OperationFailed):
                await tags.create_user_tag(ZONE, "ZoneVO", again)
    finally:
        await database.close()
