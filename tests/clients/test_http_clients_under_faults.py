"""What curl and Python's HTTP clients make of an answer that is lost: which of them send the request again.

docs/clients-and-faults.md tells it, and what other clients do.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
import uuid
from pathlib import Path

import aiohttp
import pytest
from conversation import Journal, failing

from commands import execute
from imagestore_sim.testing import Client

pytestmark = [pytest.mark.clients, pytest.mark.asyncio(loop_scope="session")]
CREATE, ZONES = "APICreateZoneMsg", "APIQueryZoneMsg"
CURL_SECONDS = 60.0


def zone(name: str) -> bytes:
    return json.dumps({"params": {"name": name}}).encode()


def headers(node: Client) -> dict[str, str]:
    return {"Authorization": f"OAuth {node.session_uuid}", "Content-Type": "application/json"}


async def count_zones(node: Client, name: str) -> int:
    """Return how many zones have a name once all jobs have ended, of which the last one is this function's."""
    await node.call("POST", "/zones", {"params": {"name": f"{name}-last"}})
    return len(await node.query("/zones", f"name={name}"))


async def post_with_curl(node: Client, folder: Path, name: str, *before: str, header: str = "Accept: */*") -> str:
    """Create a zone whose first answer is lost, after queries for the paths `before` in the same command.

    Return what curl prints. Skip the test without curl.
    """
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    api = f"{node.url}/zstack/v1"
    lines = [f"{key}: {value}" for key, value in headers(node).items()]
    options = ["--silent", "--show-error", *(part for line in lines for part in ("--header", line))]
    queries = [part for path in before for part in (*options, f"{api}{path}", "--next")]
    post = [*options, "--header", header, "--data", zone(name).decode(), f"{api}/zones"]
    async with failing(node, "answer_lost", when={"api": CREATE, "first": 1}):
        _, printed = await execute("curl", *queries, *post, cwd=folder, seconds=CURL_SECONDS)
    return printed


async def test_curl_posts_once_over_a_new_connection(faulty_node: Client, tmp_path: Path) -> None:
    journal = await Journal.begin(faulty_node)
    assert "Connection reset by peer" in await post_with_curl(faulty_node, tmp_path, "curl-new")
    assert await journal.statuses(CREATE) == [0]
    assert await count_zones(faulty_node, "curl-new") == 1


async def test_curl_posts_again_over_a_connection_used_before(faulty_node: Client, tmp_path: Path) -> None:
    journal = await Journal.begin(faulty_node)
    assert "api-jobs" in await post_with_curl(faulty_node, tmp_path, "curl-used", "/backup-storage")
    assert await journal.statuses(CREATE) == [0, 202]
    assert await count_zones(faulty_node, "curl-used") == 2


async def test_a_job_uuid_keeps_a_post_of_curl_from_being_carried_out_twice(
    faulty_node: Client, tmp_path: Path
) -> None:
    journal, job = await Journal.begin(faulty_node), uuid.uuid4().hex
    header = f"X-Job-UUID: {job}"
    printed = await post_with_curl(faulty_node, tmp_path, "curl-job", "/backup-storage", header=header)
    assert f"Duplicate job uuid[{job}]" in printed
    assert await journal.statuses(CREATE) == [0, 400]
    created = await faulty_node.follow(f"/api-jobs/{job}")
    assert created.body["inventory"]["name"] == "curl-job"
    assert await count_zones(faulty_node, "curl-job") == 1


async def test_aiohttp_gets_again_even_over_a_new_connection_and_posts_once(faulty_node: Client) -> None:
    journal, url = await Journal.begin(faulty_node), f"{faulty_node.url}/zstack/v1/zones"
    async with aiohttp.ClientSession(headers=headers(faulty_node)) as session:
        async with (
            failing(faulty_node, "answer_lost", when={"api": ZONES, "first": 1}),
            session.get(url) as answer,
        ):
            assert answer.status == 200
        async with failing(faulty_node, "answer_lost", when={"api": CREATE, "first": 1}):
            with pytest.raises(aiohttp.ClientOSError, match="Connection reset by peer"):
                await session.post(url, data=zone("aiohttp"))
    assert await journal.statuses(ZONES) == [0, 200]
    assert await journal.statuses(CREATE) == [0]
    assert await count_zones(faulty_node, "aiohttp") == 1


async def test_urllib_reports_the_loss_and_sends_nothing_again(faulty_node: Client) -> None:
    journal = await Journal.begin(faulty_node)
    request = urllib.request.Request(f"{faulty_node.url}/zstack/v1/zones", headers=headers(faulty_node))
    async with failing(faulty_node, "answer_lost", when={"api": ZONES, "first": 1}):
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(urllib.request.urlopen, request)
    assert await journal.statuses(ZONES) == [0]
