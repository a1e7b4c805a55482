"""What the vendor's MCP server makes of a node that fails, and what an assistant reads of it.

docs/clients-and-faults.md tells it. The server offers no call that adds an ImageStore: these tests create zones.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from conversation import Conversation, Journal, conversing, failing

from imagestore_sim.testing import Client

pytestmark = [pytest.mark.clients, pytest.mark.asyncio(loop_scope="session")]
CALLS = Path(__file__).with_name("assistant") / "calls.py"
LOGIN, CREATE, ZONES, POLL = "APILogInByAccountMsg", "APICreateZoneMsg", "APIQueryZoneMsg", "api-jobs"
RECONNECT = "APIReconnectImageStoreBackupStorageMsg"
Json = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    mcp_environment: Path, faulty_node: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Conversation]:
    """Return an assistant that talks to one MCP server, for all tests."""
    program = (str(mcp_environment / "python"), str(CALLS), str(mcp_environment / "zstack-mcp-server"))
    async with conversing(*program, faulty_node.url, cwd=tmp_path_factory.mktemp("assistant")) as conversation:
        yield conversation


async def call(server: Conversation, api: str, **parameters: object) -> Json:
    """Return what an assistant gets back from a call."""
    answer: Json = json.loads(await server.call(f"{api} {json.dumps(parameters)}"))
    return answer


async def count_zones(node: Client, name: str) -> int:
    """Return how many zones have a name, which need not be unique."""
    return len(await node.query("/zones", f"name={name}"))


@pytest.mark.parametrize(
    ("point", "how", "report", "zones"),
    [
        ("after", "reset", "", 2),
        ("after", "close", "Server disconnected without sending a response.", 2),
        ("before", "reset", "", 1),
    ],
)
async def test_a_lost_answer_is_an_error_and_an_assistant_that_repeats_it_may_create_twice(
    server: Conversation, faulty_node: Client, point: str, how: str, report: str, zones: int
) -> None:
    name, journal = f"mcp-{point}-{how}", await Journal.begin(faulty_node)
    async with failing(faulty_node, "answer_lost", point=point, how=how, when={"api": CREATE, "first": 1}):
        assert await call(server, "CreateZone", name=name) == {"success": False, "error": report}
    assert await journal.statuses(CREATE) == [0]
    assert (await call(server, "CreateZone", name=name))["success"]
    assert await count_zones(faulty_node, name) == zones


async def test_a_lost_answer_to_a_query_is_an_error_too(server: Conversation, faulty_node: Client) -> None:
    journal = await Journal.begin(faulty_node)
    async with failing(faulty_node, "answer_lost", how="close", when={"api": ZONES, "first": 1}):
        assert not (await call(server, "QueryZone"))["success"]
    assert await journal.statuses(ZONES) == [0]


async def test_a_lost_answer_to_a_poll_hides_that_the_job_goes_on(server: Conversation, faulty_node: Client) -> None:
    journal = await Journal.begin(faulty_node)
    [storage] = await faulty_node.query("/backup-storage/image-store", "name=imagestore-1")
    async with failing(faulty_node, "answer_lost", when={"api": POLL, "first": 1}):
        said = await call(server, "ReconnectImageStoreBackupStorage", uuid=storage["uuid"])
    assert said == {"success": False, "error": ""}
    assert (await journal.statuses(RECONNECT), await journal.statuses(POLL)) == ([200], [0])
    await faulty_node.wait_for_status("imagestore-1", "Connected", within=30)


async def test_an_answer_that_is_11_seconds_late_is_waited_for(server: Conversation, faulty_node: Client) -> None:
    journal = await Journal.begin(faulty_node)
    async with failing(faulty_node, "latency", delay="11s", when={"api": ZONES, "first": 1}):
        assert (await call(server, "QueryZone"))["success"]
    assert await journal.statuses(ZONES) == [200]


@pytest.mark.parametrize(("tool", "api"), [("QueryZone", ZONES), ("CreateZone", CREATE)])
async def test_an_expired_session_is_renewed_and_the_call_repeated(
    server: Conversation, faulty_node: Client, tool: str, api: str
) -> None:
    journal = await Journal.begin(faulty_node)
    parameters = {"name": "mcp-expired"} if tool == "CreateZone" else {}
    async with failing(faulty_node, "session_expired", when={"api": api, "first": 1}):
        assert (await call(server, tool, **parameters))["success"]
    assert await journal.statuses(api) == [200, 200]
    assert len(await journal.statuses(LOGIN)) == 1
    if parameters:
        assert await count_zones(faulty_node, "mcp-expired") == 1


async def test_a_job_that_fails_is_reported_and_not_begun_again(server: Conversation, faulty_node: Client) -> None:
    journal = await Journal.begin(faulty_node)
    async with failing(faulty_node, "job_fails", details="no space left", when={"api": CREATE, "first": 1}):
        said = await call(server, "CreateZone", name="mcp-fails")
    assert (said["success"], said["code"], said["details"]["details"]) == (False, "SYS.1000", "no space left")
    assert await journal.statuses(CREATE) == [200]
    assert await count_zones(faulty_node, "mcp-fails") == 0
