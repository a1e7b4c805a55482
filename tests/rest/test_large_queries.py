"""Queries with very many values or conditions, by the legacy API, where only the size of the body limits them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio
from raw_client import STORAGE, Json, RawClient, open_raw_client
from sqlalchemy import insert

from imagestore_sim.database import Database, ReadTooLong
from imagestore_sim.database.models import UserTag
from sqlite_store import connections_of
from stalls import measuring_stalls

pytestmark = [pytest.mark.thorough, pytest.mark.asyncio(loop_scope="module")]
QUERY = "org.zstack.header.storage.backup.APIQueryBackupStorage"
MOST_SECONDS = 0.2
MOST_ROWS = 60_000
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("queries")) as raw_client:
        yield raw_client


def condition(name: str, op: str, value: str) -> Json:
    return {"name": name, "op": op, "value": value}


async def ask(raw_client: RawClient, conditions: Sequence[Json], **more: object) -> Json:
    """Return the reply to a legacy query. Fail if it blocks the event loop for long."""
    message = {"conditions": conditions, "session": {"uuid": raw_client.session}, **more}
    async with measuring_stalls() as stalls:
        answer = await raw_client.send("POST", "/zstack/api", {f"{QUERY}Msg": message}, anonymous=True)
    assert stalls.longest < MOST_SECONDS
    [reply] = json.loads(answer.json["result"]).values()
    answered: Json = reply
    return answered


def many(number: int, *, last: str) -> str:
    return ",".join([*(f"{one:032x}" for one in range(number)), last])


@pytest.mark.parametrize("number", [10, 8_000, 60_000])
@pytest.mark.parametrize("name", ["uuid", "name", "url", "zone.uuid", "availableCapacity", "__userTag__"])
async def test_a_list_of_very_many_values(raw_client: RawClient, name: str, number: int) -> None:
    row = (await ask(raw_client, [condition("uuid", "=", STORAGE)]))["inventories"][0]
    chosen = {"zone.uuid": (row["attachedZoneUuids"] or [""])[0], "__userTag__": "none"}.get(name)
    last = str(row[name]) if chosen is None else chosen
    found = await ask(raw_client, [condition(name, "in", many(number, last=last))])
    others = await ask(raw_client, [condition(name, "not in", many(number, last=last))])
    assert found["success"]
    assert others["success"]
    uuids = [one["uuid"] for one in found["inventories"]]
    assert (STORAGE in uuids) == (bool(row["attachedZoneUuids"]) if name == "zone.uuid" else name != "__userTag__")
    assert STORAGE not in [one["uuid"] for one in others["inventories"]] or name == "__userTag__"


@pytest.mark.parametrize("op", ["!=", "not like", "not in"])
async def test_very_many_conditions(raw_client: RawClient, op: str) -> None:
    found = await ask(raw_client, [condition("name", op, f"no-such-{number}") for number in range(4_000)])
    assert STORAGE in [one["uuid"] for one in found["inventories"]]


async def test_more_conditions_than_are_read(raw_client: RawClient) -> None:
    reply = await ask(raw_client, [condition("name", "!=", str(number)) for number in range(20_000)])
    assert reply["error"]["details"] == "java.lang.StackOverflowError: a query may have 5000 conditions, but 20000 got"


@pytest.mark.parametrize("turns", [10, 250])
async def test_conditions_joined_by_turns_are_answered_without_a_stall(raw_client: RawClient, turns: int) -> None:
    joined = "".join(f"name != 'x' {('and', 'or')[one % 2]} " for one in range(turns))
    query = quote(f"query BackupStorage where {joined} name != 'x'")
    async with measuring_stalls() as stalls:
        answer = await raw_client.send("GET", f"/zstack/v1/zql?zql={query}")
    assert stalls.longest < MOST_SECONDS
    assert answer.status == 200


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        pytest.param("%" * 1_000_000, True, id="wildcards"),
        pytest.param("%_" * 100_000, False, id="at least that many characters"),
        pytest.param("x" * 1_000_000, False, id="longer than any text"),
        pytest.param("\\%" * 500_000, False, id="escaped"),
        pytest.param("é%" * 5_000, False, id="not ASCII"),
    ],
)
async def test_a_long_pattern(raw_client: RawClient, pattern: str, matches: bool) -> None:
    found = await ask(raw_client, [condition("name", "like", pattern)])
    others = await ask(raw_client, [condition("name", "not like", pattern)])
    assert [bool(one["inventories"]) for one in (found, others)] == [matches, not matches]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"fields": ["name"] * 200_000}, id="fields"),
        pytest.param({"sortBy": "name+" * 200_000 + "name"}, id="a sum to sort by"),
        pytest.param({"sortBy": "x" * 2_000_000}, id="a name to sort by"),
        pytest.param({"conditions": [condition("zone.backupStorage." * 50_000 + "uuid", "=", "x")]}, id="steps"),
        pytest.param({"conditions": [condition("zone." * 6_000 + "uuid", "=", "x")]}, id="fewer steps"),
        pytest.param({"conditions": [condition("name", "=", "x'" * 15_000)]}, id="fewer quotes"),
        pytest.param({"conditions": [condition("x" * 1_000_000, "=", "x")]}, id="a name"),
        pytest.param({"conditions": [condition("name", "=", "'" * 1_000_000)]}, id="quotes"),
    ],
)
async def test_names_of_great_length(raw_client: RawClient, fields: Json) -> None:
    reply = await ask(raw_client, fields.pop("conditions", []), **fields)
    assert "success" in reply


async def test_a_read_that_does_not_end_is_ended_when_the_database_is_closed(tmp_path: Path) -> None:
    database = await Database.open(str(tmp_path / "endless.db"))
    reading = asyncio.create_task(database.fetch(ENDLESS, ()))
    await asyncio.sleep(0.05)
    await asyncio.wait_for(database.close(), 25)  # sooner than READ_SECONDS
    with pytest.raises(ReadTooLong):
        await reading


async def test_a_read_that_does_not_end_is_ended_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagestore_sim.database.connections.READ_SECONDS", 0.1)
    database = await Database.open(str(tmp_path / "endless.db"))
    try:
        for _ in range(2):
            with pytest.raises(ReadTooLong):
                await asyncio.wait_for(database.fetch(ENDLESS, ()), 60)
        connections_of(database).timeout.seconds = 60.0  # what is to end does, on a busy machine too
        assert await database.fetch("SELECT 1", ()) == [(1,)]
    finally:
        await database.close()


async def test_very_many_rows_do_not_stop_the_event_loop(raw_client: RawClient) -> None:
    database = raw_client.node.parts.store.database
    when = datetime(2024, 1, 1)
    its = {"resourceUuid": "f" * 32, "resourceType": "ZoneVO", "type": "User", "createDate": when, "lastOpDate": when}
    async with database.transaction() as connection:
        await connection.execute(
            insert(UserTag), [{"uuid": f"{number:032x}", "tag": f"tag<{number}>", **its} for number in range(MOST_ROWS)]
        )
    async with measuring_stalls() as stalls:
        rows = await raw_client.send(
            "GET", f"/zstack/v1/user-tags?limit={MOST_ROWS}&sort=%2Buuid&q=resourceType=ZoneVO"
        )
    assert stalls.longest < MOST_SECONDS / 2
    assert [one["tag"] for one in rows.json["inventories"]] == [f"tag<{number}>" for number in range(MOST_ROWS)]
    assert len(rows.json["schema"]) == MOST_ROWS
    zql = f"query UserTag where resourceUuid='{'f' * 32}'"
    async with measuring_stalls() as stalls:
        results = await raw_client.send("GET", f"/zstack/v1/zql?zql={quote(zql)}")
    assert stalls.longest < MOST_SECONDS / 2
    assert len(results.json["results"][0]["inventories"]) == MOST_ROWS
    zql = f"sum UserTag.createDate by uuid where resourceUuid='{'f' * 32}'"
    async with measuring_stalls() as stalls:
        groups = await raw_client.send("GET", f"/zstack/v1/zql?zql={quote(zql)}")
    assert stalls.longest < MOST_SECONDS / 2
    assert groups.status == 200, groups.text[:300]
    assert len(groups.json["results"][0]["inventories"]) == MOST_ROWS
    legacy = {"conditions": [], "session": {"uuid": raw_client.session}, "limit": MOST_ROWS}
    async with measuring_stalls() as stalls:
        reply = await raw_client.send(
            "POST", "/zstack/api", {"org.zstack.header.tag.APIQueryUserTagMsg": legacy}, anonymous=True
        )
    assert stalls.longest < MOST_SECONDS / 2
    assert len(next(iter(json.loads(reply.json["result"]).values()))["inventories"]) == MOST_ROWS
