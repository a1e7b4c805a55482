"""The APIs of the management node itself (wire-protocol 8)."""

from __future__ import annotations

import platform
import re
from collections.abc import AsyncIterator
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path

import pytest
import pytest_asyncio
from raw_client import UNKNOWN, RawClient, open_raw_client

from imagestore_sim.api import all_handlers
from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.clock import RealClock
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
V1 = "/zstack/v1"
ACTIONS = f"{V1}/management-nodes/actions"
DATE = re.compile(r"[A-Z][a-z]{2} [1-9]\d?, \d{4} ([1-9]|1[0-2]):\d\d:\d\d (AM|PM)")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("node")) as raw_client:
        yield raw_client


@pytest.mark.parametrize(
    ("target", "action", "answer"),
    [
        (ACTIONS, "getVersion", {"version": "5.2.1", "success": True}),
        (ACTIONS, "getManagementNodeArch", {"architecture": platform.machine(), "success": True}),
        (
            f"{V1}/management/actions",
            "getManagementNodeOS",
            {"name": platform.system(), "version": platform.release(), "success": True},
        ),
    ],
)
async def test_what_the_body_selects(
    raw_client: RawClient, target: str, action: str, answer: dict[str, object]
) -> None:
    assert (await raw_client.send("PUT", target, {action: {}}, anonymous=True)).json == answer


async def test_the_current_time_in_zstack_s_own_spelling(raw_client: RawClient) -> None:
    answer = (await raw_client.send("PUT", ACTIONS, {"getCurrentTime": {}}, anonymous=True)).json
    assert set(answer) == {"currentTime", "success"}
    assert answer["currentTime"]["MillionSeconds"] // 1000 == answer["currentTime"]["Seconds"]


async def test_all_apis_are_listed(raw_client: RawClient) -> None:
    answer = (await raw_client.send("PUT", ACTIONS, {"getSupportAPIs": {}}, anonymous=True)).json
    assert answer["supportApis"] == sorted(message.__name__ for message in all_handlers().by_message)
    assert "APIAddImageStoreBackupStorageMsg" in answer["supportApis"]


async def test_an_unknown_action_is_refused(raw_client: RawClient) -> None:
    answer = await raw_client.send("PUT", ACTIONS, {"getNothing": {}}, anonymous=True)
    assert answer.text == "the body doesn't contain action mapping to the URL[/v1/management-nodes/actions]"


async def test_the_node_has_one_record(raw_client: RawClient) -> None:
    answer = (await raw_client.send("GET", f"{V1}/management-nodes")).json
    [node] = answer["inventories"]
    assert answer["schema"] == {"inventories[0]": "org.zstack.header.managementnode.ManagementNodeInventory"}
    assert (list(node), node["hostName"]) == (["uuid", "hostName", "joinDate", "heartBeat"], "127.0.0.1")
    assert DATE.fullmatch(node["joinDate"])
    for target, count in (
        (f"{V1}/management-nodes/{node['uuid']}", 1),
        (f"{V1}/management-nodes?q=hostName~=127%25", 1),
        (f"{V1}/management-nodes/{UNKNOWN}", 0),
        (f"{V1}/management-nodes/ping", 0),  # there is no such endpoint: it is taken for a uuid
    ):
        assert len((await raw_client.send("GET", target)).json["inventories"]) == count


async def test_the_heartbeat_is_updated(tmp_path: Path) -> None:
    async with open_raw_client(tmp_path) as raw_client:
        before = (await raw_client.send("GET", f"{V1}/management-nodes")).json["inventories"][0]
        raw_client.clock.ahead += 3600
        after = (await raw_client.send("GET", f"{V1}/management-nodes")).json["inventories"][0]
        assert before["heartBeat"] != after["heartBeat"]
        assert before["joinDate"] == after["joinDate"]


async def test_the_uuid_of_the_node_survives_a_restart(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        async with open_raw_client(tmp_path) as raw_client:
            found += (await raw_client.send("GET", f"{V1}/management-nodes")).json["inventories"]
    assert len({node["uuid"] for node in found}) == 1


async def test_a_ready_node_answers_an_empty_object(raw_client: RawClient) -> None:
    [node] = (await raw_client.send("GET", f"{V1}/management-nodes")).json["inventories"]
    for query in ("", f"?managementNodeId={node['uuid']}"):
        assert (await raw_client.send("GET", f"{V1}/management-nodes/ready{query}", anonymous=True)).text == "{}"


async def test_another_node_is_unavailable(raw_client: RawClient) -> None:
    answer = await raw_client.send("GET", f"{V1}/management-nodes/ready?managementNodeId={UNKNOWN}", anonymous=True)
    assert (answer.status, answer.error["code"]) == (503, "SYS.1012")


async def test_a_starting_node_answers_that_it_is_not_ready(tmp_path: Path) -> None:
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")))
    seen = []

    async def look() -> None:
        async with Client(node.url) as client:
            seen.append(await client.request("GET", "/management-nodes/ready"))

    await node.start(Bootstrap(), before_connecting=look)
    uuid = node.parts.node_record.uuid
    await node.stop()
    [answer] = seen
    assert (answer.status, answer.body["error"]["code"]) == (503, "SYS.1010")
    assert answer.body["error"]["details"] == f"management node[uuid:{uuid}] is not ready yet"


@rows(
    ("zone", "name", "offset"),
    [
        (UTC, "UTC", "Z"),
        (timezone(timedelta(hours=8)), "GMT+08:00", "+08:00"),
        (timezone(timedelta(hours=-3, minutes=-30)), "GMT-03:30", "-03:30"),
    ],
)
async def test_the_time_zone(tmp_path: Path, zone: tzinfo, name: str, offset: str) -> None:
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")), clock=RealClock(zone))
    await node.start(Bootstrap())
    async with Client(node.url) as client:
        await client.log_in()
        answer = await client.call("GET", "/management-nodes/platform-timezone")
    await node.stop()
    assert answer == {"timezone": name, "offset": offset, "success": True}


async def test_the_edition(raw_client: RawClient) -> None:
    answer = await raw_client.send("GET", f"{V1}/meta-data/opensource", anonymous=True)
    assert answer.json == {"opensource": True, "success": True}


async def test_health_and_readiness_for_container_engines(raw_client: RawClient) -> None:
    assert (await raw_client.send("GET", "/healthz", anonymous=True)).json == {"alive": True}
    assert (await raw_client.send("GET", "/readyz", anonymous=True)).json == {
        "ready": True,
        "waitingFor": [],
        "problems": [],
    }
