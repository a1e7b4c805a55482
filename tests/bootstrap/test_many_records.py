"""Files of very many records, and files that are added to a store of very many: what they cost is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagestore_sim.backup_storage import lifecycle
from imagestore_sim.backup_storage.ping_tracker import PingTracker
from imagestore_sim.backup_storage.records import Storage
from imagestore_sim.bootstrap import Bootstrap, parse_bootstrap
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from sqlite_statements import Statements, count_statements

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


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Statements:
    return count_statements(monkeypatch)


async def rows_read(node: ManagementNode, reads: Statements, names: list[str]) -> int:
    """Return how many rows it takes to add records."""
    added = records(names)
    before = reads.rows
    await node.changes.add(added)
    return reads.rows - before


async def test_a_file_reads_what_it_names_and_no_other_records(tmp_path: Path, reads: Statements) -> None:
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


async def test_one_more_storage_connects_itself_and_looks_at_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")))
    await node.start()
    try:
        looked_at: list[object] = []
        connected: list[str] = []

        async def connect(_: PingTracker, uuid: str) -> None:
            connected.append(uuid)

        async def all_of_them(_: object, after: str) -> list[Storage]:
            looked_at.append(after)
            return []

        monkeypatch.setattr(lifecycle, "try_to_reconnect", connect)
        monkeypatch.setattr(type(node.parts.storages.records), "tracked_after", all_of_them)
        storages = [{"uuid": one * 32, "name": one, "hostname": f"h{one}", "url": "/zs"} for one in "cab"]
        content = {"backupStorages": [*storages, {"name": "d", "hostname": "d", "url": "/zs", "tracked": False}]}
        for _ in range(2):
            await node.changes.add(parse_bootstrap(json.dumps(content).encode(), "records"), wait=True)
    finally:
        await node.stop()
    assert (connected, looked_at) == (["a" * 32, "b" * 32, "c" * 32], [])


@pytest.mark.thorough
async def test_very_many_accounts_take_few_statements(tmp_path: Path, reads: Statements) -> None:
    names = [f"n{number}" for number in range(MANY)]
    policies = [{"name": "p", "statements": "[]"}]
    users = [{"name": "u", "password": "x", "policies": ["p"]}]
    groups = [{"name": "g", "users": ["u"], "policies": ["p"]}]
    its = {"password": "x", "policies": policies, "users": users, "groups": groups, "quotas": {"vm.num": 3}}
    whole = parse_bootstrap(json.dumps({"accounts": [{"name": name, **its} for name in names]}).encode(), "accounts")
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")))
    await node.start()
    try:
        taken = []
        for change in (node.changes.add, node.changes.add, node.changes.replace):
            reads.count = 0
            await change(whole)
            assert reads.count < MANY
            taken.append({one.name: one for one in (await node.changes.snapshot()).accounts if one.name != "admin"})
    finally:
        await node.stop()
    assert [len(one) for one in taken] == [MANY] * 3
    for one in (accounts[name] for accounts in taken for name in ("n0", f"n{MANY - 1}")):
        assert (one.reads, one.quotas) == (True, {"vm.num": 3})
        assert [policy.name for policy in one.policies] == ["p"]
        assert [(user.name, user.reads, user.policies) for user in one.users] == [("u", True, ("p",))]
        assert [(group.name, group.users, group.policies) for group in one.groups] == [("g", ("u",), ("p",))]


async def test_very_many_keys_patterns_and_options_take_few_statements(tmp_path: Path, reads: Statements) -> None:
    names = [f"n{number:08}" for number in range(MANY)]
    tag = {"tag": "t", "tagPatternUuid": "a" * 32}
    option = {"category": "backupStorage", "name": "ping.interval", "value": "5"}
    content = {
        "accounts": [{"name": "owner", "password": "x"}],
        "accessKeys": [{"accessKeyId": name, "accessKeySecret": "s" * 20, "account": "owner"} for name in names],
        "tags": [{"name": name, "value": name, "account": "owner"} for name in names],
        "zones": [{"name": name, "userTags": [tag]} for name in names],
        "resourceConfigs": [
            {"resourceUuid": f"{number:032x}", "resourceType": "ZoneVO", "value": "5", **option}
            for number in range(MANY)
        ],
    }
    whole = parse_bootstrap(json.dumps(content).encode(), "records")
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")))
    await node.start()
    try:
        for _ in range(2):
            reads.count = 0
            await node.changes.add(whole)
            assert reads.count < MANY / 2
        taken = await node.changes.snapshot()
    finally:
        await node.stop()
    assert {(one.accessKeyId, one.account) for one in taken.accessKeys} == {(name, "owner") for name in names}
    assert [one.value for one in taken.resourceConfigs] == ["5"] * MANY
    assert {(one.name, one.account) for one in taken.tags} == {("t", "admin"), *((name, "owner") for name in names)}
    assert [[one.tagPatternUuid for one in zone.userTags if not isinstance(one, str)] for zone in taken.zones] == [
        ["a" * 32]
    ] * MANY
