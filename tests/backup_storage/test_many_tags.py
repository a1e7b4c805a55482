"""Very many tags of one resource: what one more costs is counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert

from imagestore_sim.backup_storage.errors import OperationFailed
from imagestore_sim.backup_storage.tags import Tags
from imagestore_sim.clock import RealClock
from imagestore_sim.database import Database, one_call_cursor
from imagestore_sim.database.models import UserTag
from imagestore_sim.database.one_call_cursor import Outcome
from imagestore_sim.query.collation import fold_padded, register_functions

ZONE = "a" * 32


async def test_one_more_tag_reads_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    calls: list[str] = []
    plain = one_call_cursor._outcome

    def outcome(connection: sqlite3.Connection, execute: Callable[[sqlite3.Cursor], object]) -> Outcome:
        done = plain(connection, execute)
        read.extend(done.rows)
        return done

    def folded(text: str) -> str | None:
        calls.append(text)
        return fold_padded(text)

    def prepare(connection: sqlite3.Connection) -> None:
        register_functions(connection)
        connection.create_function("general_ci", 1, folded, deterministic=True)

    monkeypatch.setattr(one_call_cursor, "_outcome", outcome)
    database = await Database.open(str(tmp_path / "tags.db"), prepare=prepare)
    try:
        clock = RealClock()
        now = {"createDate": clock.local(), "lastOpDate": clock.local()}
        its = {"resourceUuid": ZONE, "resourceType": "ZoneVO", "type": "User", **now}
        rows = [{"uuid": f"{number:032x}", "tag": f"tag {number}", **its} for number in range(300)]
        async with database.transaction() as connection:
            await connection.execute(insert(UserTag), [*rows, {"uuid": "f" * 32, "tag": "é", **its}])
        tags = Tags(database, clock)
        read.clear()
        await tags.create_user_tag(ZONE, "ZoneVO", "another")
        assert (len(read), sorted(calls)) == (0, ["another", "é"]), "SQLite folds what is ASCII itself"
        for again in ("TAG 299 ", "E", "anothér"):
            with pytest.raises(OperationFailed):
                await tags.create_user_tag(ZONE, "ZoneVO", again)
    finally:
        await database.close()
