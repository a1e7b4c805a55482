"""Answers that go out before aiohttp makes a request: the same bytes, and all that a handler would have done."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from raw_client import STORAGE, STORAGES, UNKNOWN, ZONES, RawClient, open_raw_client, sha512

from imagestore_sim.rest.rest_api import LONGEST_AT_ONCE
from imagestore_sim.rest.server import RestServer
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
DATE = re.compile(rb"Date: [^\r]*")
LENGTH = re.compile(rb"Content-Length: (\d+)")
SECONDS = 60.0
SESSION_SECONDS = 7200
TARGET = f"{STORAGES}?limit=10"
BY_HANDLER = "Origin: http://elsewhere.example"
"""A header that has a request go to a handler, and changes nothing in its answer."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("at-once")) as raw_client:
        yield raw_client


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths of the requests that get to a handler, from now on."""
    paths: list[str] = []
    note = RestServer._note

    def noted(self: RestServer[object], request: web.BaseRequest, *others: Any) -> None:
        paths.append(request.raw_path)
        note(self, request, *others)

    monkeypatch.setattr(RestServer, "_note", noted)
    return paths


class Connection:
    """A connection to the node that stays open."""

    def __init__(
        self, raw_client: RawClient, session: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._raw_client = raw_client
        self._session = session
        self._reader = reader
        self.writer = writer

    def head(self, target: str = TARGET, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
        host, oauth = f"Host: {self._raw_client.address}", f"Authorization: OAuth {self._session}"
        return "\r\n".join([f"{method} {target} HTTP/{version}", host, oauth, *lines, "", ""]).encode()

    async def ask(self, *lines: str, target: str = TARGET, method: str = "GET", version: str = "1.1") -> bytes:
        """Send a request and return its answer, without its date."""
        self.writer.write(self.head(target, *lines, method=method, version=version))
        return await self.answer(has_body=method != "HEAD")

    async def answer(self, *, has_body: bool = True) -> bytes:
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), SECONDS)
        length = LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if has_body and length is not None else b""
        return DATE.sub(b"", head) + body


@asynccontextmanager
async def connected(raw_client: RawClient, session: str | None = None) -> AsyncIterator[Connection]:
    host, _, port = raw_client.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Connection(raw_client, session or raw_client.session, reader, writer)
    finally:
        writer.close()


async def change_the_store(raw_client: RawClient) -> None:
    """Change what no answer holds that is asked for below, so that none is kept."""
    zone = await raw_client.make_zone(name="soon gone")
    assert (await raw_client.call("DELETE", f"{ZONES}/{zone['uuid']}?deleteMode=Enforcing")).status == 200


async def keep_an_answer(raw_client: RawClient) -> None:
    async with connected(raw_client) as other:
        await other.ask()


async def test_the_same_question_has_the_same_bytes_and_gets_to_no_handler(
    raw_client: RawClient, handled: list[str]
) -> None:
    async with connected(raw_client) as connection:
        by_handler = await connection.ask(BY_HANDLER)
        assert handled == [TARGET]
        assert [await connection.ask() for _ in range(3)] == [by_handler] * 3
        assert handled == [TARGET]


QUICK = (f"{STORAGES}/{STORAGE}", f"{STORAGES}/{UNKNOWN}", f"{STORAGES}?q=uuid={STORAGE}", f"{TARGET}&sort=name", ZONES)


@rows("target", QUICK)
async def test_an_answer_that_is_not_kept_goes_out_at_once_if_it_is_soon_found(
    raw_client: RawClient, handled: list[str], target: str
) -> None:
    async with connected(raw_client) as connection:
        by_handler = await connection.ask(BY_HANDLER, target=target)
        await change_the_store(raw_client)
        handled.clear()
        assert await connection.ask(target=target) == by_handler
        assert handled == []


async def test_it_is_as_new_as_the_store(raw_client: RawClient, handled: list[str]) -> None:
    async with connected(raw_client) as connection:
        await connection.ask()
        for number in range(20):
            zone = await raw_client.make_zone(name=f"new-{number}")
            handled.clear()
            assert f'"name":"new-{number}"'.encode() in await connection.ask(target=f"{ZONES}/{zone['uuid']}")
            assert handled == []


@rows(
    ("target", "status"),
    [
        (f"{STORAGES}?q=nonsense", 400),
        (f"{STORAGES}?q=nothing=1", 503),
        ("/zstack/v1/nothing", 404),
        ("/zstack/v1/zones/..", 404),
        ("/v1/api-jobs/nothing", 404),
        ("/zstack/v1/management-nodes", 200),
        (f"{STORAGES}?q=name={'x' * LONGEST_AT_ONCE}", 200),
    ],
)
async def test_what_fails_or_is_no_short_query_gets_to_a_handler(
    raw_client: RawClient, handled: list[str], target: str, status: int
) -> None:
    async with connected(raw_client) as connection:
        await connection.ask()
        handled.clear()
        assert (await connection.ask(target=target)).split()[1] == b"%d" % status
        assert handled == [target]


async def test_a_query_that_takes_long_gets_to_a_handler(
    raw_client: RawClient, handled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(raw_client) as connection:
        by_handler = await connection.ask(BY_HANDLER)
        await change_the_store(raw_client)
        monkeypatch.setattr("imagestore_sim.database.reader.SHORT_SECONDS", -1.0)
        monkeypatch.setattr("imagestore_sim.database.reader.STEPS_BETWEEN_CHECKS", 1)
        handled.clear()
        assert await connection.ask() == by_handler
        assert handled == [TARGET]


async def test_the_policies_of_a_user_are_read_first(raw_client: RawClient, handled: list[str]) -> None:
    body = {"logInByUser": {"accountName": "test", "userName": "alice", "password": sha512("wonder")}}
    login = await raw_client.send("PUT", "/zstack/v1/accounts/users/login", body, anonymous=True)
    async with connected(raw_client, login.json["inventory"]["uuid"]) as connection:
        by_handler = await connection.ask(BY_HANDLER)
        await change_the_store(raw_client)
        handled.clear()
        assert await connection.ask() == by_handler
        assert handled == [TARGET]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("X-Lab-Time: 0", 200),
        ("Connection: close", 200),
        ("Content-Encoding: nonsense", 415),
        ("Expect: nonsense", 417),
        (BY_HANDLER, 200),
        ("Host: elsewhere.example", 400),
    ],
)
async def test_a_request_that_asks_for_more_gets_to_the_handlers(raw_client: RawClient, line: str, status: int) -> None:
    await keep_an_answer(raw_client)
    async with connected(raw_client) as connection:
        assert (await connection.ask(line)).split()[1] == b"%d" % status


async def test_head_and_http_1_0_are_answered_as_ever(raw_client: RawClient) -> None:
    await keep_an_answer(raw_client)
    async with connected(raw_client) as connection:
        assert (await connection.ask(method="HEAD")).startswith(b"HTTP/1.1 405 ")
    async with connected(raw_client) as connection:
        assert (await connection.ask(version="1.0")).startswith(b"HTTP/1.0 200 ")


async def test_a_head_in_pieces_and_heads_together_are_answered_in_their_order(raw_client: RawClient) -> None:
    await keep_an_answer(raw_client)
    async with connected(raw_client) as connection:
        whole = await connection.ask()
        head = connection.head()
        for piece in (head[:10], head[10:-3], head[-3:] + connection.head(ZONES)[:20]):
            connection.writer.write(piece)
            await asyncio.sleep(0.05)
        assert await connection.answer() == whole
        connection.writer.write(connection.head(ZONES)[20:] + head)
        assert b'"isDefault"' in await connection.answer()
        assert await connection.answer() == whole
        connection.writer.write(connection.head() * 3)
        assert [await connection.answer() for _ in range(3)] == [whole] * 3


async def test_a_head_that_is_known_is_read_as_what_it_is_wherever_it_comes(raw_client: RawClient) -> None:
    await keep_an_answer(raw_client)
    async with connected(raw_client) as connection:
        whole = await connection.ask()
        assert await connection.ask() == whole  # its head is known now
        known = connection.head()

        connection.writer.write(f"GET {ZONES} HTTP/1.1\r\nX-Note: ".encode())
        await asyncio.sleep(0.05)
        connection.writer.write(known)  # as the end of a header's value, and the rest of another head
        assert b'"isDefault"' in await connection.answer()

        connection.writer.write(connection.head("/zstack/v1/nothing") + known[:20])
        assert (await connection.answer()).startswith(b"HTTP/1.1 404 ")
        connection.writer.write(known[20:] + known)
        assert [await connection.answer() for _ in range(2)] == [whole] * 2

        connection.writer.write(connection.head(ZONES, f"Content-Length: {len(known)}", method="PUT"))
        await asyncio.sleep(0.05)
        connection.writer.write(known)  # as a body
        assert b"Expected BEGIN_OBJECT but was STRING" in await connection.answer()


async def test_requests_with_the_same_head_each_have_their_own_answer(
    raw_client: RawClient, handled: list[str]
) -> None:
    targets = [TARGET, ZONES, f"{STORAGES}/{STORAGE}", f"{STORAGES}/{UNKNOWN}"]
    async with connected(raw_client) as connection:
        by_handler = [await connection.ask(BY_HANDLER, target=target) for target in targets]
        handled.clear()
        for _ in range(2):
            assert [await connection.ask(target=target) for target in targets] == by_handler
        assert handled == []


async def test_a_head_that_is_known_says_nothing_of_a_session_that_has_ended(raw_client: RawClient) -> None:
    session = (await raw_client.log_in())["uuid"]
    async with connected(raw_client, session) as connection:
        assert [(await connection.ask()).split()[1] for _ in range(2)] == [b"200"] * 2
        await raw_client.call("DELETE", f"/zstack/v1/accounts/sessions/{session}")
        assert b"ID.1001" in await connection.ask()


async def test_a_known_head_is_in_the_journal_with_the_client_and_path_of_its_request(raw_client: RawClient) -> None:
    async with connected(raw_client) as connection:
        await connection.ask()
        last = raw_client.node.foundation.journal.last
        await connection.ask(target=f"{ZONES}?limit=3")
        [row] = raw_client.node.foundation.journal.since(last)
        assert (row.path, row.client, row.api) == (f"{ZONES}?limit=3", "127.0.0.1", "APIQueryZoneMsg")
        assert ("authorization", "OAuth ***") in row.headers


async def test_a_client_that_has_closed_its_side_gets_its_answer(raw_client: RawClient) -> None:
    await keep_an_answer(raw_client)
    async with connected(raw_client) as connection:
        connection.writer.write(connection.head())
        connection.writer.write_eof()
        assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")


async def test_it_is_in_the_journal_as_any_other(raw_client: RawClient) -> None:
    async with connected(raw_client) as connection:
        await keep_an_answer(raw_client)
        journal = raw_client.node.foundation.journal
        last = journal.last
        await connection.ask("X-Lab-Time: 0")  # by a handler
        await connection.ask()
        slow, quick = journal.since(last)
        differ = {name for name in slow._fields if getattr(slow, name) != getattr(quick, name)}
        assert differ <= {"number", "ended", "seconds", "headers", "size"}
        assert set(slow.headers) - set(quick.headers) == {("x-lab-time", "0")}


async def test_it_extends_the_session_and_ends_with_it(raw_client: RawClient) -> None:
    before, began = raw_client.session, raw_client.clock.ahead
    raw_client.session = (await raw_client.log_in())["uuid"]
    try:
        async with connected(raw_client) as connection:
            await connection.ask()
            for target in (TARGET, f"{TARGET}&sort=-name", TARGET):
                raw_client.clock.ahead += 0.8 * SESSION_SECONDS
                assert (await connection.ask(target=target)).startswith(b"HTTP/1.1 200 ")
            raw_client.clock.ahead += 1.2 * SESSION_SECONDS
            assert b"ID.1001" in await connection.ask()
    finally:
        raw_client.session, raw_client.clock.ahead = before, began


async def test_a_fault_meets_it(raw_client: RawClient) -> None:
    await keep_an_answer(raw_client)
    fault = {"kind": "status", "code": 503, "when": {"api": "APIQueryImageStoreBackupStorageMsg", "first": 1}}
    made = await raw_client.send("POST", "/lab/v1/node/faults", fault, anonymous=True)
    assert made.status < 300, made.text
    async with connected(raw_client) as connection:
        assert (await connection.ask()).startswith(b"HTTP/1.1 503 ")
