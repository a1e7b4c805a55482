"""A NUL is a character of a text like any other: no condition ends there, on either kind of store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from rows import rows

NAMES = ("a", "a\0b", "a\0c", "é\0b", "b")
NUL = "\0"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(store_settings: dict[str, Any]) -> AsyncIterator[Client]:
    async with Lab(Settings(port=0, hosts=1, **store_settings)) as lab, Client(lab.url) as client:
        await client.log_in()
        [storage] = await client.query("/backup-storage")
        for name in NAMES:
            fields = {"name": name, "description": name, "format": "qcow2", "url": f"zstore://x/{len(name)}"}
            added = {**fields, "backupStorageUuids": [storage["uuid"]], "mediaType": "RootVolumeTemplate"}
            await client.call("POST", "/images", {"params": added})
        yield client


CASES: list[tuple[str, list[str]]] = [
    ("=a\0b", ["a\0b"]),
    ("=A\0B ", ["a\0b"]),
    ("=a\0", []),
    ("!=a\0b", ["a", "a\0c", "é\0b", "b"]),
    ("?=a\0b,b", ["a\0b", "b"]),
    ("?=a\0,x", []),
    ("?=E\0b,x", ["é\0b"]),
    ("!?=a\0x,a\0b", ["a", "a\0c", "é\0b", "b"]),
    ("~=a\0%", ["a\0b", "a\0c"]),
    ("~=a\0x", []),
    ("~=a", ["a"]),
    ("~=a_b", ["a\0b"]),
    ("~=a\\\0b", ["a\0b"]),
    ("~=%\0zzz", []),
    ("~=%\0b", ["a\0b", "é\0b"]),
    ("~=%b", ["a\0b", "é\0b", "b"]),
    ("!~=a\0x", list(NAMES)),
    ("!~=%\0b", ["a", "a\0c", "b"]),
]


@pytest.mark.parametrize("field", ["name", "description"], ids=["indexed", "not indexed"])
@rows(("condition", "names"), CASES)
async def test_a_condition_compares_the_whole_value(
    client: Client, field: str, condition: str, names: list[str]
) -> None:
    found = await client.query("/images", f"{field}{condition}", "description not null")
    assert sorted(one["name"] for one in found) == sorted(names)


@pytest.mark.parametrize(
    "condition",
    [
        "backupStorage.name~=imagestore-1\0x",
        "uuid~=%\0",
        "backupStorageRef.backupStorageUuid?=\0,x",
        "__userTag__~=\0%",
    ],
)
async def test_no_pattern_matches_up_to_a_nul(client: Client, condition: str) -> None:
    assert await client.query("/images", condition) == []


@rows(
    ("where", "names"),
    [
        ("name='a\0b'", ["a\0b"]),
        ("name='a\\0b'", ["a\0b"]),
        ("name in ('a\0b','b\0')", ["a\0b"]),
        ("name like '%\0b' and description is not null", ["a\0b", "é\0b"]),
        ("name='\0' or name='a\0c'", ["a\0c"]),
    ],
)
async def test_zql_takes_a_nul_in_a_literal(client: Client, where: str, names: list[str]) -> None:
    answer = await client.call("GET", "/zql", query=[("zql", f"query image.name where {where}")])
    [result] = answer["results"]
    assert sorted(one["name"] for one in result["inventories"]) == sorted(names)


async def test_an_error_of_hibernate_quotes_the_nul(client: Client) -> None:
    zql = "query image where name='a\0b' and name is null 'x\0'"
    answer = await client.request("GET", f"{client.url}/zstack/v1/zql", query=[("zql", zql)])
    details = answer.body["error"]["details"]
    assert "unexpected token: 'x\0' near line 1, column" in details
    assert "name = 'a\0b' AND" in details
    place = int(details.partition("column ")[2].partition(" ")[0])
    text = details.partition(" [")[2]
    assert text[place - 1 :].startswith("'x\0'")


async def test_the_lanes_of_a_name_have_the_whole_name(client: Client) -> None:
    for name, lanes in (("%00zzz", 0), ("imagestore-1%00", 0), ("STORE-1", 1), ("%", 0)):
        answer = await client.request("GET", f"{client.url}/lab/v1/timeline?name={name if name != '%' else '%25'}")
        assert len(answer.body["lanes"]) == lanes
