"""A name or a uuid with a character of four UTF-8 bytes is one that there is none of, on either kind of store."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client

WIDE = "a\U0001f600"
PATH = quote(WIDE)
ID_1000 = "wrong account"


@pytest_asyncio.fixture
async def lab(store_settings: dict[str, Any]) -> AsyncIterator[Lab]:
    async with Lab(Settings(port=0, hosts=1, **store_settings)) as lab:
        yield lab


@pytest_asyncio.fixture
async def client(lab: Lab) -> AsyncIterator[Client]:
    async with Client(lab.url) as client:
        await client.log_in()
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("PUT", "/accounts/login", {"logInByAccount": {"accountName": WIDE, "password": "x"}}, 503, ID_1000),
        (
            "PUT",
            "/accounts/users/login",
            {"logInByUser": {"accountName": WIDE, "userName": WIDE, "password": "x"}},
            503,
            ID_1000,
        ),
        ("GET", f"/api-jobs/{PATH}", None, 404, "the job has been expired"),
        ("GET", f"/backup-storage/capacities?zoneUuids={PATH}", None, 503, f"resource[uuids:[{WIDE}]"),
        ("GET", f"/resource-configurations/{PATH}/backupStorage/ping.interval", None, 503, f"resource[uuid:{WIDE}"),
        ("GET", f"/zones?q=name={PATH}", None, 503, "could not extract ResultSet"),
        ("GET", f"/lab/v1/storages/{PATH}", None, 404, f"there is no backup storage {WIDE}"),
        ("POST", f"/lab/v1/storages/{PATH}/ping", {}, 404, f"backup storage[uuid:{WIDE}] is not there"),
        ("POST", f"/lab/v1/storages/{PATH}/probe", {}, 404, f"backup storage[uuid:{WIDE}] is not there"),
    ],
)
async def test_what_has_such_a_name_is_not_there(
    client: Client,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    body: dict[str, object] | None,
    status: int,
    text: str,
) -> None:
    url = f"{client.url}{path}" if path.startswith("/lab/") else path
    answer = await client.request(method, url, data=None if body is None else json.dumps(body).encode())
    assert (answer.status, text in answer.text) == (status, True), answer.text
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


async def test_an_event_holds_such_a_text_as_it_is(lab: Lab) -> None:
    store, events = lab.node.parts.store, lab.node.foundation.events
    async with store.database.transaction() as connection:
        event = await events.record(connection, "/image/added", "0" * 32, {"name": WIDE})
    [kept] = [one for one in await store.event_log.since(0, 1_000) if one.id == event.id]
    assert kept.content == {"name": WIDE}
