"""Very many images are shared with very many accounts: the statements that this takes are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from imagestore_sim.clock import RealClock
from imagestore_sim.database import Database
from imagestore_sim.database.models import Account, Image, SharedResource
from imagestore_sim.identity.shares import Shares
from sqlite_statements import count_statements

MANY = 40
OWNER = "f" * 32


async def test_each_image_is_shared_with_each_account_once_in_few_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = count_statements(monkeypatch)
    clock = RealClock()
    now = {"createDate": clock.local(), "lastOpDate": clock.local()}
    accounts = [f"{number:032x}" for number in range(MANY)]
    images = [f"e{number:031x}" for number in range(MANY)]
    database = await Database.open(str(tmp_path / "shares.db"))
    try:
        async with database.transaction() as connection:
            its = {"password": "x", "type": "Normal", **now}
            await connection.execute(insert(Account), [{"uuid": one, "name": one, **its} for one in (*accounts, OWNER)])
            its = {"state": "Enabled", "status": "Ready", "accountUuid": OWNER, **now}
            await connection.execute(insert(Image), [{"uuid": one, "name": one, **its} for one in images])
        shares = Shares(database, clock)
        await shares.share(OWNER, images[:2], [accounts[0], None])
        for _ in range(2):
            statements.clear()
            await shares.share(OWNER, [*images, *images], accounts)
            assert statements.count < MANY
        [(count,)] = await database.read(select(func.count()).select_from(SharedResource))
        columns = (SharedResource.resourceUuid, SharedResource.receiverAccountUuid, SharedResource.toPublic)
        rows = [tuple(row) for row in await database.read(select(*columns))]
    finally:
        await database.close()
    assert count == len(set(rows)) == MANY * MANY + 2
    assert {row[1:] for row in rows if row[0] == images[0]} == {*((one, False) for one in accounts), (None, True)}
