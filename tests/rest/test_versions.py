"""A node answers as the version of ZStack that its settings name (wire-protocol 9)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import orjson
import pytest

from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.rest.versions import VERSIONS
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client

Call = tuple[str, str, dict[str, object]]
VERSION: Call = ("PUT", "/management-nodes/actions", {"getVersion": {}})
APIS: Call = ("PUT", "/management-nodes/actions", {"getSupportAPIs": {}})


@asynccontextmanager
async def client_of(version: str, tmp_path: Path) -> AsyncIterator[Client]:
    settings = Settings(port=0, database=str(tmp_path / "node.db"), zstack=version)
    node = ManagementNode(settings)
    await node.start()
    try:
        async with Client(node.url) as client:
            await client.log_in()
            yield client
    finally:
        await node.stop()


def test_the_setting_names_every_version() -> None:
    assert get_args(Settings.model_fields["zstack"].annotation) == tuple(VERSIONS)


@pytest.mark.parametrize(
    ("version", "number", "missing"),
    [
        ("3.10", "3.10.0", ["/directories", "/agent-version"]),
        ("4.8", "4.8.0", ["/agent-version"]),
        ("5.2", "5.2.1", []),
        ("5.4", "5.4.0", []),
    ],
)
async def test_a_version_has_its_own_number_and_apis(
    tmp_path: Path, version: str, number: str, missing: list[str]
) -> None:
    async with client_of(version, tmp_path) as client:
        assert (await client.call(*VERSION))["version"] == number
        statuses = {
            path: (await client.request("GET", path)).status for path in ("/images", "/directories", "/agent-version")
        }
        assert [path for path, status in statuses.items() if status == 404] == missing


async def test_an_api_that_does_not_exist_yet_is_no_path_no_class_and_not_listed(tmp_path: Path) -> None:
    async with client_of("4.8", tmp_path) as client:
        answer = await client.request("GET", "/agent-version")
        assert (answer.status, answer.text) == (404, "no api mapping to /v1/agent-version")
        name = "org.zstack.core.upgrade.APIQueryAgentVersionMsg"
        answer = await client.request("POST", f"{client.url}/zstack/api", {name: {}})
        assert answer.text == f"Unable to deserialize class {name}"
        listed = (await client.call(*APIS))["supportApis"]
        assert "APIQueryAgentVersionMsg" not in listed
        assert "APIAddImageMsg" in listed


@pytest.mark.parametrize(("version", "code"), [("5.2", None), ("5.4", "ORG_ZSTACK_IDENTITY_10020")])
async def test_only_new_versions_have_a_global_error_code(tmp_path: Path, version: str, code: str | None) -> None:
    async with client_of(version, tmp_path) as client:
        client.session_uuid = "a" * 32
        synchronous = (await client.request("GET", "/zones")).body["error"]
        accepted = await client.request("POST", "/zones", {"params": {"name": "z"}})
        job = (await client.follow(str(accepted.body["location"]))).body["error"]
        unknown = {"org.zstack.header.zone.APIQueryZoneMsg": {"session": {"uuid": "a" * 32}, "conditions": []}}
        legacy = (await client.request("POST", f"{client.url}/zstack/api", unknown)).body["result"]
        [reply] = orjson.loads(legacy).values()
        for error in (synchronous, job, reply["error"]):
            assert (error["code"], error.get("globalErrorCode")) == ("ID.1001", code)
            assert "cost" in error
