"""How many bytes of bodies a node holds at once, and that slow clients do not keep others out, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio
from raw_client import RawClient, open_raw_client

from imagestore_sim.web_server import body_room
from imagestore_sim.web_server.body_room import BodyRoom, NoRoom

pytestmark = pytest.mark.asyncio(loop_scope="module")
ZONES = "/zstack/v1/zones"
SNAPSHOT = "/lab/v1/snapshot"
ROOM = 200_000
SECONDS = 60.0
HALF = 100_000
ANSWERED = "HTTP/1.1 202 Accepted"
"""What a blank body is answered as soon as it is there."""
REFUSED = "HTTP/1.1 503 Service Unavailable"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body_room, "MOST_BYTES", ROOM)
        async with open_raw_client(tmp_path_factory.mktemp("room")) as raw_client:
            yield raw_client


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def room_is_whole_again(raw_client: RawClient) -> AsyncIterator[None]:
    yield
    async with sending(raw_client, ROOM, at_once=ROOM) as last:
        assert await last.status() == ANSWERED


@dataclass(frozen=True, slots=True)
class Sending:
    """A body that is being sent."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, size: int) -> None:
        self.writer.write(b" " * size)

    async def status(self) -> str:
        return (await asyncio.wait_for(self.reader.readline(), SECONDS)).decode().strip()

    async def rest(self) -> str:
        """Return the rest of the answer, up to the end of its body."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), SECONDS)).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        return head + (await asyncio.wait_for(self.reader.readexactly(length), SECONDS)).decode()

    async def is_answered(self) -> bool:
        """Return whether an answer has come; look for it for a moment."""
        try:
            await asyncio.wait_for(self.reader.readexactly(1), 0.2)
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def sending(
    raw_client: RawClient, size: int | None, *, at_once: int = 0, path: str = ZONES, more: str = ""
) -> AsyncIterator[Sending]:
    """Connect, and send the head of a body of that size (chunks for None), and the first bytes of it."""
    host, _, port = raw_client.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    length = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
    lines = (f"Host: {raw_client.address}", f"Authorization: OAuth {raw_client.session}", length)
    kind = "Content-Type: application/json"
    writer.write(("\r\n".join([f"POST {path} HTTP/1.1", *lines, kind]) + f"\r\n{more}\r\n").encode() + b" " * at_once)
    await writer.drain()
    try:
        yield Sending(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def full_room(raw_client: RawClient) -> AsyncIterator[tuple[Sending, Sending]]:
    """Take all room by two bodies that do not come to their end."""
    async with AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(sending(raw_client, HALF, at_once=HALF - 1)) for _ in range(2)]
        await asyncio.sleep(0.2)
        yield slow[0], slow[1]


async def test_a_body_waits_until_others_are_answered(raw_client: RawClient) -> None:
    async with full_room(raw_client) as (first, second), sending(raw_client, HALF, at_once=HALF) as waiting:
        assert not await waiting.is_answered()
        second.send(1)
        assert await second.status() == ANSWERED
        assert await waiting.status() == ANSWERED
        assert not await first.is_answered()
        first.send(1)
        assert await first.status() == ANSWERED


async def test_a_small_body_is_answered_while_there_is_no_room(raw_client: RawClient) -> None:
    small = body_room.SMALL
    async with full_room(raw_client), sending(raw_client, small, at_once=small) as body:
        assert await body.status() == ANSWERED
    async with full_room(raw_client), sending(raw_client, small + 1, at_once=small + 1) as body:
        assert not await body.is_answered()


async def test_a_slow_body_ends_when_others_wait(raw_client: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_room, "CROWDED_SECONDS", 0.5)
    async with full_room(raw_client) as slow:
        assert not await slow[0].is_answered()
        await asyncio.sleep(1)
        assert not await slow[1].is_answered(), "while none waits, it may take a minute"
        async with sending(raw_client, HALF + 1, at_once=HALF + 1) as fast:
            assert await fast.status() == ANSWERED
        for one in slow:
            assert await one.status() == "HTTP/1.1 408 Request Timeout"
            assert "did not come within 0.5 s" in await one.rest()


async def test_clients_that_are_slow_one_after_another_do_not_keep_others_out(
    raw_client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_room, "CROWDED_SECONDS", 0.2)
    async with AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(sending(raw_client, HALF, at_once=9)) for _ in range(10)]
        async with sending(raw_client, ROOM, at_once=ROOM) as fast:
            assert await fast.status() == ANSWERED
        for one in slow:
            assert await one.status() == "HTTP/1.1 408 Request Timeout"


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        (ZONES, '{"error":{"code":"SYS.1000"'),
        ("/zstack/api", '{"error":{"code":"SYS.1000"'),
        (SNAPSHOT, '{"error":"the bodies of other requests take all room'),
    ],
)
async def test_a_body_that_waits_in_vain_is_refused_in_the_form_of_its_api(
    raw_client: RawClient, monkeypatch: pytest.MonkeyPatch, path: str, begins: str
) -> None:
    monkeypatch.setattr(body_room, "ROOM_SECONDS", 0.2)
    async with full_room(raw_client), sending(raw_client, HALF, at_once=HALF, path=path) as refused:
        assert await refused.status() == REFUSED
        head, _, body = (await refused.rest()).partition("\r\n\r\n")
        assert "Retry-After: 5" in head
        assert body.startswith(begins)
        assert "try again in a few seconds" in body


async def test_the_number_of_bodies_that_wait_has_a_bound(
    raw_client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_room, "MOST_WAITING", 2)
    async with full_room(raw_client) as slow, AsyncExitStack() as stack:
        waiting = [await stack.enter_async_context(sending(raw_client, HALF, at_once=HALF)) for _ in range(2)]
        assert not await waiting[1].is_answered()
        async with sending(raw_client, HALF, at_once=HALF) as refused:
            assert await refused.status() == REFUSED
            assert "all room" in await refused.rest()
        for one in slow:
            one.send(1)
        assert [await one.status() for one in waiting] == [ANSWERED, ANSWERED]


@pytest.mark.parametrize("size", [None, 20_000])
async def test_a_body_whose_length_only_its_end_tells_takes_as_much_as_it_may_have(
    raw_client: RawClient, size: int | None
) -> None:
    gzip = "" if size is None else "Content-Encoding: gzip\r\n"
    async with sending(raw_client, size, more=gzip), sending(raw_client, 20_000, at_once=20_000) as waiting:
        assert not await waiting.is_answered()


async def test_a_client_is_asked_for_its_body_once_there_is_room(raw_client: RawClient) -> None:
    async with full_room(raw_client) as (first, _), sending(raw_client, HALF, more="Expect: 100-continue\r\n") as held:
        assert not await held.is_answered()
        first.send(1)
        assert await held.status() == "HTTP/1.1 100 Continue"


async def test_the_room_of_a_client_that_leaves_is_given_back(raw_client: RawClient) -> None:
    async with sending(raw_client, HALF, at_once=HALF) as waiting:
        async with full_room(raw_client), sending(raw_client, HALF, at_once=9):
            pass
        assert await waiting.status() == ANSWERED


async def test_one_that_waits_no_longer_lets_those_behind_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_room, "MOST_BYTES", 100)
    room = BodyRoom()
    place = await room.take(60)
    large, small = asyncio.create_task(room.take(50)), asyncio.create_task(room.take(40))
    await asyncio.sleep(0)
    large.cancel()
    (await small).leave()
    place.leave()
    place.leave()
    monkeypatch.setattr(body_room, "ROOM_SECONDS", 0)
    await room.take(100)
    with pytest.raises(NoRoom):
        await room.take(1)


async def test_a_place_that_is_given_to_one_who_has_gone_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_room, "MOST_BYTES", 100)
    room = BodyRoom()
    place = await room.take(100)
    gone = asyncio.create_task(room.take(100))
    await asyncio.sleep(0)
    place.leave()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await asyncio.wait_for(room.take(100), SECONDS)
