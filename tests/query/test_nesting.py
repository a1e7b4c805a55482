"""Nested queries and brackets are answered up to limits that their errors name, on either kind of store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.query.language.statements import DEEPEST
from imagestore_sim.query.paths import MOST_STEPS
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEAF = "name='zone2'"
TOO_DEEP = f"could not extract ResultSet: queries may be nested {MOST_STEPS} deep"
TOO_MANY_BRACKETS = f"brackets and sub-queries may be nested {DEEPEST} deep"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(store_settings: dict[str, Any]) -> AsyncIterator[Client]:
    data = Path(__file__).with_name("records.yaml")
    node = ManagementNode(Settings(port=0, bootstrap=data, **store_settings))
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        yield client
    await node.stop()


async def names(client: Client, where: str, target: str = "zone") -> list[str]:
    answer = await client.call("GET", "/zql", query=[("zql", f"query {target}.name where {where}")])
    return sorted(one["name"] for one in answer["results"][0]["inventories"])


def nested(count: int, operator: str = "in", leaf: str = LEAF) -> str:
    """Return a condition with `count` sub-queries in each other."""
    where = leaf
    for _ in range(count):
        where = f"uuid {operator} (query zone.uuid where {where})"
    return where


def through_storages(count: int, brackets: int) -> str:
    """Return `count` sub-queries over paths of three steps, each in brackets and beside other conditions."""
    where = LEAF
    for number in range(count):
        inner = f"uuid!='{number}' and name!='x' and {where} or name='y'"
        where = f"backupStorage.zone.uuid in (query zone.uuid where {'(' * brackets}{inner}{')' * brackets})"
    return where


def bracketed(count: int, *joints: str, before: bool = False) -> str:
    """Return `count` conditions in brackets in each other, joined by turns by `joints`."""
    where = LEAF
    for number in range(count):
        other, joint = f"name='y{number}'", joints[number % len(joints)]
        where = f"({other} {joint} {where})" if before else f"({where} {joint} {other})"
    return where


@rows("count", [1, 12, 13, MOST_STEPS])
@rows("operator", ["in", "="])
async def test_sub_queries_are_answered_up_to_the_limit(client: Client, count: int, operator: str) -> None:
    assert await names(client, nested(count, operator)) == ["zone2"]


async def test_sub_queries_about_collections_count_twice(client: Client) -> None:
    def about_zones(count: int) -> str:
        where = "zoneRef.zoneUuid='a2000000000000000000000000000002'"
        for _ in range(count):
            stored = f"query backupstoragezoneref.zoneUuid where backupStorage.uuid in ({{}} where {where})"
            where = f"attachedZoneUuids in ({stored.format('query backupstorage.uuid')})"
        return where

    assert await names(client, about_zones(3), "backupstorage") == ["ImageStore_2", "imagestore-1", "sftp-1"]
    with pytest.raises(CallFailed, match="queries may be nested"):
        await names(client, about_zones(MOST_STEPS // 3), "backupstorage")


async def test_a_path_over_many_rows_is_planned_soon(client: Client) -> None:
    found = await client.query("/zones", f"{'backupStorage.zone.' * 5}name=zone2")
    assert sorted(one["name"] for one in found) == ["Zone1", "zone2"]


async def test_what_a_nested_condition_needs_is_beside_the_limit(client: Client) -> None:
    for leaf in ("__userTag__ not has ('gold', 'x')", "__userTag__ is not null", "uuid not in ('x')"):
        assert "Zone1" in await names(client, nested(MOST_STEPS, leaf=leaf))
    assert await names(client, nested(2, "not in")) == ["zone2"]
    assert await names(client, nested(3, "not in")) == ["Zone1", "zone3"]


@rows(("count", "brackets"), [(5, 1), (14, 1), (14, 5)])
async def test_sub_queries_stand_in_paths_and_brackets(client: Client, count: int, brackets: int) -> None:
    assert await names(client, through_storages(count, brackets)) == ["Zone1", "zone2"]


@rows(
    ("where", "message"),
    [
        (nested(MOST_STEPS + 1), TOO_DEEP),
        (nested(MOST_STEPS - 1, leaf="backupStorage.name='x'"), TOO_DEEP),
        (nested(DEEPEST + 1), TOO_MANY_BRACKETS),
        (nested(200), TOO_MANY_BRACKETS),
        (bracketed(DEEPEST + 2, "and", "or"), TOO_MANY_BRACKETS),
        ("(" * 2000 + LEAF + ")" * 2000, TOO_MANY_BRACKETS),
    ],
)
async def test_beyond_a_limit_the_error_names_it(client: Client, where: str, message: str) -> None:
    with pytest.raises(CallFailed) as failed:
        await names(client, where)
    assert failed.value.error["code"] == "SYS.1000"
    assert str(failed.value.error["details"]).endswith(message)


async def test_the_steps_of_one_path_are_limited_likewise(client: Client) -> None:
    with pytest.raises(CallFailed) as failed:
        await client.query("/zones", f"{'backupStorage.zone.' * 16}name=x")
    assert str(failed.value.error["details"]).endswith(TOO_DEEP)


@rows("count", [38, 39, DEEPEST])
async def test_brackets_are_answered_up_to_the_limit(client: Client, count: int) -> None:
    assert await names(client, bracketed(count, "or")) == ["zone2"]
    assert await names(client, bracketed(count, "or", before=True)) == ["zone2"]
    assert await names(client, bracketed(count, "and")) == []
    assert await names(client, f"{'(' * count}{LEAF}{')' * count}") == ["zone2"]
    for before in (False, True):
        alternated = bracketed(count - 1, "or", "and", before=before)
        assert await names(client, f"({alternated} or name='zone3')") == ["zone3"]
        assert await names(client, f"({alternated} and name='zone3')") == []


@rows("count", [2, 25, 70])
async def test_and_and_or_apply_by_turns_to_all_that_follows(client: Client, count: int) -> None:
    for turn in ("name='y{0}' or name!='y{0}' and ", "name!='y{0}' and name='y{0}' or "):
        undecided = "".join(turn.format(number) for number in range(count))
        assert await names(client, f"{undecided}{LEAF}") == ["zone2"]
        assert await names(client, f"{undecided}({LEAF} or name='zone3')") == ["zone2", "zone3"]
        assert await names(client, f"{undecided}name='z' and {undecided}{LEAF}") == []
        assert await names(client, f"{undecided}name!='z' or {undecided}{LEAF}") == ["Zone1", "zone2", "zone3"]


async def test_a_null_decides_nothing(client: Client) -> None:
    """A condition on NULL is not true: what stands after `or` decides, and `and` is over."""
    rest = " or ".join(f"name='y{one}' and (name='x'" for one in range(20)) + ")" * 20
    for where, found in (
        (f"description='d' or ({rest} or {LEAF})", ["zone2"]),
        (f"description!='e' and (state='Disabled' or ({rest}))", ["zone2"]),
        (
            f"(description!='e' or {LEAF}) and (name!='x' and (name='y' or (name!='z' and (name='y' or name!='q'))))",
            ["zone2"],
        ),
        (f"description='e' and ({rest}) or name='zone3'", []),
    ):
        assert await names(client, where) == found


async def test_many_sub_queries_and_paths_stand_beside_each_other(client: Client) -> None:
    beside = " or ".join(f"uuid in (query zone.uuid where name='y{one}')" for one in range(100))
    assert await names(client, f"{beside} or {LEAF}") == ["zone2"]
    paths = " or ".join(f"backupStorage.name='y{one}'" for one in range(100))
    assert await names(client, f"{paths} or {LEAF}") == ["zone2"]
