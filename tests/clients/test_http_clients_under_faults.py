"""What curl and Python's HTTP clients make of an answer that is lost: which of them send the request again.

docs/clients-and-faults.md tells it, and what other clients do.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
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


@pytest.mark.parametrize(
    ("before", "statuses", "output"),
    [((), [0], "Recv failure: Connection reset by peer"), (("/backup-storage",), [0, 202], "api-jobs")],
    ids=["a new connection", "a connection that was used before"],
)
async def test_curl_posts_again_over_a_connection_that_was_used_before(
    faulty_node: Client, tmp_path: Path, before: tuple[str, ...], statuses: list[int], output: str
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    name, journal, api = f"curl-{len(before)}", await Journal.begin(faulty_node), f"{faulty_node.url}/zstack/v1"
    options = ["--silent", "--show-error"] + [
        part for pair in headers(faulty_node).items() for part in ("-H", f"{pair[0]}: {pair[1]}")
    ]
    first = [part for path in before for part in (*options, f"{api}{path}", "--next")]
    async with failing(faulty_node, "answer_lost", when={"api": CREATE, "first": 1}):
        post = [*options, "--data", zone(name).decode(), f"{api}/zones"]
        _, printed = await execute("curl", *first, *post, cwd=tmp_path, seconds=CURL_SECONDS)
    assert output in printed
    assert await journal.statuses(CREATE) == statuses
    assert await count_zones(faulty_node, name) == len(statuses)


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
