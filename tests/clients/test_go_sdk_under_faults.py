"""What ZStack's Go SDK makes of a node that fails: what it reports, what is sent again, and what there is afterwards.

docs/clients-and-faults.md tells it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from conversation import Conversation, Journal, conversing, count_storages, failing

from imagestore_sim.testing import Client

pytestmark = [pytest.mark.clients, pytest.mark.asyncio(loop_scope="session")]
ADD, ZONES, STORAGES, POLL = (
    "APIAddImageStoreBackupStorageMsg",
    "APIQueryZoneMsg",
    "APIQueryBackupStorageMsg",
    "api-jobs",
)
CONNECT_SECONDS = 30.0
DUPLICATE = "duplicate backup storage"


@pytest_asyncio.fixture(loop_scope="session")
async def sdk(go_program: Path, faulty_node: Client, tmp_path: Path) -> AsyncIterator[Conversation]:
    """Return a program that has logged in through the SDK, over a connection that it keeps."""
    async with conversing(*command(go_program, faulty_node), cwd=tmp_path) as conversation:
        yield conversation


def command(program: Path, node: Client) -> tuple[str, ...]:
    url = urlsplit(node.url)
    return (str(program), str(url.hostname), str(url.port), "account", "admin", "password", "calls")


@pytest.mark.parametrize(
    ("how", "report"), [("reset", "read: connection reset by peer"), ("close", "EOF")], ids=["reset", "close"]
)
async def test_an_add_whose_answer_is_lost_after_it_is_not_sent_again(
    sdk: Conversation, faulty_node: Client, how: str, report: str
) -> None:
    host, journal = f"go-after-{how}", await Journal.begin(faulty_node)
    async with failing(faulty_node, "answer_lost", how=how, when={"api": ADD, "first": 1}):
        said = await sdk.call(f"add {host}")
    assert '"class":"ClientError","code":499' in said
    assert report in said
    assert await journal.statuses(ADD) == [0]
    await faulty_node.wait_for_status(host, "Connected", within=CONNECT_SECONDS)
    assert DUPLICATE in await sdk.call(f"add {host}")
    assert await count_storages(faulty_node, host) == 1


async def test_an_add_whose_answer_is_lost_before_it_has_added_nothing(sdk: Conversation, faulty_node: Client) -> None:
    host, journal = "go-before", await Journal.begin(faulty_node)
    async with failing(faulty_node, "answer_lost", point="before", when={"api": ADD, "first": 1}):
        assert "read: connection reset by peer" in await sdk.call(f"add {host}")
    assert await count_storages(faulty_node, host) == 0
    assert await sdk.call(f"add {host}") == "ok"
    assert await journal.statuses(ADD) == [0, 202]
    assert await count_storages(faulty_node, host) == 1


async def test_a_query_whose_answer_is_lost_is_sent_again_silently(sdk: Conversation, faulty_node: Client) -> None:
    journal = await Journal.begin(faulty_node)
    async with failing(faulty_node, "answer_lost", when={"api": ZONES, "first": 1}):
        assert await sdk.call("zones") == "ok"
    assert await journal.statuses(ZONES) == [0, 200]


async def test_a_poll_whose_answer_is_lost_is_sent_again_silently(sdk: Conversation, faulty_node: Client) -> None:
    host, journal = "go-poll", await Journal.begin(faulty_node)
    async with failing(faulty_node, "answer_lost", when={"api": POLL, "first": 1}):
        assert await sdk.call(f"add {host}") == "ok"
    polls = await journal.statuses(POLL)
    assert (polls[0], polls[-1]) == (0, 200)
    assert await journal.statuses(ADD) == [202]
    assert await count_storages(faulty_node, host) == 1


async def test_late_answers_past_20_seconds_end_an_add_and_repeat_a_query(
    go_program: Path, faulty_node: Client, tmp_path: Path
) -> None:
    """The three wait at the same time, over connections of their own."""
    host, journal = "go-late", await Journal.begin(faulty_node)

    async def timed(call: str) -> tuple[str, float]:
        async with conversing(*command(go_program, faulty_node), cwd=tmp_path) as conversation:
            began = time.monotonic()
            return await conversation.call(call), time.monotonic() - began

    async with (
        failing(faulty_node, "latency", delay="11s", when={"api": STORAGES, "first": 1}),
        failing(faulty_node, "latency", delay="21s", when={"api": ZONES, "first": 1}),
        failing(faulty_node, "latency", delay="21s", when={"api": ADD, "first": 1}),
    ):
        (patient, _), (repeated, seconds), (ended, _) = await asyncio.gather(
            timed("storages"), timed("zones"), timed(f"add {host}")
        )
        await journal.wait_for(ZONES, 2)
        await journal.wait_for(ADD, 1)
    assert (patient, repeated) == ("ok", "ok")
    assert seconds >= 20
    assert "i/o timeout" in ended
    assert [len(await journal.statuses(api)) for api in (STORAGES, ZONES, ADD)] == [1, 2, 1]
    assert await count_storages(faulty_node, host) == 1


async def test_an_expired_session_is_reported_and_not_renewed(sdk: Conversation, faulty_node: Client) -> None:
    journal = await Journal.begin(faulty_node)
    async with failing(faulty_node, "session_expired", when={"api": ZONES, "first": 1}):
        said = [await sdk.call("zones"), await sdk.call("zones")]
    assert all('"class":"ID.1001"' in one for one in said)
    assert await sdk.call("login") == "ok"
    assert await sdk.call("zones") == "ok"
    assert await journal.statuses(ZONES) == [503, 503, 200]


async def test_an_add_with_an_expired_session_fails_by_its_job(sdk: Conversation, faulty_node: Client) -> None:
    host, journal = "go-expired", await Journal.begin(faulty_node)
    async with failing(faulty_node, "session_expired", when={"api": ADD, "first": 1}):
        assert '"class":"ID.1001"' in await sdk.call(f"add {host}")
    assert await journal.statuses(ADD) == [202]
    assert (await journal.statuses(POLL))[-1] == 503
    assert await count_storages(faulty_node, host) == 0


async def test_a_job_that_fails_is_reported_and_not_begun_again(sdk: Conversation, faulty_node: Client) -> None:
    host, journal = "go-fails", await Journal.begin(faulty_node)
    async with failing(faulty_node, "job_fails", details="no space left", when={"api": ADD, "first": 1}):
        said = await sdk.call(f"add {host}")
    assert '"class":"SYS.1000"' in said
    assert '"details":"no space left"' in said
    assert await journal.statuses(ADD) == [202]
    assert await count_storages(faulty_node, host) == 0
    assert await sdk.call(f"add {host}") == "ok"
    assert await count_storages(faulty_node, host) == 1


async def test_json_that_is_cut_ends_the_program(sdk: Conversation, faulty_node: Client) -> None:
    async with failing(faulty_node, "malformed", how="cut", when={"api": ZONES, "first": 1}):
        with pytest.raises(AssertionError, match="nil pointer dereference"):
            await sdk.call("zones")
