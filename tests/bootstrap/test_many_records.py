"""Files of very many records, and files that are added to a store of very many: what they cost is counted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from imagestore_sim.bootstrap import Bootstrap, parse_bootstrap
from imagestore_sim.database import one_call_cursor
from imagestore_sim.database.one_call_cursor import Outcome
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings

MANY = 450
"""More than the store is asked about at once, twice."""


def records(names: list[str]) -> Bootstrap:
    """Return a record of each kind for each name."""
    roles = [{"name": "r", "statements": "[]"}]
    admin = {
        "name": "admin",
        "password": "password",
        "policies": [{"name": name, "statements": "[]"} for name in names],
        "roles": [{"name": name, "statements": "[]"} for name in names],
        "users": [{"name": name, "password": "x", "policies": [name]} for name in names],
    }
    storage = {"url": "/zs", "tracked": False}
    simulated = {"name": f"simulated-{names[0]}", "type": "SimulatorBackupStorage", "url": "/x"}
    content = {
        "zones": [{"name": name, "userTags": ["t1", "t2"]} for name in names],
        "backupStorages": [*({"name": name, "hostname": name, **storage} for name in names), simulated],
        "images": [{"name": name, "account": name, "sharedWith": ["admin"]} for name in names],
        "accounts": [*({"name": name, "password": "x", "roles": roles} for name in names), admin],
        "webHooks": [{"name": name, "url": "http://127.0.0.1:1/", "type": "other"} for name in names],
    }
    return parse_bootstrap(json.dumps(content).encode(), "records")


class Reads:
    """Counts the rows that SQLAlchemy's statements return."""

    def __init__(self) -> None:
        self.rows = 0
        self._plain = one_call_cursor._outcome

    def outcome(self, connection: sqlite3.Connection, execute: Callable[[sqlite3.Cursor], object]) -> Outcome:
        done = self._plain(connection, execute)
        self.rows += len(done.rows)
        return done


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    counted = Reads()
    monkeypatch.setattr(one_call_cursor, "_outcome", counted.outcome)
    return counted


async def rows_read(node: ManagementNode, reads: Reads, names: list[str]) -> int:
    """Return how many rows it takes to add records."""
    added = records(names)
    before = reads.rows
    await node.changes.add(added)
    return reads.rows - before


async def test_a_file_reads_what_it_names_and_no_other_records(tmp_path: Path, reads: Reads) -> None:
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")))
    await node.start()
    try:
        few = await rows_read(node, reads, ["first"])
        many = await rows_read(node, reads, [f"n{number}" for number in range(MANY)])
        assert await rows_read(node, reads, ["another"]) == few
        again = await rows_read(node, reads, [f"n{number}" for number in range(MANY)])
        taken = await node.changes.snapshot()
    finally:
        await node.stop()
    assert MANY < again < 20 * MANY
    assert many < 20 * MANY
    names = ["first", "another", *(f"n{number}" for number in range(MANY))]
    assert {one.name for one in taken.zones} == set(names)
    assert len(taken.zones) == len(taken.images) == len(taken.webHooks) == len(names)
    assert len(taken.backupStorages) == len(names) + 3
    admin = next(one for one in taken.accounts if one.name == "admin")
    assert {one.name for one in admin.users} == {one.name for one in admin.roles} == set(names)
    assert {one.account for one in taken.images} == set(names)
    assert all(len(one.userTags) == 2 for one in taken.zones)
