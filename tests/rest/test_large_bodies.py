"""Bodies of two megabytes: whatever they contain, the event loop is not blocked, and the answer is ZStack's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from raw_client import ZONES, RawClient, open_raw_client

from imagestore_sim.rest.server import BODY_LIMIT
from stalls import measuring_stalls

pytestmark = [pytest.mark.thorough, pytest.mark.asyncio(loop_scope="module")]
LOGIN = "/zstack/v1/accounts/login"
LEGACY = "/zstack/api"
ROOM = BODY_LIMIT - 200
MOST_SECONDS = 0.2
LONGEST_TURN = 0.1
TOO_DEEP = (500, "java.lang.StackOverflowError")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("large")) as raw_client:
        yield raw_client


def members(quote: str, within: bytes = b"%b") -> Callable[[], bytes]:
    """Return a function that makes an object of very many members: others may only collect these tests."""
    return lambda: within % ("{" + ",".join(f"{quote}k{number}{quote}:1" for number in range(100_000)) + "}").encode()


@pytest.mark.parametrize(
    ("body", "status", "begins"),
    [
        pytest.param(members('"'), 503, '{"error"', id="members"),
        pytest.param(members(""), 503, '{"error"', id="members without quotes"),
        pytest.param(members('"', b'{"logInByAccount":%b}'), 503, '{"error"', id="parameters"),
        pytest.param(b"{logInByAccount:[" + b"," * (ROOM // 8) + b"]}", 500, "java.util.ArrayList cannot", id="nulls"),
        pytest.param(
            b'{"logInByAccount":{"accountName":[' + b"[]," * (ROOM // 16) + b"1]}}", 500, "java.lang.Ill", id="lists"
        ),
        pytest.param(b'{"logInByAccount":{"name":"' + b"\\n" * (ROOM // 8) + b'"}}', 503, '{"error"', id="escapes"),
        pytest.param(b"{" + b"/**/" * (ROOM // 8) + b"}", 503, '{"error"', id="comments"),
        pytest.param(b"{" + b" " * ROOM + b"}", 503, '{"error"', id="blanks"),
        pytest.param(
            b'{"logInByAccount":{"accountName":' + b"1" * ROOM + b"}}", 503, '{"error"', id="a number of many digits"
        ),
        pytest.param(b'{"logInByAccount":{"accountName":1e999999999}}', 503, '{"error"', id="a number without end"),
        pytest.param(b"[" * 100_000, *TOO_DEEP, id="lists in lists"),
        pytest.param(b'{"a":' * 100_000, *TOO_DEEP, id="objects in objects"),
        pytest.param(b'{"params":' + b"[" * 500 + b"]" * 500 + b"}", *TOO_DEEP, id="strict JSON, deep"),
        pytest.param(
            b'{"logInByAccount":{"name":"' + b"x" * ROOM, 500, "com.google.gson.stream.Malformed", id="cut off"
        ),
    ],
)
async def test_a_login_with_a_large_body_does_not_block_the_event_loop(
    raw_client: RawClient, body: bytes | Callable[[], bytes], status: int, begins: str
) -> None:
    sent = body() if callable(body) else body
    async with measuring_stalls() as stalls:
        answer = await raw_client.send("POST", LOGIN, sent, anonymous=True)
    assert (answer.status, answer.text[: len(begins)]) == (status, begins)
    assert stalls.longest < MOST_SECONDS


@pytest.mark.parametrize("path", [LEGACY, ZONES])
@pytest.mark.parametrize("tags", ["systemTags", "userTags", "tagUuids"])
async def test_a_list_of_very_many_elements_is_refused(raw_client: RawClient, path: str, tags: str) -> None:
    many = ",".join(f'"tag::{number}"' for number in range(100_000))
    fields = f'{{"name":"z","{tags}":[{many}]}}'
    if path == LEGACY:
        session = f'"session":{{"uuid":"{raw_client.session}"}}'
        body = f'{{"org.zstack.header.zone.APICreateZoneMsg":{fields[:-1]},{session}}}}}'
    else:
        body = f'{{"params":{fields}}}'
    async with measuring_stalls() as stalls:
        answer = await raw_client.send("POST", path, body.encode())
        if path == ZONES:
            answer = await raw_client.follow(answer)
            assert answer.error["details"] == f"field[{tags}] cannot have more than 5000 elements, but 100000 got"
    assert stalls.longest < MOST_SECONDS


async def test_a_long_job_of_a_large_message_does_not_block_the_event_loop(raw_client: RawClient) -> None:
    """The message is JSON in a text of the body, so it is read apart from that."""
    data = json.dumps({f"k{number}": number for number in range(100_000)})
    body = json.dumps({"params": {"jobName": "APIAddImageMsg", "jobData": data}}).encode()
    async with measuring_stalls() as stalls:
        answer = await raw_client.follow(await raw_client.send("POST", "/zstack/v1/longjobs", body))
    assert "is mandatory, can not be null" in answer.error["details"]
    assert stalls.longest < LONGEST_TURN
