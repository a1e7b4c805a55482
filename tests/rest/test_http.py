"""HTTP on the wire (RFC 9110, RFC 9112), byte by byte. Nothing that a client does logs an error."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
import socket
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from raw_client import ZONES, RawClient, ShiftedClock, open_raw_client, sha512

from imagestore_sim import web_server
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.web_server import connections, requests
from imagestore_sim.web_server.content_codings import unpack
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
LOGIN = "/zstack/v1/accounts/login"
CREDENTIALS = f'{{"logInByAccount":{{"accountName":"admin","password":"{sha512("password")}"}}}}'.encode()
SECONDS = 60.0
BOMB = gzip.compress(b" " * 128 * 2**20, 1)
PATHS = (LOGIN, "/zstack/api", "/lab/v1/clock", "/lab/v1/snapshot", "/nowhere")
FORMS = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("http")) as raw_client:
        yield raw_client


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Yield the log; fail if it has a warning or a traceback at the end of the test."""
    yield caplog
    assert not [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING or one.exc_info]


class Client:
    """A connection to the node, for raw bytes."""

    def __init__(self, raw_client: RawClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.raw_client = raw_client
        self.reader = reader
        self.writer = writer

    def head(self, method: str, target: str, *lines: str) -> bytes:
        """Return the head of a request, with the headers that HTTP requires."""
        host = f"Host: {self.raw_client.address}"
        oauth = f"Authorization: OAuth {self.raw_client.session}"
        kind = "Content-Type: application/json"
        return "\r\n".join([f"{method} {target} HTTP/1.1", host, oauth, kind, *lines, "", ""]).encode("latin-1")

    async def line(self) -> str:
        """Read the next line of the answer."""
        return (await asyncio.wait_for(self.reader.readline(), SECONDS)).decode().rstrip("\r\n")

    async def rest(self) -> bytes:
        """Read until the node closes the connection."""
        return await asyncio.wait_for(self.reader.read(), SECONDS)


@contextlib.asynccontextmanager
async def connected(raw_client: RawClient) -> AsyncIterator[Client]:
    host, _, port = raw_client.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        yield Client(raw_client, reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_body_that_waits_for_100_continue_is_asked_for(raw_client: RawClient) -> None:
    async with connected(raw_client) as client:
        expects = (f"Content-Length: {len(CREDENTIALS)}", "Expect: 100-Continue", "Connection: close")
        client.writer.write(client.head("PUT", LOGIN, *expects))
        assert [await client.line(), await client.line()] == ["HTTP/1.1 100 Continue", ""]
        client.writer.write(CREDENTIALS)
        assert (await client.rest()).startswith(b"HTTP/1.1 200 OK\r\n")


@rows(
    ("method", "path", "body"),
    [
        ("POST", "/zstack/api", b'{"org.zstack.header.zone.APIQueryZoneMsg": {}}'),
        ("PUT", "/lab/v1/clock", b'{"speed":2}'),
        ("PUT", "/lab/v1/clock", b'{"speed":1}'),
        ("POST", "/lab/v1/snapshot", b"zones: []"),
        ("GET", ZONES, b"{}"),
    ],
)
async def test_100_continue_is_sent_once_on_every_path(
    raw_client: RawClient, method: str, path: str, body: bytes
) -> None:
    async with connected(raw_client) as client:
        client.writer.write(client.head(method, path, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert [await client.line(), await client.line()] == ["HTTP/1.1 100 Continue", ""]
        client.writer.write(body)
        assert (await client.line()) == "HTTP/1.1 200 OK"


async def test_100_continue_is_not_sent_for_a_body_that_is_not_read(raw_client: RawClient) -> None:
    for path, size, status in (("/zstack/v1/nowhere", 10, 404), (LOGIN, 3 * 2**20, 413), ("/nowhere", 10, 404)):
        async with connected(raw_client) as client:
            client.writer.write(client.head("PUT", path, f"Content-Length: {size}", "Expect: 100-continue"))
            answer = await client.rest()
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            assert b"100 Continue" not in answer


@rows("path", PATHS)
async def test_another_expectation_cannot_be_met(raw_client: RawClient, path: str) -> None:
    async with connected(raw_client) as client:
        client.writer.write(client.head("PUT", path, "Content-Length: 2", "Expect: a-miracle") + b"{}")
        assert (await client.rest()).startswith(b"HTTP/1.1 417 ")


@rows("host", ["", "localhost:1", "[::1]:8080"], ids=["its own", "another name", "IPv6"])
@rows("target", ["/zstack/v1/zones?count=true", "/v1/zones", "/healthz", "/lab/v1/clock?x=/", "/lab/v1/openapi.json"])
async def test_a_target_may_be_a_url(raw_client: RawClient, target: str, host: str) -> None:
    plain = await raw_client.send("GET", target)
    answer = await raw_client.send("GET", f"http://{host or raw_client.address}{target}")
    assert answer.status == plain.status == 200


async def test_the_host_in_the_target_is_the_one_that_counts(raw_client: RawClient) -> None:
    body = {"params": {"name": "absolute"}}
    answer = await raw_client.send("POST", f"http://mn:8080{ZONES}", body)
    assert answer.json["location"].startswith("http://mn:8080/zstack/v1/api-jobs/")
    await raw_client.follow(answer)


@rows("target", ["ftp://mn/v1/zones", "http:///v1/zones", "zstack/v1/zones", "http://", "?q=x"])
async def test_an_invalid_target_is_refused(raw_client: RawClient, target: str) -> None:
    assert (await raw_client.send("GET", target)).status == 400


@rows("path", [ZONES, "/healthz", "/lab/v1/clock"])
async def test_a_client_that_has_closed_its_side_still_gets_its_answers(raw_client: RawClient, path: str) -> None:
    async with connected(raw_client) as client:
        client.writer.write(client.head("GET", path) * 3)
        client.writer.write_eof()
        assert (await client.rest()).count(b"HTTP/1.1 200 OK\r\n") == 3


async def test_a_client_that_has_closed_its_side_gets_the_answer_to_a_slow_call(raw_client: RawClient) -> None:
    async with connected(raw_client) as client:
        client.writer.write(client.head("GET", "/lab/v1/requests/wait?path=/zstack/v1/late*&within=50s"))
        client.writer.write_eof()
        await asyncio.sleep(0.1)
        await raw_client.send("GET", "/zstack/v1/late")
        assert (await client.rest()).startswith(b"HTTP/1.1 200 OK\r\n")


@rows("path", PATHS)
@rows(
    "lines", [["Content-Length: 100"], ["Transfer-Encoding: chunked"], ["Content-Length: 9", "Content-Encoding: gzip"]]
)
@rows("how", ["closed", "half-closed", "reset"])
async def test_a_client_that_disconnects_within_its_body_leaves_nothing_behind(
    raw_client: RawClient, path: str, lines: list[str], how: str
) -> None:
    tasks = len(asyncio.all_tasks())
    async with connected(raw_client) as client:
        client.writer.write(client.head("PUT", path, *lines) + (b"5\r\n{" if "chunked" in lines[0] else b"{"))
        await asyncio.sleep(0.01)
        if how == "reset":
            client.writer.transport.abort()
        elif how == "half-closed":
            client.writer.write_eof()
            assert b"200 OK" not in await client.rest()
    async with asyncio.timeout(SECONDS):
        while len(asyncio.all_tasks()) > tasks:
            await asyncio.sleep(0.01)


async def test_a_client_that_closes_after_its_answer_is_not_taken_for_half_closed(
    raw_client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = web_server.Connection.finish_response

    def close(connection: web_server.Connection) -> None:  # what the loop does as it reads the client's end
        if not connection.eof_received() and connection.transport is not None:
            connection.transport.close()

    async def answer_as_the_client_closes(self: web_server.Connection, *arguments: Any) -> Any:
        answered = await answer(self, *arguments)
        asyncio.get_running_loop().call_soon(close, self)  # before aiohttp's task waits for the next request
        return answered

    monkeypatch.setattr(web_server.Connection, "finish_response", answer_as_the_client_closes)
    async with connected(raw_client) as client:
        client.writer.write(client.head("GET", "/healthz"))
        assert (await client.rest()).startswith(b"HTTP/1.1 200 OK\r\n")


PACKED = gzip.compress(CREDENTIALS)
NOT_KNOWN = "the content coding {!r} is not known; gzip and deflate are"
CODED: tuple[Any, ...] = (
    ("gzip", b"this is no gzip", 400, "the body cannot be read: it is no gzip"),
    ("deflate", b"\xff\xff\xff", 400, "the body cannot be read: it is no deflate"),
    ("gzip", PACKED[:-9], 400, "the body cannot be read: its gzip has no end"),
    ("GZip", PACKED[:-1], 400, "the body cannot be read: its gzip has no end"),
    ("gzip", PACKED[:-8] + b"\0" * 8, 400, "the body cannot be read: it is no gzip"),
    ("gzip", PACKED + b"more", 400, "the body cannot be read: 4 bytes follow the end of its gzip"),
    ("gzip", CREDENTIALS, 400, "the body cannot be read: it is no gzip"),
    ("bzip2", b"{}", 415, NOT_KNOWN.format("bzip2")),
    ("br", b"\x0b\x00\x80{}\x03", 415, NOT_KNOWN.format("br")),
    ("zstd", b"\x28\xb5\x2f\xfd", 415, NOT_KNOWN.format("zstd")),
    ("BR", b"{}", 415, NOT_KNOWN.format("br")),
    ("gzip, gzip", gzip.compress(PACKED), 415, NOT_KNOWN.format("gzip, gzip")),
    ("identity, gzip", PACKED, 415, NOT_KNOWN.format("identity, gzip")),
    ("gzip\r\nContent-Encoding: br", PACKED, 415, NOT_KNOWN.format("gzip,br")),
    ("\xe9", b"{}", 415, NOT_KNOWN.format("\udce9")),
)
"""A Content-Encoding, a body, and how a call with both is refused."""


@rows("path", PATHS[:-1])
@rows(("coding", "body", "status", "text"), CODED)
async def test_a_body_that_is_not_in_its_content_coding(
    raw_client: RawClient, path: str, coding: str, body: bytes, status: int, text: str
) -> None:
    """The status is that of RFC 9110, the form of the error that of the API: a text from ZStack's, JSON from ours."""
    async with connected(raw_client) as client:
        lines = (f"Content-Encoding: {coding}", f"Content-Length: {len(body)}", "Connection: close")
        client.writer.write(client.head("POST" if path == "/lab/v1/snapshot" else "PUT", path, *lines) + body)
        head, _, answer = (await client.rest()).decode().partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert (json.loads(answer)["error"] if path.startswith("/lab/") else answer) == text
    assert ("\r\nAccept-Encoding: gzip, deflate" in head) is (status == 415)
    assert ("\r\nContent-Type: application/json" in head) is path.startswith("/lab/")


@rows(
    ("coding", "body"),
    [
        ("gzip", PACKED),
        ("GZIP", PACKED),
        ("x-gzip", PACKED),
        ("deflate", zlib.compress(CREDENTIALS)),
        ("deflate", zlib.compress(CREDENTIALS, wbits=-15)),
        ("identity", CREDENTIALS),
        ("Identity", CREDENTIALS),
        ("", CREDENTIALS),
    ],
)
@rows("chunked", [False, True])
async def test_a_packed_body_is_unpacked(raw_client: RawClient, coding: str, body: bytes, *, chunked: bool) -> None:
    async with connected(raw_client) as client:
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        if chunked:
            body = b"1\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (body[:1], len(body) - 1, body[1:])
        client.writer.write(
            client.head("PUT", LOGIN, f"Content-Encoding: {coding}", length, "Connection: close") + body
        )
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"inventory":{"uuid":' in answer


async def test_a_call_whose_body_is_refused_starts_nothing(raw_client: RawClient) -> None:
    zones = (await raw_client.send("GET", ZONES)).json["inventories"]
    body = gzip.compress(b'{"params": {"name": "half"}}')
    for coding, sent in (
        ("gzip", body[:-3]),
        ("br", body),
        ("gzip", body + b"x"),
        ("gzip", b'{"params": {"name": 1}}'),
    ):
        answer = await raw_client.send("POST", ZONES, sent, Content_Encoding=coding)
        assert answer.status in (400, 415)
    for broken in (b"3\r\n{}x\r\nnonsense\r\n", b"ffffffffffffffffffffff\r\n{", b"2\r\n{}\r\n"):
        async with connected(raw_client) as client:
            client.writer.write(client.head("POST", ZONES, "Transfer-Encoding: chunked") + broken)
            client.writer.write_eof()
            assert b" 202 " not in await client.rest()
    assert (await raw_client.send("GET", ZONES)).json["inventories"] == zones


@rows(
    "raw",
    [
        b"FOO /lab/v1/hosts HTTP/1.1\r\nHost: x\r\n\r\n",
        b"get /lab/v1/hosts HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /lab/v1/clock HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"PUT /lab/v1/clock HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\nxyz\r\n",
        b"PUT /lab/v1/clock HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"PUT /lab/v1/clock HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"PUT /lab/v1/clock HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /lab/v1/clock HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /lab/v1/clock HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
    ],
)
async def test_a_request_to_the_labs_api_that_cannot_be_read_is_refused_as_json(
    raw_client: RawClient, raw: bytes
) -> None:
    async with connected(raw_client) as client:
        client.writer.write(raw)
        head, _, answer = (await client.rest()).partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == (b"405" if raw[:3] in (b"FOO", b"get") else b"400")
    assert b"\r\nContent-Type: application/json" in head
    assert list(json.loads(answer)) == ["error"]


async def test_garbage_after_the_head_of_a_call_to_the_labs_api_is_refused_as_json(raw_client: RawClient) -> None:
    async with connected(raw_client) as client:
        client.writer.write(client.head("PUT", "/lab/v1/clock", "Transfer-Encoding: chunked", "Connection: close"))
        await asyncio.sleep(0.05)
        client.writer.write(b"2\r\n{}\r\nnonsense\r\n")
        head, _, answer = (await client.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    text = "the body cannot be read: it is not in the form that its head declares"
    assert json.loads(answer) == {"error": text}


@rows("path", PATHS)
async def test_a_packed_body_that_is_too_large_is_unpacked_no_further_than_its_bound(
    raw_client: RawClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def measured(body: bytes, coding: str, most: int) -> bytes:
        found = unpack(body, coding, most)
        sizes.append(len(found) - most)
        return found

    monkeypatch.setattr(requests, "unpack", measured)
    async with connected(raw_client) as client:
        lines = ("Content-Encoding: gzip", f"Content-Length: {len(BOMB)}", "Connection: close")
        client.writer.write(client.head("POST" if path == "/lab/v1/snapshot" else "PUT", path, *lines) + BOMB)
        with contextlib.suppress(ConnectionError):
            assert int((await client.rest()).split(b" ")[1]) == (404 if path == "/nowhere" else 413)
    assert sizes == ([] if path == "/nowhere" else [1])


@rows("path", [ZONES, LOGIN, "/zstack/api", "/lab/v1/requests", "/lab/v1/hosts/%ff", "/%ff", "/v1/zones/\xff"])
@rows(
    "header",
    ["Authorization: ZStack k\xe9y:c2ln", "Authorization: OAuth \xe9", "Authorization: \xff", "Date: \xe9",
     "X-Web-Hook: h\xe9", "X-Job-UUID: " + "\xe9" * 32, "X-Job-UUID: " + "/" * 32,
     "X-Job-UUID: " + "<&>'" * 8, "X-API-Timeout: \xb2", "Cookie: \xe9"],
)  # fmt: skip
async def test_bytes_that_are_not_text_are_read_as_a_servlet_container_reads_them(
    raw_client: RawClient, path: str, header: str
) -> None:
    async with connected(raw_client) as client:
        raw = client.head("POST", path, "Content-Length: 2", "Connection: close", header) + b"{}"
        if header.startswith("Auth"):
            raw = raw.replace(f"Authorization: OAuth {raw_client.session}\r\n".encode(), b"")
        if "ZStack" in header:
            raw = raw.replace(b"\r\nContent-L", b"\r\nDate: Sat, 28 Nov 2026 06:00:00 GMT\r\nContent-L")
        client.writer.write(raw)
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.")
    assert answer.split(b" ")[1] in (b"200", b"202", b"400", b"403", b"404", b"405", b"500", b"503")
    assert b"Traceback" not in answer
    assert (await raw_client.send("GET", "/lab/v1/requests")).status == 200


async def test_an_access_key_with_non_ascii_letters_does_not_exist(raw_client: RawClient) -> None:
    date = raw_client.clock.local().strftime("%a, %d %b %Y %H:%M:%S GMT")
    answer = await raw_client.send("GET", ZONES, anonymous=True, Authorization="ZStack k\u00e9y:c2ln", Date=date)
    assert (answer.status, answer.text) == (403, "access key id[k\u00c3\u00a9y] does not exist")


@rows(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PUT /v1/zones HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"PUT /v1/zones HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"PUT /v1/zones HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"PUT /v1/zones HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"B\xe9D / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nH\xe9: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"CONNECT mn:80 HTTP/1.1\r\nHost: mn:80\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/zones HTTP/1.0\r\n\r\n",
        b"GET http://[::1/v1/zones HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/zones HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nrest",
    ],
    ids=lambda raw: repr(raw[:60]),
)  # fmt: skip
async def test_bytes_that_are_no_request_get_an_answer_of_one_line_or_none(raw_client: RawClient, raw: bytes) -> None:
    async with connected(raw_client) as client:
        client.writer.write(raw)
        client.writer.write_eof()
        answer = await client.rest()
    assert answer == b"" or answer.startswith(b"HTTP/")
    assert b"Traceback" not in answer


async def test_a_call_without_a_host_gets_the_address_that_it_connected_to(raw_client: RawClient) -> None:
    body = b'{"params":{"name":"old"}}'
    head = f"POST {ZONES} HTTP/1.0\r\nAuthorization: OAuth {raw_client.session}\r\nContent-Length: {len(body)}\r\n"
    async with connected(raw_client) as client:
        client.writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        assert f'"location":"http://{raw_client.address}/zstack'.encode() in await client.rest()


@pytest.mark.parametrize("sent", [b"", b"GET /v1/zon", b"GET /v1/zones HTTP/1.1\r\nHost: x\r\n"])
async def test_a_connection_without_a_complete_head_is_closed(
    raw_client: RawClient, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    async with connected(raw_client) as client:
        client.writer.write(sent)
        assert await client.rest() == b""


async def test_a_connection_without_a_complete_second_head_is_closed(
    raw_client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    async with connected(raw_client) as client:
        client.writer.write(client.head("GET", "/healthz"))
        assert await client.line() == "HTTP/1.1 200 OK"
        client.writer.write(b"GET /v1/zon")
        assert b"HTTP" not in await client.rest()


@pytest.mark.parametrize("path", PATHS[:4])
async def test_a_connection_without_a_complete_body_is_closed(
    raw_client: RawClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.2)
    async with connected(raw_client) as client:
        client.writer.write(client.head("PUT", path, "Content-Length: 9", "Connection: close") + b"{")
        assert await client.line() == "HTTP/1.1 408 Request Timeout"


async def test_a_connection_whose_answer_is_not_read_is_closed(
    raw_client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.2)
    tasks = len(asyncio.all_tasks())
    host, _, port = raw_client.address.rpartition(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, (host, int(port)))
        request = f"GET /lab/v1/openapi.json HTTP/1.1\r\nHost: {raw_client.address}\r\n\r\n".encode()
        await loop.sock_sendall(client, request * 50)
        async with asyncio.timeout(SECONDS):
            await asyncio.sleep(0.3)
            while len(asyncio.all_tasks()) > tasks:
                await asyncio.sleep(0.05)


async def test_the_zone_of_an_address_is_escaped_in_a_url() -> None:
    """Source: RFC 6874."""
    assert web_server.http_url("fe80::1%lo", 8080) == "http://[fe80::1%25lo]:8080"


@rows(
    ("host", "begins"),
    [
        ("::1", "http://[::1]:"),
        ("localhost", "http://localhost:"),
        ("0.0.0.0", "http://0.0.0.0:"),
        ("127.0.0.2", "http://127.0.0.2:"),
    ],
)
async def test_the_url_of_a_node_can_be_used_as_it_is(tmp_path: Path, host: str, begins: str) -> None:
    node = ManagementNode(Settings(host=host, port=0, database=str(tmp_path / "node.db")))
    try:
        await node.start()
    except Exception as error:
        if "ssign requested" in str(error) or "not supported" in str(error):
            pytest.skip(f"this machine has no {host}")
        raise
    try:
        assert node.url.startswith(begins)
        ports = {address[1] for address in node.http.addresses}
        assert ports == {int(node.url.rpartition(":")[2])}
        raw_client = RawClient(node, ShiftedClock())
        raw_client.session = (await raw_client.log_in())["uuid"]
        made = await raw_client.send("POST", ZONES, {"params": {"name": "z"}})
        assert made.json["location"].startswith(f"{node.url}/zstack/v1/api-jobs/")
        assert (await raw_client.follow(made)).status == 200
    finally:
        await node.stop()
