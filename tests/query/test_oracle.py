"""Compare SQL with the reference evaluator, for random queries over a real database file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference_evaluator import (
    DATES,
    IMAGE_REFS,
    IMAGES,
    STORAGES,
    SYSTEM_TAGS,
    TEXTS,
    USER_TAGS,
    ZONE_REFS,
    ZONES,
    Row,
    holds,
    in_order,
    uuid_of,
)
from sqlalchemy import insert, select

from imagestore_sim.database import Database
from imagestore_sim.database.models import (
    BackupStorage,
    BackupStorageZoneRef,
    Image,
    ImageBackupStorageRef,
    ImageStoreBackupStorage,
    SystemTag,
    UserTag,
    Zone,
)
from imagestore_sim.query import (
    BACKUP_STORAGE,
    IMAGE_STORE_BACKUP_STORAGE,
    ZONE,
    Inventory,
    Query,
    QueryEngine,
    register_functions,
    text_index,
)
from imagestore_sim.query.conditions import OPERATOR_TOKENS, Condition, Operator, Sort

pytestmark = pytest.mark.thorough

repeatable = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

TEXT_FIELDS = ["name", "description", "url", "state", "status", "uuid", "zone.name", "zone.description", "image.name"]
TEXT_FIELDS += ["imageRef.status", "zone.backupStorage.name", "attachedZoneUuids", "zoneRef.zoneUuid", "zone.uuid"]
TEXT_FIELDS += ["__systemTag__", "__userTag__", "__tagUuid__", "zone.__userTag__", "zone.backupStorage.__systemTag__"]
PIECES = ["a", "A", "e", "é", "É", "ß", "s", "z", "Z", "_", "%", "\\", " ", "-", "中", "Б", "0", "1", "\\%", "ab"]
KNOWN = [*TEXTS, *(row["uuid"] for row in STORAGES[:3] + ZONES), "gold", "GOLD ", "remote", "%remote%", "Zone-E"]
KNOWN += ["Connected", "img-e", "Ready", "b%", "%1", "z\\_3", "/zs/1", "B" + "0" * 31]
made_up = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
# ZStack fails at "%s" in the condition of a tag.
texts = st.one_of(st.sampled_from(KNOWN), made_up.filter(lambda text: "%s" not in text))
numbers = st.one_of(
    st.sampled_from(["", "abc", "null", "1e3", "+10", " 10 ", "1000abc", "0x16", "1,001", "1001.0", ".5", "-1", "1e"]),
    st.sampled_from(["9007199254740993", "9223372036854775807", "9" * 20, "%0", "1_0", "1000.5", "-1e30", "1."]),
    st.integers(-(2**64), 2**64).map(str),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(str),
)
dates = st.one_of(
    st.sampled_from(["", "yesterday", "Nov 14, 2017 10:20:57 PM", "1510698057", "2017-13-01", "2017-11-14 22:20:57Z"]),
    st.sampled_from(["2017-11%", "%:57", "2017-11-14T22:20:57", "2017-11-14 22:20", "20171115", "2017/11/15"]),
    st.sampled_from(DATES).map(str),
    st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)).map(lambda one: f"{one:%Y-%m-%d %H:%M:%S}"),
)


def _condition(fields: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[Condition]:
    lists = st.lists(values.map(lambda one: one.replace(",", "")), min_size=1, max_size=5).map(",".join)
    return st.sampled_from([operator for _, operator in OPERATOR_TOKENS]).flatmap(
        lambda operator: st.builds(
            Condition,
            st.sampled_from(fields),
            st.just(operator),
            {Operator.IS_NULL: st.just(""), Operator.NOT_NULL: st.just("")}.get(
                operator, lists if operator in (Operator.IN, Operator.NOT_IN) else values
            ),
        )
    )


conditions = st.one_of(
    _condition(TEXT_FIELDS, texts),
    _condition(["totalCapacity", "availableCapacity", "sshPort", "zoneRef.id"], numbers),
    _condition(["createDate", "lastOpDate", "zone.createDate"], dates),
)
SORTED = ["name", "description", "status", "availableCapacity", "createDate", "uuid", "sshPort"]


@dataclass
class Lab:
    """An engine over the records, and the event loop that runs it."""

    runner: asyncio.Runner
    engine: QueryEngine

    def find(self, inventory: Inventory, query: Query) -> tuple[list[str], int | None]:
        found = self.runner.run(self.engine.run(inventory, query))
        return [str(row["uuid"]) for row in found.rows or ()], found.total


async def _fill(database: Database) -> None:
    dated = {"createDate": DATES[0], "lastOpDate": DATES[0]}
    host = ("hostname", "username", "sshPort")
    hosts = [{"password": ""} | {name: row[name] for name in ("uuid", *host)} for row in STORAGES]
    tagged = dated | {"resourceType": "BackupStorageVO", "type": "System"}
    rows: list[tuple[Any, list[Row]]] = [
        (Zone, ZONES),
        (BackupStorage, [{name: value for name, value in row.items() if name not in host} for row in STORAGES]),
        (ImageStoreBackupStorage, hosts),
        (BackupStorageZoneRef, [dated | ref for ref in ZONE_REFS]),
        (Image, [dated | {"status": "Ready"} | image for image in IMAGES]),
        (ImageBackupStorageRef, [dated | {"installPath": ""} | ref for ref in IMAGE_REFS]),
        (SystemTag, [tagged | {"uuid": uuid_of("e", number)} | tag for number, tag in enumerate(SYSTEM_TAGS)]),
        (UserTag, [tagged | {"uuid": uuid_of("f", number)} | tag for number, tag in enumerate(USER_TAGS)]),
    ]
    async with database.transaction() as connection:
        for model, values in rows:
            await connection.execute(insert(model), values)


@pytest.fixture(scope="module", params=["by SQL alone", "by copies of the texts"])
def lab(request: pytest.FixtureRequest, store_settings: dict[str, Any]) -> Iterator[Lab]:
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        if request.param == "by copies of the texts":
            patch.setattr(text_index, "FEWEST_ROWS", 1)
            patch.setattr(text_index, "ASKED_BEFORE", 0)
        database = runner.run(Database.open(store_settings["database"], prepare=register_functions))
        if not runner.run(database.read(select(Zone.uuid))):  # one database for both ways
            runner.run(_fill(database))
        yield Lab(runner, QueryEngine(database, write_date=str))
        runner.run(database.close())


@given(st.lists(conditions, min_size=1, max_size=3), st.sampled_from([BACKUP_STORAGE, IMAGE_STORE_BACKUP_STORAGE]))
@settings(repeatable, max_examples=250)
def test_sql_finds_the_rows_of_the_reference_evaluator(
    lab: Lab, given_conditions: list[Condition], inventory: Inventory
) -> None:
    if inventory is BACKUP_STORAGE:
        given_conditions = [one for one in given_conditions if one.name != "sshPort"]
    expected = [row["uuid"] for row in STORAGES if all(holds(row, condition) for condition in given_conditions)]
    found, total = lab.find(inventory, Query(tuple(given_conditions), reply_with_count=True))
    assert found == expected  # without a sort they come by uuid
    assert total == len(expected)


@given(_condition(["name", "description", "uuid", "backupStorage.name", "backupStorage.__systemTag__"], texts))
@settings(repeatable, max_examples=80)
def test_sql_finds_the_zones_of_the_reference_evaluator(lab: Lab, given_conditions: Condition) -> None:
    expected = [row["uuid"] for row in ZONES if holds(row, given_conditions)]
    assert lab.find(ZONE, Query((given_conditions,)))[0] == expected


@given(
    st.sampled_from(SORTED),
    st.booleans(),
    st.one_of(st.none(), st.tuples(st.sampled_from(SORTED), st.booleans())),
    st.integers(0, len(STORAGES) + 2),
    st.one_of(st.none(), st.integers(0, len(STORAGES) + 2)),
)
@settings(repeatable, max_examples=120)
def test_sql_sorts_and_pages_like_the_reference_evaluator(
    lab: Lab, last: str, descending: bool, first: tuple[str, bool] | None, limit: int, start: int | None
) -> None:
    # The direction of the last one comes from the sign; uuid parts what is alike.
    expected = in_order(sorted(STORAGES, key=lambda row: str(row["uuid"])), last, descending=False)
    if descending:
        expected = _stable_descending(sorted(STORAGES, key=lambda row: str(row["uuid"])), last)
    text = last
    if first is not None:
        text = f"{first[0]} {'desc' if first[1] else 'asc'},{last}"
        expected = (_stable_descending if first[1] else _ascending)(expected, first[0])
    query = Query(limit=limit, start=start, sort=Sort(text, descending))
    found, _ = lab.find(IMAGE_STORE_BACKUP_STORAGE, query)
    assert found == [row["uuid"] for row in expected][start or 0 :][:limit]


def _ascending(rows: list[Row], field: str) -> list[Row]:
    return in_order(rows, field, descending=False)


def _stable_descending(rows: list[Row], field: str) -> list[Row]:
    # reverse=True keeps the order of what is alike, as sorting by uuid after it does.
    return in_order(rows, field, descending=True)
